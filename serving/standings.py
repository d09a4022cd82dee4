"""Periods of standing in the store: who was in which tier or stage, from when to when, and why."""

from collections.abc import Iterator
from datetime import datetime

import pyarrow as pa
import sqlalchemy as sa

from serving.bulk import append
from serving.database import StoreError
from serving.tables import RUNS, STANDINGS, arrow_schema

CHUNK_ROWS = 50_000
_MOVES = sa.Table(
    "moves",
    sa.MetaData(),
    sa.Column("customer_id", STANDINGS.c.customer_id.type, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("previous", sa.Text),
    sa.Column("reason", sa.Text),
    prefixes=["TEMPORARY"],
)
MOVES = arrow_schema(_MOVES)
"""Who moves in a run: ``kind`` value_tier or lifecycle_stage, the new name (null for a customer of whom no
source tells any more), the name before (null for the first), and why (null for the first)."""
STANDING = ("customer_id", "kind", "name", "started_at", "previous", "reason")
PERIODS = ("customer_id", "kind", "name", "started_at", "ended_at", "previous", "run_id", "reason")
_PERIODS = sa.select(*((RUNS if name == "run_id" else STANDINGS).c[name] for name in PERIODS)).join_from(
    STANDINGS, RUNS, STANDINGS.c.run_key == RUNS.c.run_key
)


def in_force(connection: sa.Connection, *, before: datetime) -> pa.Table:
    """Read where each customer stood just before a time: one row per customer and kind, with `STANDING`."""
    lasted = sa.or_(STANDINGS.c.ended_at.is_(None), STANDINGS.c.ended_at >= before)
    query = sa.select(*(STANDINGS.c[name] for name in STANDING)).where(
        STANDINGS.c.started_at < before, lasted
    )
    return _table(connection, query, STANDING)


def periods(connection: sa.Connection, *, kind: str) -> pa.Table:
    """Read all periods of a kind, one row each, with `PERIODS`; ``ended_at`` is null while one lasts."""
    return _table(connection, _PERIODS.where(STANDINGS.c.kind == kind), PERIODS)


def customer_periods(connection: sa.Connection, customer_id: str) -> pa.Table:
    """Read the periods of a customer, oldest first by kind, with `PERIODS`."""
    query = _PERIODS.where(STANDINGS.c.customer_id == customer_id)
    return _table(connection, query.order_by(STANDINGS.c.kind, STANDINGS.c.started_at), PERIODS)


def move(
    connection: sa.Connection, moves: pa.Table, *, key: int, as_of: datetime, preceding: str | None
) -> None:
    """End the periods of those who move at `as_of`, and begin the next; what is newer stays as it is.

    A run at the same `as_of` as the newest replaces what that one moved. An older one moves nobody.

    Parameters
    ----------
    moves
        With the columns of `MOVES`.
    key
        Of the run.
    preceding
        The run whose standing the moves begin from; null for none.

    Raises
    ------
    StoreError
        Another run was published since `preceding` was read.
    """
    if connection.scalar(sa.select(RUNS.c.run_key).where(RUNS.c.as_of > as_of).limit(1)) is not None:
        return
    _check_preceding(connection, as_of, preceding)
    _take_back(connection, as_of)
    _MOVES.create(connection)
    append(connection, _MOVES, iter(moves.select(MOVES.names).cast(MOVES).to_batches(CHUNK_ROWS)))
    ends = sa.select(_MOVES.c.customer_id, _MOVES.c.kind).where(_MOVES.c.previous.is_not(None))
    connection.execute(
        sa.update(STANDINGS)
        .where(STANDINGS.c.ended_at.is_(None))
        .where(sa.tuple_(STANDINGS.c.customer_id, STANDINGS.c.kind).in_(ends))
        .values(ended_at=as_of)
    )
    begins = sa.select(
        *(_MOVES.c[name] for name in ("customer_id", "kind", "name", "previous", "reason")),
        sa.literal(as_of, STANDINGS.c.started_at.type),
        sa.literal(key),
    ).where(_MOVES.c.name.is_not(None))
    names = ["customer_id", "kind", "name", "previous", "reason", "started_at", "run_key"]
    connection.execute(sa.insert(STANDINGS).from_select(names, begins))
    _MOVES.drop(connection)


def _check_preceding(connection: sa.Connection, as_of: datetime, preceding: str | None) -> None:
    newest = (RUNS.c.as_of.desc(), RUNS.c.run_key.desc())
    found = connection.scalar(sa.select(RUNS.c.run_id).where(RUNS.c.as_of < as_of).order_by(*newest).limit(1))
    if found != preceding:
        raise StoreError(
            f"run '{found}' was published while this one was made, and the standing of customers follows "
            "from it; score again"
        )


def _take_back(connection: sa.Connection, as_of: datetime) -> None:
    connection.execute(sa.delete(STANDINGS).where(STANDINGS.c.started_at == as_of))
    connection.execute(sa.update(STANDINGS).where(STANDINGS.c.ended_at == as_of).values(ended_at=None))


def _table(
    connection: sa.Connection, query: sa.Select[tuple[object, ...]], names: tuple[str, ...]
) -> pa.Table:
    schema = pa.schema([_field(name) for name in names])
    return pa.Table.from_batches(_batches(connection, query, schema), schema)


def _batches(
    connection: sa.Connection, query: sa.Select[tuple[object, ...]], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    for rows in connection.execute(query).partitions(CHUNK_ROWS):
        columns = zip(*rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _field(name: str) -> pa.Field:
    return pa.field("run_id", pa.string()) if name == "run_id" else arrow_schema(STANDINGS).field(name)
