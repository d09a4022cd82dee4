"""Published plans: what is done for each customer, and the log of it that effects are learnt from."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from features.treatment_settings import NOTHING
from serving.bulk import CHUNK_ROWS, append, read
from serving.database import Database, StoreError
from serving.tables import PLANS, RUNS, TREATMENTS, arrow_schema


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done for everybody in one run; times have a zone.

    Parameters
    ----------
    run_id, as_of
        Of the run.
    customers
        How many rows it has: one for each customer of the run.
    facts
        What was computed once for the whole plan; JSON values.
    preceding
        The plan that it followed; null for the first.
    published_at
        Set by the store; null before.
    """

    plan_id: str
    run_id: str
    as_of: datetime
    customers: int
    facts: dict[str, Any]
    preceding: str | None = None
    published_at: datetime | None = None


ROWS = arrow_schema(TREATMENTS, without=("plan_key",))
"""The columns of a plan's rows, in order; those common to the whole plan stand in `Plan`."""
AMOUNTS = ("expected_cost", "expected_gain", "gain_low", "gain_high")
"""What is expected of a customer's treatment, in the project's currency."""
_PLAN = sa.select(*(PLANS.c[field.name] for field in fields(Plan)))
_LATEST = _PLAN.order_by(PLANS.c.as_of.desc()).limit(1)
_LATEST_KEY = sa.select(PLANS.c.plan_key).order_by(PLANS.c.as_of.desc()).limit(1).scalar_subquery()
_CUSTOMER = (
    sa.select(
        *(PLANS.c[name] for name in ("plan_id", "run_id", "as_of", "facts")),
        *(TREATMENTS.c[name] for name in ROWS.names if name not in {"customer_id", "candidates"}),
    )
    .join_from(TREATMENTS, PLANS, TREATMENTS.c.plan_key == PLANS.c.plan_key)
    .where(PLANS.c.plan_key == _LATEST_KEY, TREATMENTS.c.customer_id == sa.bindparam("customer_id"))
)
_DONE = (
    PLANS.c.plan_id,
    TREATMENTS.c.customer_id,
    PLANS.c.as_of.label("assigned_at"),
    *(TREATMENTS.c[name] for name in ("treatment", "propensity", "is_holdout", "is_explored")),
    TREATMENTS.c.expected_cost.label("cost"),
)
_DRAWN = (
    sa.select(*_DONE, TREATMENTS.c.candidates)
    .join_from(TREATMENTS, PLANS, TREATMENTS.c.plan_key == PLANS.c.plan_key)
    .where(TREATMENTS.c.candidates.is_not(None))
)
_IS_HELD, _IS_EXPLORED = (sa.cast(TREATMENTS.c[name], sa.Integer) for name in ("is_holdout", "is_explored"))
_TOTALS = (
    sa.select(
        TREATMENTS.c.treatment,
        sa.func.sum(1 - _IS_HELD).label("customers"),
        sa.func.sum(_IS_HELD).label("held_out"),
        sa.func.sum(_IS_EXPLORED).label("at_random"),
        *(
            sa.func.sum(sa.case((TREATMENTS.c.is_holdout, 0.0), else_=TREATMENTS.c[amount])).label(amount)
            for amount in AMOUNTS
        ),
    )
    .join_from(TREATMENTS, PLANS, TREATMENTS.c.plan_key == PLANS.c.plan_key)
    .group_by(TREATMENTS.c.treatment)
    .order_by(TREATMENTS.c.treatment)
)
_LOG = (
    sa.select(
        *_DONE,
        TREATMENTS.c.channel,
        PLANS.c.run_id,
    )
    .join_from(TREATMENTS, PLANS, TREATMENTS.c.plan_key == PLANS.c.plan_key)
    .where(TREATMENTS.c.treatment != NOTHING)
)


