"""Periods of standing in the store: who was in which tier or stage, from when to when, and why."""

from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from serving.bulk import CHUNK_ROWS, append, read
from serving.database import StoreError
from serving.tables import NEWEST_FIRST, RUNS, STANDINGS, arrow_schema

_ENDS = sa.Table(
    "ends",
    sa.MetaData(),
    sa.Column("customer_id", STANDINGS.c.customer_id.type, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    prefixes=["TEMPORARY"],
)
_PERIOD = arrow_schema(STANDINGS)
MOVES = pa.schema([_PERIOD.field(name) for name in ("customer_id", "kind", "name", "previous", "reason")])
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
    return read(connection, query)


def periods(connection: sa.Connection, *, kind: str) -> pa.Table:
    """Read all periods of a kind, one row each, with `PERIODS`; ``ended_at`` is null while one lasts."""
    return read(connection, _PERIODS.where(STANDINGS.c.kind == kind))


def customer_periods(connection: sa.Connection, customer_id: str) -> pa.Table:
    """Read the periods of a customer, oldest first by kind, with `PERIODS`."""
    query = _PERIODS.where(STANDINGS.c.customer_id == customer_id)
    return read(connection, query.order_by(STANDINGS.c.kind, STANDINGS.c.started_at))


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
    _end(connection, moves.filter(pc.is_valid(moves["previous"])), as_of)
    begin = moves.filter(pc.is_valid(moves["name"]))
    known = {"started_at": as_of, "ended_at": None, "run_key": key}
    columns = [
        pa.repeat(pa.scalar(known[field.name], field.type), begin.num_rows)
        if field.name in known
        else begin[field.name].cast(field.type)
        for field in _PERIOD
    ]
    append(connection, STANDINGS, iter(pa.table(columns, schema=_PERIOD).to_batches(CHUNK_ROWS)))


def _end(connection: sa.Connection, moves: pa.Table, as_of: datetime) -> None:
    _ENDS.create(connection)
    append(connection, _ENDS, iter(moves.select(_ENDS.columns.keys()).to_batches(CHUNK_ROWS)))
    ending = sa.tuple_(STANDINGS.c.customer_id, STANDINGS.c.kind).in_(sa.select(_ENDS))
    lasting = sa.update(STANDINGS).where(STANDINGS.c.ended_at.is_(None), ending)
    connection.execute(lasting.values(ended_at=as_of))
    _ENDS.drop(connection)


def _check_preceding(connection: sa.Connection, as_of: datetime, preceding: str | None) -> None:
    newest = sa.select(RUNS.c.run_id).where(RUNS.c.as_of < as_of).order_by(*NEWEST_FIRST).limit(1)
    found = connection.scalar(newest)
    if found != preceding:
        raise StoreError(
            f"run '{found}' was published while this one was made, and the standing of customers follows "
            "from it; score again"
        )


def _take_back(connection: sa.Connection, as_of: datetime) -> None:
    connection.execute(sa.delete(STANDINGS).where(STANDINGS.c.started_at == as_of))
    connection.execute(sa.update(STANDINGS).where(STANDINGS.c.ended_at == as_of).values(ended_at=None))
