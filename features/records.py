"""Records of a request as rows of the canonical tables, by the same rules as staged files."""

from collections.abc import Callable, Mapping, Sequence
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

    An order line's amount is its ``amount``, or else quantity x unit price; it is a return where
    ``is_return`` says so, or else where the amount is negative. A missing ``ingested_at`` is the time
    of the event.
    """
    columns = table.staged | {each.name: each.kind for each in attributes}
    readers = [(name, READERS.get(kind)) for name, kind in columns.items()]
    return [_row(table, readers, record, number, time_zone) for number, record in enumerate(records)]


def scaled(number: float) -> int:
    """Return money or a quantity in ten-thousandths, rounded half away from zero."""
    return int(number * SCALE + (0.5 if number >= 0 else -0.5))


def net_amount(quantity: int, unit_price: int) -> int:
    """Return quantity x unit price, all in ten-thousandths, rounded half away from zero."""
    product, half = quantity * unit_price, SCALE // 2
    return (product + half) // SCALE if product >= 0 else -((half - product) // SCALE)


Readers = Sequence[tuple[str, Callable[..., object] | None]]


def _row(table: Table, readers: Readers, record: Record, number: int, time_zone: str) -> Row:
    values: dict[str, Any] = {}
    for name, reader in readers:
        value = record.get(name)
        values[name] = None if value is None or reader is None else reader(value)
    clock = table.clock
    if clock is not None:
        if table is ORDERS:
            _complete_line(values, number)
        if values["ingested_at"] is None:
            values["ingested_at"] = values[clock]
        if "day" in values:
            values["day"] = (
                values[clock] // DAY
                if time_zone == "UTC"
                else calendar_day(record[clock].astimezone(ZoneInfo(time_zone)).date())
            )
    return tuple(values.values())


def _complete_line(values: dict[str, Any], number: int) -> None:
    amount, quantity = values["amount"], values["quantity"]
    if amount is None:
        amount = net_amount(quantity, values["unit_price"])
    if values["is_return"] is None:
        values["is_return"] = int(amount < 0)
    if values["is_return"] and amount > 0:
        amount, quantity = -amount, None if quantity is None else -abs(quantity)
    values |= {"amount": amount, "quantity": quantity, "line": number}


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
