"""A look at what the staged tables hold, from which the feature plan follows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import ibis
import numpy as np

from features.attributes import Attribute
from features.batch import tables_in
from features.configuration import nearest
from features.contract import CONTRACTS, CUSTOMERS, FEEDBACK, INTERACTIONS, ORDERS, Kind, Table, slug
from features.errors import InputError
from features.instants import Cutoff
from features.lines import purchases_and_refunds, unbound_orders
from features.parsing import identifier
from features.plan import FeaturePlan
from features.sources import ContractsSource, CustomersSource, OrdersSource, Source

MIXED = ("category", "channel", "payment_method")
MIX_VALUES, CONTACT_KINDS, FEEDBACK_VALUES, ATTRIBUTE_VALUES = 8, 12, 8, 50
CONTRACT_PLANS = 8
OPTIONAL = [name for name in ORDERS.columns if name not in (*ORDERS.required, "is_return", "ingested_at")]
LABELLED_VALUES = 250
KINDS = {"VARCHAR": Kind.TEXT, "DOUBLE": Kind.NUMBER, "BIGINT": Kind.FLAG}


def plan_features(
    connection: duckdb.DuckDBPyConnection,
    sources: Mapping[str, Source],
    *,
    horizon_days: int,
    cutoff: Cutoff,
    value: str = "revenue",
    is_contractual: bool = False,
) -> FeaturePlan:
    """Plan the features that the staged tables allow, by what was known at the cutoff.

    The main values (8 of each mix, 12 kinds of interactions, 8 kinds and 8 topics of feedback, 8 plans)
    are those of most rows; of equally frequent ones the first by name. A column of orders with fewer than two
    values makes no mix, a text with more than 50 values no attribute.

    Parameters
    ----------
    connection
        With the staged tables.
    sources
        As configured: they say which lines are no purchases, how cancellations are numbered, and which
        attributes never change.
    value
        Of an order: ``revenue`` or ``margin``.
    is_contractual
        Whether the forecast is about contracts, which then are features.

    Raises
    ------
    InputError
        The value is the margin, and no order line tells its cost.
    """
    look = _Look(connection, cutoff)
    contacts, feedback = look.known(INTERACTIONS), look.known(FEEDBACK)
    customers = sources.get(CUSTOMERS.name)
    fixed, left_out = (
        (customers.fixed, customers.left_out) if isinstance(customers, CustomersSource) else ((), ())
    )
    return FeaturePlan(
        horizon_days=horizon_days,
        interaction_kinds=look.main_values(contacts, "kind", CONTACT_KINDS),
        feedback_kinds=look.main_values(feedback, "kind", FEEDBACK_VALUES),
        feedback_topics=look.main_values(feedback, "topic", FEEDBACK_VALUES),
        attributes=tuple(look.attributes(fixed, left_out)),
        knows_joining=bool(look.filled(look.known(CUSTOMERS), ["joined_at"])),
        **_plan_orders(look, sources.get(ORDERS.name), value),
        **(_plan_contracts(look, sources[CONTRACTS.name]) if is_contractual else {}),
    )


def _plan_orders(look: "_Look", source: Source | None, value: str) -> dict[str, Any]:
    """Plan what is read of orders."""
    if not isinstance(source, OrdersSource):
        return {"reads_orders": False}
    exclude = {column: tuple(values) for column, values in source.exclude.items()}
    purchases = look.purchases(exclude)
    mixes = {column: look.main_values(purchases, column, MIX_VALUES) for column in MIXED}
    filled = look.filled(purchases, OPTIONAL)
    if value == "margin" and "cost" not in filled:
        raise InputError(
            "forecast.value = 'margin' needs costs, and no order line has one; map "
            "sources.orders.columns.cost, or set it to 'revenue'"
        )
    return {
        "value": value,
        "order_columns": tuple(filled),
        "mixes": {column: values for column, values in mixes.items() if len(values) > 1},
        "exclude": exclude,
        "cancellation_prefix": source.cancellation_prefix,
    }


def _plan_contracts(look: "_Look", source: Source) -> dict[str, Any]:
    """Plan what is read of contracts."""
    assert isinstance(source, ContractsSource)  # noqa: S101 - by the contract
    plans = look.main_values(look.known(CONTRACTS), "plan", CONTRACT_PLANS)
    return {
        "reads_contracts": True,
        "contract_plans": plans if len(plans) > 1 else (),
        "fee_days": source.fee_days,
    }


def plan_attributes(
    connection: duckdb.DuckDBPyConnection, source: CustomersSource, *, horizon_days: int
) -> tuple[FeaturePlan, list[str]]:
    """Plan the features of a labelled table: all columns of ``customers`` but the outcome.

    Of a text the 250 most frequent values are told apart, each of at least 2 to 10 rows (a five-hundredth
    of the table).

    Returns
    -------
    The plan, and a sentence for each column that is no feature.

    Raises
    ------
    InputError
        No column is a feature, or one that is left out does not exist.
    """
    described = connection.execute(f"DESCRIBE {CUSTOMERS.name}").fetchall()
    for name in source.left_out:
        if name not in (known := [column[0] for column in described]):
            raise InputError(
                f"sources.customers.left_out: there is no column {name!r}; {nearest(name, known)}"
            )
    rows = connection.execute(f"SELECT count(*) FROM {CUSTOMERS.name}").fetchall()[0][0]
    rare = int(np.clip(rows // 500, 2, 10))
    planned: dict[str, Attribute] = {}
    notes = []
    for name, kind, *_ in described:
        if name in (*CUSTOMERS.staged, source.label, *source.left_out):
            continue
        counts = _counted(connection, name)
        values = [value for value, count in counts if count >= rare][:LABELLED_VALUES]
        is_text = KINDS[kind] is Kind.TEXT
        if not counts or slug(name) in planned or (is_text and not values):
            notes.append(f"customers.{name} is no feature: {_why_not(counts, rare, slug(name) in planned)}")
            continue
        planned[slug(name)] = Attribute(name, KINDS[kind], tuple(values) if is_text else (), fixed=True)
    if not planned:
        why = "; ".join(notes) or "there is no other column than the outcome"
        raise InputError(f"sources.customers gives nothing to forecast from: {why}")
    plan = FeaturePlan(horizon_days=horizon_days, attributes=tuple(planned.values()), reads_orders=False)
    return plan, notes


def _counted(connection: duckdb.DuckDBPyConnection, column: str) -> list[tuple[Any, int]]:
    """Count the values of a column of customers, the most frequent first."""
    quoted = identifier(column)
    return connection.execute(
        f"SELECT {quoted}, count(*) FROM {CUSTOMERS.name} WHERE {quoted} IS NOT NULL "
        "GROUP BY 1 ORDER BY 2 DESC, 1"
    ).fetchall()


def _why_not(counts: Sequence[tuple[Any, int]], rare: int, is_named: bool) -> str:
    if not counts:
        return "it is empty"
    if is_named:
        return "another column has the same name in lower case"
    return f"none of its {len(counts):,} texts stands in {rare} rows"


def attribute_kinds(connection: duckdb.DuckDBPyConnection) -> dict[str, Kind]:
    """Return the attributes of the staged ``customers``, in order, and what they hold; none without it."""
    if CUSTOMERS.name not in tables_in(connection):
        return {}
    columns = connection.execute(f"DESCRIBE {CUSTOMERS.name}").fetchall()
    return {name: KINDS[kind] for name, kind, *_ in columns if name not in CUSTOMERS.staged}


class _Look:
    """Questions to the staged tables, each about what was known at the cutoff.

    What is asked about is a relation in SQL, empty text for a table that is not there.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, cutoff: Cutoff) -> None:
        self._connection = connection
        self._cutoff = cutoff
        self._tables = tables_in(connection)

    def known(self, table: Table) -> str:
        if table.name not in self._tables:
            return ""
        known = f"coalesce(valid_from < {self._cutoff.micros}, TRUE)"
        if table.clock:
            known = f"{table.clock} < {self._cutoff.micros} AND ingested_at <= {self._cutoff.micros}"
        return f"SELECT * FROM {table.name} WHERE {known}"

    def purchases(self, exclude: Mapping[str, Sequence[str]]) -> str:
        lines = ibis.to_sql(purchases_and_refunds(unbound_orders(), exclude=exclude), dialect="duckdb")
        known = f"ordered_at < {self._cutoff.micros} AND ingested_at <= {self._cutoff.micros}"
        return f"SELECT * FROM ({lines}) WHERE is_purchase = 1 AND {known}"

    def filled(self, relation: str, columns: Sequence[str]) -> list[str]:
        """Return the columns with any value."""
        if not relation:
            return []
        counts = ", ".join(f"count({identifier(column)})" for column in columns)
        found = self._connection.execute(f"SELECT {counts} FROM ({relation})").fetchall()[0]
        return [column for column, count in zip(columns, found, strict=True) if count]

    def main_values(self, relation: str, column: str, limit: int) -> tuple[str, ...]:
        """Return the most frequent values; of two that would make one name only the first."""
        names: dict[str, str] = {}
        for value in self._values(relation, column):
            names.setdefault(slug(value), value)
        return tuple(names.values())[:limit]

    def attributes(self, fixed: Sequence[str], left_out: Sequence[str]) -> Iterator[Attribute]:
        relation = self.known(CUSTOMERS)
        if not relation:
            return
        dated = f"SELECT * FROM ({relation}) WHERE valid_from IS NOT NULL"
        taken = set()
        for name, kind in attribute_kinds(self._connection).items():
            telling = relation if name in fixed else dated
            if name in left_out or slug(name) in taken or not self.filled(telling, [name]):
                continue
            values = self._values(telling, name) if kind is Kind.TEXT else ()
            if len(values) <= ATTRIBUTE_VALUES:
                taken.add(slug(name))
                yield Attribute(name, kind, tuple(values), fixed=name in fixed)

    def _values(self, relation: str, column: str) -> list[str]:
        if not relation:
            return []
        quoted = identifier(column)
        rows = self._connection.execute(
            f"SELECT {quoted} FROM ({relation}) WHERE {quoted} IS NOT NULL "
            f"GROUP BY {quoted} ORDER BY count(*) DESC, {quoted}"
        ).fetchall()
        return [row[0] for row in rows]
