"""Records of a request as rows of the canonical tables, by the same rules as staged files."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from features.attributes import Attribute
from features.contract import DAY, ORDERS, SCALE, Kind, Table
from features.instants import calendar_day, micros

Record = Mapping[str, Any]
"""A record by canonical column: aware datetimes, numbers, text, flags; absent and null are the same."""

Row = tuple[object, ...]


def canonical_rows(
    table: Table, records: Sequence[Record], time_zone: str, *, attributes: Sequence[Attribute] = ()
) -> list[Row]:
    """Turn records into rows with the staged columns of a table, in their order, then the attributes.

    As `rows_of` their columns.
    """
    names = (*table.columns, *(each.name for each in attributes))
    given = {name: [record.get(name) for record in records] for name in names}
    return rows_of(table, given, time_zone, attributes=attributes) if records else []


def rows_of(
    table: Table,
    given: Mapping[str, Sequence[Any]],
    time_zone: str,
    *,
    attributes: Sequence[Attribute] = (),
) -> list[Row]:
    """Turn all columns of a table, and the attributes, into rows with the staged columns in their order.

    An order line's amount is its ``amount``, or else quantity x unit price; it is a return where
    ``is_return`` says so, or else where the amount is negative, or the quantity at no amount (a
    write-off). A missing ``ingested_at`` is the time of the event.

    Parameters
    ----------
    given
        Per column the values of at least one record, null where absent: aware datetimes, numbers and so on.
    """
    nothing = [None] * len(given["customer_id"])
    kinds = table.staged | {each.name: each.kind for each in attributes}
    columns = {
        name: _read(given[name], READERS[kind]) if name in given else nothing for name, kind in kinds.items()
    }
    clock = table.clock
    if clock is not None:
        happened = columns[clock]
        if table is ORDERS:
            _complete_lines(columns)
        if "day" in columns:
            columns["day"] = _days(given[clock], happened, time_zone)
        columns["ingested_at"] = [
            at if known is None else known for at, known in zip(happened, columns["ingested_at"], strict=True)
        ]
    return list(zip(*columns.values(), strict=True))


def scaled(number: float) -> int:
    """Return money or a quantity in ten-thousandths, rounded half away from zero."""
    return int(number * SCALE + (0.5 if number >= 0 else -0.5))


def net_amount(quantity: int, unit_price: int) -> int:
    """Return quantity x unit price, all in ten-thousandths, rounded half away from zero."""
    product, half = quantity * unit_price, SCALE // 2
    return (product + half) // SCALE if product >= 0 else -((half - product) // SCALE)


Column = list[Any]


def _read(values: Sequence[Any], reader: Callable[..., object]) -> Column:
    return [None if value is None else reader(value) for value in values]


def _days(instants: Sequence[datetime], happened: Column, time_zone: str) -> Column:
    if time_zone == "UTC":
        return [at // DAY for at in happened]
    zone = ZoneInfo(time_zone)
    return [calendar_day(instant.astimezone(zone).date()) for instant in instants]


def _complete_lines(columns: dict[str, Column]) -> None:
    told = (columns[name] for name in ("amount", "quantity", "unit_price", "is_return"))
    completed = zip(*map(_completed, *told), strict=True)
    columns |= zip(("amount", "quantity", "is_return"), map(list, completed), strict=True)
    columns["line"] = list(range(len(columns["amount"])))


def _completed(
    amount: int | None, quantity: int | None, unit_price: int | None, is_return: int | None
) -> tuple[int, int | None, int]:
    if amount is None:
        assert quantity is not None and unit_price is not None  # noqa: S101, PT018 - checked where it came in
        amount = net_amount(quantity, unit_price)
    if is_return is None:
        is_return = int(amount < 0 or (amount == 0 and (quantity or 0) < 0))
    if is_return and amount > 0:
        amount, quantity = -amount, None if quantity is None else -abs(quantity)
    return amount, quantity, is_return


def _text(value: str) -> str | None:
    return value.strip(" ") or None


READERS: dict[Kind, Callable[..., object]] = {
    Kind.TEXT: _text,
    Kind.TIME: micros,
    Kind.MONEY: scaled,
    Kind.QUANTITY: scaled,
    Kind.NUMBER: float,
    Kind.FLAG: int,
}
