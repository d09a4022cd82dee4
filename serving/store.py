"""The store: published runs, each whole or not at all, and what they say about a customer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from features.configuration import Configuration
from serving import standings
from serving.bulk import append
from serving.database import Database
from serving.plans import Plans
from serving.settings import store_of
from serving.tables import COLUMNS, NEWEST_FIRST, RUNS, SCHEMA, SCORES

CHUNK_ROWS = 20_000
"""Rows held in memory at once."""
ASKED = 1_000
"""Customers that one query asks for."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One batch scoring of everybody at one `as_of`; times have a zone.

    Parameters
    ----------
    value_basis
        Null where no value is predicted.
    customers
        How many customers the run scores.
    preceding
        The published run that it followed; null for the first.
    published_at
        Set by the store; null before.
    """

    run_id: str
    as_of: datetime
    bundle_digest: str
    model_version: str
    setting: str
    horizon_days: int
    currency: str
    value_basis: str | None
    customers: int
    preceding: str | None = None
    published_at: datetime | None = None


_RUN = sa.select(*(RUNS.c[field.name] for field in fields(Run)))
_LATEST = _RUN.order_by(*NEWEST_FIRST).limit(1)
_LATEST_KEY = sa.select(RUNS.c.run_key).order_by(*NEWEST_FIRST).limit(1).scalar_subquery()
_CUSTOMER = (
    sa.select(*((SCORES if name in SCHEMA.names else RUNS).c[name] for name in COLUMNS))
    .join_from(SCORES, RUNS, SCORES.c.run_key == RUNS.c.run_key)
    .where(SCORES.c.run_key == _LATEST_KEY, SCORES.c.customer_id == sa.bindparam("customer_id"))
)
_SCORES = (
    sa.select(*(SCORES.c[name] for name in SCHEMA.names)).order_by(SCORES.c.customer_id).limit(CHUNK_ROWS)
)


class Store:
    """Published runs in SQLite or PostgreSQL, for one writer and any number of readers.

    Readers see a run whole or not at all. Of several runs, the latest is the one of the latest `as_of`
    (of equal ones the last published), so that filling in the past never displaces the present.
    One store serves all threads of a process; a forked process opens its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, where: Path | str, *, wait_seconds: float = 30) -> Self:
        """Open a store, and create it or bring it up to date as needed.

        Parameters
        ----------
        where
            A SQLite file, or a url: ``sqlite:///PATH``, ``postgresql://USER:PASSWORD@HOST/DATABASE``.
        wait_seconds
            How long to wait for a server's answer, and for another process that writes.

        Raises
        ------
        StoreError
            Here and in every method: the store is unreachable, locked, full, read-only, damaged,
            written by a newer version, or the database is another program's.
        """
        return cls(Database.open(where, wait_seconds=wait_seconds))

    def __enter__(self) -> Self:
        """Lend the store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    @property
    def plans(self) -> Plans:
        """What is planned for the customers of a run."""
        return Plans(self._database)

    def published(self, run_id: str) -> Run | None:
        """Find a run; null when it was never published."""
        return self._run(_RUN.where(RUNS.c.run_id == run_id))

    def latest(self, *, before: datetime | None = None) -> Run | None:
        """Find the latest run, or the latest with an `as_of` strictly before a time; null without one."""
        return self._run(_LATEST if before is None else _LATEST.where(RUNS.c.as_of < before))

    def last(self, *, as_of: datetime) -> Run | None:
        """Find the run that counts of those with one `as_of`, the last published; null without one."""
        return self._run(_LATEST.where(RUNS.c.as_of == as_of))

    def runs(self) -> list[Run]:
        """Find all runs that count, the oldest first: of those with one `as_of` the last published."""
        with self._database.reading() as connection:
            rows = connection.execute(_RUN.order_by(RUNS.c.as_of, RUNS.c.run_key)).all()
        return list({row.as_of: Run(**row._asdict()) for row in rows}.values())

    def facts(self, run_id: str) -> dict[str, Any] | None:
        """Read what was computed once for a whole run; null when it was never published."""
        with self._database.reading() as connection:
            facts: dict[str, Any] | None = connection.scalar(
                sa.select(RUNS.c.facts).where(RUNS.c.run_id == run_id)
            )
        return facts

    def customer(self, customer_id: str) -> dict[str, Any] | None:
        """Read a customer's row of the latest run, as in the output table; null when it has none."""
        with self._database.reading() as connection:
            row = connection.execute(_CUSTOMER, {"customer_id": customer_id}).one_or_none()
        return None if row is None else row._asdict()

    def rows(self, run_id: str, customer_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Read the scores of some customers by customer_id; nothing of who has none, or whose were pruned."""
        key = sa.select(RUNS.c.run_key).where(RUNS.c.run_id == run_id).scalar_subquery()
        query = sa.select(*(SCORES.c[name] for name in SCHEMA.names)).where(SCORES.c.run_key == key)
        found: dict[str, dict[str, Any]] = {}
        with self._database.reading() as connection:
            for first in range(0, len(customer_ids), ASKED):
                some = query.where(SCORES.c.customer_id.in_(customer_ids[first : first + ASKED]))
                found |= {row.customer_id: row._asdict() for row in connection.execute(some)}
        return found

    def scores(self, run_id: str) -> Iterator[pa.RecordBatch]:
        """Read the scores of a run by customer_id (in the order of bytes), a chunk at a time.

        Raises
        ------
        LookupError
            The run was never published, or its scores were pruned, be it while they are read.
        """
        query = sa.select(RUNS.c.run_key, RUNS.c.customers).where(RUNS.c.run_id == run_id)
        with self._database.reading() as connection:
            run = connection.execute(query).one_or_none()
        chunk = pa.table({}) if run is None else self._chunk(run.run_key)
        if run is None or chunk.num_rows < min(run.customers, CHUNK_ROWS):
            raise LookupError(f"run '{run_id}' has no scores in the store: never published, or pruned")
        return self._from(chunk, run.run_key, run.customers)

    def standing(self, *, before: datetime) -> pa.Table:
        """Read where each customer stood just before a time; see `serving.standings.in_force`."""
        with self._database.reading() as connection:
            return standings.in_force(connection, before=before)

    def periods(self, *, kind: str) -> pa.Table:
        """Read how long everybody was in each tier (``value_tier``) or stage (``lifecycle_stage``)."""
        with self._database.reading() as connection:
            return standings.periods(connection, kind=kind)

    def customer_periods(self, customer_id: str) -> pa.Table:
        """Read the tiers and stages that a customer was in, oldest first by kind."""
        with self._database.reading() as connection:
            return standings.customer_periods(connection, customer_id)

    def publish(
        self,
        run: Run,
        scores: Iterable[pa.RecordBatch | pa.Table],
        *,
        facts: Mapping[str, Any],
        moves: pa.Table | None = None,
    ) -> None:
        """Publish a run whole, or, on any error, not at all; leave a run published before as it is.

        Parameters
        ----------
        scores
            One row per customer with the columns of `SCHEMA`, in parts of any size. Columns of `Run` may
            stand beside them and are not stored again.
        facts
            What was computed once for the whole run, such as the grid of its percentiles; JSON values.
        moves
            Who begins a period of standing, with the columns of `serving.standings.MOVES`; nobody without.

        Raises
        ------
        StoreError
            Another run was published since the moves were made.
        ValueError
            The number of rows is not ``run.customers``, a column is missing or unknown, or a number is
            not finite (what does not apply is null).
        """
        with self._database.writing() as connection:
            if connection.scalar(sa.select(RUNS.c.run_key).where(RUNS.c.run_id == run.run_id)) is not None:
                return
            row = asdict(run) | {"published_at": datetime.now(UTC), "facts": dict(facts)}
            key = connection.execute(sa.insert(RUNS).values(row).returning(RUNS.c.run_key)).scalar_one()
            rows = append(connection, SCORES, _keyed(scores, key))
            if rows != run.customers:
                raise ValueError(f"run '{run.run_id}': {rows} rows of scores for {run.customers} customers")
            if moves is not None:
                standings.move(connection, moves, key=key, as_of=run.as_of, preceding=run.preceding)

    def prune(self, *, keep: int) -> None:
        """Remove the scores of all runs but the latest ones.

        The runs themselves and their facts stay: the id of a run hangs on the run before it.

        Parameters
        ----------
        keep
            How many of the latest runs keep their scores; at least 1.
        """
        if keep < 1:
            raise ValueError(f"keep is {keep}; the latest run stays")
        outdated = sa.select(RUNS.c.run_key).order_by(*NEWEST_FIRST).offset(keep)
        with self._database.writing() as connection:
            keys = list(connection.scalars(outdated))
            connection.execute(sa.delete(SCORES).where(SCORES.c.run_key.in_(keys)))

    def _run(self, query: sa.Select[Any]) -> Run | None:
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Run(**row._asdict())

    def _chunk(self, key: int, after: str | None = None) -> pa.RecordBatch:
        query = _SCORES.where(SCORES.c.run_key == key)
        if after is not None:
            query = query.where(SCORES.c.customer_id > after)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        columns = zip(*rows, strict=True) if rows else ((),) * len(SCHEMA)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)

    def _from(self, chunk: pa.RecordBatch, key: int, customers: int) -> Iterator[pa.RecordBatch]:
        rows = chunk.num_rows
        yield chunk
        while chunk.num_rows == CHUNK_ROWS:
            chunk = self._chunk(key, chunk["customer_id"][-1].as_py())
            rows += chunk.num_rows
            yield chunk
        if rows != customers:
            raise LookupError(f"{customers - rows} scores of the run were pruned while they were read")


def _keyed(scores: Iterable[pa.RecordBatch | pa.Table], key: int) -> Iterator[pa.RecordBatch]:
    known = {*SCHEMA.names, *RUNS.columns.keys()}
    for part in scores:
        table = pa.Table.from_batches([part]) if isinstance(part, pa.RecordBatch) else part
        if unknown := set(table.column_names) - known:
            raise ValueError(f"the store has no column for {sorted(unknown)}")
        for batch in table.select(SCHEMA.names).cast(SCHEMA).to_batches(CHUNK_ROWS):
            _check_finite(batch)
            yield batch.add_column(0, "run_key", pa.repeat(pa.scalar(key), batch.num_rows))


def _check_finite(batch: pa.RecordBatch) -> None:
    for name, column in zip(SCHEMA.names, batch.columns, strict=True):
        if pa.types.is_floating(column.type) and pc.all(pc.is_finite(column)).as_py() is False:
            raise ValueError(f"column '{name}' of the scores holds a number that is not finite")


def open_store(configuration: Configuration) -> Store:
    """Open the store of a project; its workspace is made where there is none."""
    configuration.project.workspace.mkdir(parents=True, exist_ok=True)
    return Store.open(store_of(configuration))
