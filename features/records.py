"""Records of a request as rows of the canonical tables, by the same rules as staged files."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from features.contract import ORDERS, SCALE, Kind, Table
from features.instants import calendar_day, micros

Record = Mapping[str, Any]
"""A record by canonical column: aware datetimes, numbers, text, flags; absent and null are the same."""

Row = tuple[object, ...]


def canonical_rows(table: Table, records: Sequence[Record], time_zone: str) -> list[Row]:
    """Turn records into rows with the staged columns of a table, in their order.

    An order line's amount is its ``amount``, or else quantity x unit price; it is a return where
    ``is_return`` says so, or else where the amount is negative. A missing ``ingested_at`` is the time
    of the event.
    """
    zone = ZoneInfo(time_zone)
    columns = table.staged
    rows = []
    for number, record in enumerate(records):
        values = {name: _inside(kind, record.get(name)) for name, kind in columns.items()}
        if table is ORDERS:
            values |= _net_line(values) | {"line": number}
        if "ingested_at" in columns and values["ingested_at"] is None:
            values["ingested_at"] = values[str(table.clock)]
        if "day" in columns:
            values["day"] = calendar_day(record[str(table.clock)].astimezone(zone).date())
        rows.append(tuple(values[name] for name in columns))
    return rows


def scaled(number: float) -> int:
    """Return money or a quantity in ten-thousandths, rounded half away from zero."""
    return int(number * SCALE + (0.5 if number >= 0 else -0.5))


def _inside(kind: Kind, value: object) -> object:
    return None if value is None or kind not in READERS else READERS[kind](value)


def _net_line(values: Mapping[str, Any]) -> dict[str, int | None]:
    amount, quantity, returned = values["amount"], values["quantity"], values["is_return"]
    if amount is None:
        product, half = quantity * values["unit_price"], SCALE // 2
        amount = (product + half) // SCALE if product >= 0 else -((half - product) // SCALE)
    if returned is None:
        returned = int(amount < 0)
    if returned and amount > 0:
        amount, quantity = -amount, None if quantity is None else -abs(quantity)
    return {"amount": amount, "quantity": quantity, "is_return": returned}


READERS: dict[Kind, Callable[..., object]] = {
    Kind.TEXT: str,
    Kind.TIME: micros,
    Kind.MONEY: scaled,
    Kind.QUANTITY: scaled,
    Kind.NUMBER: float,
    Kind.FLAG: int,
}
