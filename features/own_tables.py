"""What own features are made of: each customer's known orders and order lines, in everyday units."""

from collections.abc import Mapping

import ibis.expr.types as ir

from features.contract import SCALE
from features.days import SUBJECT
from features.rhythm import MONDAY

DAYS: dict[str, str] = {
    "day": "int64",
    "age": "int64",
    "weekday": "int64",
    "gap": "int64",
    "is_last": "boolean",
    "spend": "float64",
    "lines": "int64",
    "units": "float64",
}
"""One row per order: its calendar day (days since 1970-01-01), its age (days before `as_of`), weekday (0 is
Monday), days since the order before (null for the first), net spend in units of the currency."""

LINES: dict[str, str] = {
    "day": "int64",
    "age": "int64",
    "weekday": "int64",
    "ordered_at": "int64",
    "order_id": "string",
    "product_id": "string",
    "category": "string",
    "channel": "string",
    "payment_method": "string",
    "amount": "float64",
    "unit_price": "float64",
    "quantity": "float64",
    "discount": "float64",
    "cost": "float64",
    "is_return": "int64",
}
"""One row per order line: money in units of the currency, ``is_return`` 0 or 1, times int64 us UTC."""

TABLES = {"days": DAYS, "lines": LINES}
SCALED = ("spend", "units", "amount", "unit_price", "quantity", "discount", "cost")


def shown(table: ir.Table, columns: Mapping[str, str]) -> ir.Table:
    """Show known order lines or orders as own features see them; money and quantities in whole units."""
    derived = {"weekday": (table.day + MONDAY) % 7, "age": table.as_of_day - table.day}
    values = {name: derived[name] if name in derived else table[name] for name in columns}
    units = {name: values[name].cast("float64") / SCALE for name in columns if name in SCALED}
    return table.select(SUBJECT, **values | units)
