"""The canonical tables: what a company's records are mapped onto, and how they are held inside.

Inside, times are int64 microseconds since 1970-01-01 UTC, money and quantities are int64
ten-thousandths (sums are exact, whatever the number of threads), numbers are float64, flags are
int64 0 or 1, and everything else is text. ``day`` columns hold the calendar day of an event in the
project's time zone, counted from 1970-01-01, and ``line`` numbers the order lines; both are derived,
never mapped.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

DAY = 86_400_000_000
"""Microseconds in a day."""

SCALE = 10_000
"""Ten-thousandths in a unit of money or quantity."""


def slug(text: str) -> str:
    """Return a text as part of a column name: lower case, words joined by ``_``, other letters kept."""
    return "_".join(re.findall(r"\w+", text.lower()))


class Kind(StrEnum):
    """What a column holds; each kind has one type inside."""

    TEXT = "text"
    TIME = "time"
    MONEY = "money"
    QUANTITY = "quantity"
    NUMBER = "number"
    FLAG = "flag"
    DAY = "day"
    LINE = "line"

    @property
    def ibis_type(self) -> str:
        """The type of such a column in a feature expression."""
        return {"text": "string", "number": "float64"}.get(self.value, "int64")


@dataclass(frozen=True)
class Table:
    """A canonical table.

    Parameters
    ----------
    name
        As in ``[sources.NAME]``.
    columns
        What a source may bring, in order, with the kind of each.
    required
        Columns without which a row cannot be used.
    clock
        The column that says when a row happened; null for a table without one.
    open_ended
        Whether further columns are welcome (attributes of a customer).
    """

    name: str
    columns: dict[str, Kind]
    required: tuple[str, ...]
    clock: str | None
    open_ended: bool = False

    @property
    def staged(self) -> dict[str, Kind]:
        """The columns held inside: those of the source, an event's ``day`` and an order line's ``line``."""
        day = {"day": Kind.DAY} if self.clock in {"ordered_at", "occurred_at"} else {}
        line = {"line": Kind.LINE} if self.clock == "ordered_at" else {}
        return self.columns | day | line


T = Kind.TEXT
ORDERS = Table(
    "orders",
    {
        "customer_id": T,
        "ordered_at": Kind.TIME,
        "amount": Kind.MONEY,
        "quantity": Kind.QUANTITY,
        "unit_price": Kind.MONEY,
        "order_id": T,
        "product_id": T,
        "category": T,
        "channel": T,
        "discount": Kind.MONEY,
        "cost": Kind.MONEY,
        "payment_method": T,
        "is_return": Kind.FLAG,
        "ingested_at": Kind.TIME,
    },
    required=("customer_id", "ordered_at", "amount"),
    clock="ordered_at",
)
CUSTOMERS = Table(
    "customers",
    {"customer_id": T, "joined_at": Kind.TIME, "valid_from": Kind.TIME},
    required=("customer_id",),
    clock=None,
    open_ended=True,
)
INTERACTIONS = Table(
    "interactions",
    {
        "customer_id": T,
        "occurred_at": Kind.TIME,
        "kind": T,
        "channel": T,
        "value": Kind.NUMBER,
        "ingested_at": Kind.TIME,
    },
    required=("customer_id", "occurred_at", "kind"),
    clock="occurred_at",
)
FEEDBACK = Table(
    "feedback",
    {
        "customer_id": T,
        "occurred_at": Kind.TIME,
        "kind": T,
        "topic": T,
        "score": Kind.NUMBER,
        "resolved_at": Kind.TIME,
        "text": T,
        "ingested_at": Kind.TIME,
    },
    required=("customer_id", "occurred_at", "kind"),
    clock="occurred_at",
)
CONTRACTS = Table(
    "contracts",
    {
        "customer_id": T,
        "started_at": Kind.TIME,
        "ended_at": Kind.TIME,
        "renews_at": Kind.TIME,
        "fee": Kind.MONEY,
        "plan": T,
        "ingested_at": Kind.TIME,
    },
    required=("customer_id", "started_at"),
    clock="started_at",
)
TREATMENTS = Table(
    "treatments",
    {
        "customer_id": T,
        "assigned_at": Kind.TIME,
        "treatment": T,
        "propensity": Kind.NUMBER,
        "is_holdout": Kind.FLAG,
        "cost": Kind.MONEY,
        "channel": T,
        "run_id": T,
    },
    required=("customer_id", "assigned_at", "treatment"),
    clock="assigned_at",
)
TABLES = {table.name: table for table in (ORDERS, CUSTOMERS, INTERACTIONS, FEEDBACK, CONTRACTS, TREATMENTS)}