class Plans:
    """The plans in a store; of one `as_of` the last published alone is kept, as one can be carried out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self, *, before: datetime | None = None) -> Plan | None:
        """Find the plan with the latest `as_of`, or with the latest strictly before a time; null without."""
        return self._plan(_LATEST if before is None else _LATEST.where(PLANS.c.as_of < before))

    def assumed(self, *, before: datetime) -> dict[tuple[str, str, str], float]:
        """Read what plans assumed on average of those a treatment was meant for.

        Parameters
        ----------
        before
            Plans with an `as_of` strictly before it are read.

        Returns
        -------
        In the project's currency, by plan_id, treatment and the text of its effect.
        """
        with self._database.reading() as connection:
            found = connection.execute(
                sa.select(PLANS.c.plan_id, PLANS.c.facts).where(PLANS.c.as_of < before)
            )
            return {
                (plan_id, name, each["effect"]): each["assumed"]
                for plan_id, facts in found
                for name, each in facts["treatments"].items()
                if each.get("assumed") is not None
            }

    def at(self, as_of: datetime) -> Plan | None:
        """Find the plan of an `as_of`; null without one."""
        return self._plan(_PLAN.where(PLANS.c.as_of == as_of))

    def customer(self, customer_id: str) -> dict[str, Any] | None:
        """Read a customer's row of the latest plan, less the customer_id; null when it has none.

        Who has no ``text`` of their own is told that of the treatment.
        """
        with self._database.reading() as connection:
            row = connection.execute(_CUSTOMER, {"customer_id": customer_id}).one_or_none()
        if row is None:
            return None
        told = row._asdict()
        usual = told.pop("facts")["treatments"].get(told["treatment"], {})
        return {**told, "text": told["text"] or usual.get("text")}

    def rows(self, plan_id: str) -> pa.Table:
        """Read the rows of a plan by customer_id (in the order of bytes), with `ROWS`."""
        key = sa.select(PLANS.c.plan_key).where(PLANS.c.plan_id == plan_id).scalar_subquery()
        query = sa.select(*(TREATMENTS.c[name] for name in ROWS.names)).where(TREATMENTS.c.plan_key == key)
        with self._database.reading() as connection:
            return read(connection, query.order_by(TREATMENTS.c.customer_id))

    def totals(self, plan_id: str) -> list[dict[str, Any]]:
        """Sum a plan up: a row per treatment, `NOTHING` too, by name.

        Returns
        -------
        ``treatment``; ``customers`` who get it, ``held_out`` of it, and ``at_random``, those of the former
        whom chance gave it; and of who get it the sums of `AMOUNTS`, null where none is known.
        """
        with self._database.reading() as connection:
            found = connection.execute(_TOTALS.where(PLANS.c.plan_id == plan_id))
            return [row._asdict() for row in found]

    def log(self, *, before: datetime | None = None) -> pa.Table:
        """Read what plans assigned to whom: one row per plan and customer for whom a treatment was intended.

        Parameters
        ----------
        before
            Plans with an `as_of` strictly before it are read; without it all.

        Returns
        -------
        ``plan_id, customer_id, assigned_at, treatment, propensity, is_holdout, is_explored, cost, channel,
        run_id``; ``assigned_at`` is the plan's `as_of`, ``cost`` what was expected.
        """
        with self._database.reading() as connection:
            return read(connection, _LOG if before is None else _LOG.where(PLANS.c.as_of < before))

    def drawn(self) -> pa.Table:
        """Read whatever chance had a part in, nothing too: one row per plan and customer with candidates.

        Returns
        -------
        The columns of `log` but ``channel`` and ``run_id``, and ``candidates``, the names of the treatments
        that had a chance, as a JSON list.
        """
        with self._database.reading() as connection:
            return read(connection, _DRAWN)

    def publish(self, plan: Plan, rows: pa.Table) -> None:
        """Publish a plan whole, or, on any error, not at all; it replaces the plan of the same `as_of`.

        Parameters
        ----------
        rows
            One per customer, with the columns of `ROWS`.

        Raises
        ------
        StoreError
            The run was replaced, or another plan was published since the one before was read.
        ValueError
            The number of rows is not ``plan.customers``.
        """
        if rows.num_rows != plan.customers:
            raise ValueError(f"plan '{plan.plan_id}': {rows.num_rows} rows for {plan.customers} customers")
        with self._database.writing() as connection:
            _check_is_current(connection, plan)
            same = sa.select(PLANS.c.plan_key).where(PLANS.c.as_of == plan.as_of)
            connection.execute(sa.delete(TREATMENTS).where(TREATMENTS.c.plan_key.in_(same)))
            connection.execute(sa.delete(PLANS).where(PLANS.c.as_of == plan.as_of))
            row = asdict(plan) | {"published_at": datetime.now(UTC)}
            key = connection.execute(sa.insert(PLANS).values(row).returning(PLANS.c.plan_key)).scalar_one()
            append(connection, TREATMENTS, _keyed(rows, key))

    def _plan(self, query: sa.Select[Any]) -> Plan | None:
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Plan(**row._asdict())


def _check_is_current(connection: sa.Connection, plan: Plan) -> None:
    of_run = sa.select(RUNS.c.run_id).where(RUNS.c.as_of == plan.as_of).order_by(RUNS.c.run_key.desc())
    if connection.scalar(of_run.limit(1)) != plan.run_id:
        raise StoreError(f"run '{plan.run_id}' was replaced while its plan was made; plan again")
    before = sa.select(PLANS.c.plan_id).where(PLANS.c.as_of < plan.as_of).order_by(PLANS.c.as_of.desc())
    found = connection.scalar(before.limit(1))
    if found != plan.preceding:
        raise StoreError(f"plan '{found}' was published while this one was made; plan again")


def _keyed(rows: pa.Table, key: int) -> Iterator[pa.RecordBatch]:
    for batch in rows.select(ROWS.names).cast(ROWS).to_batches(CHUNK_ROWS):
        yield batch.add_column(0, "plan_key", pa.repeat(pa.scalar(key), batch.num_rows))
