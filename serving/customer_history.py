"""The stateless request: one customer's history in JSON, by the words of the contract."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, model_validator

from features.parsing import FIRST, LAST, LIMIT

MOST_ROWS = 20_000
"""Rows of one table that one request may bring; more would keep everybody else waiting."""
MOST_ITEMS = 500
"""Histories that one batch may bring."""

_FIRST, _LAST = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (FIRST, LAST))


def _instant(value: Any) -> datetime:  # noqa: ANN401 - whatever stands in the JSON
    try:
        given = datetime.fromisoformat(value)
        instant = given.replace(tzinfo=UTC) if given.tzinfo is None else given
        if _FIRST <= instant < _LAST:
            return instant
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError("is no time between 1900 and 2200; write it like '2011-09-01T08:26:00Z'")


def _attribute(value: Any) -> str | float | bool | None:  # noqa: ANN401 - whatever stands in the JSON
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float) and abs(value) <= LIMIT:  # false for NaN
        return value
    raise ValueError("is no text, number up to 90 billion, true or false")


Instant = Annotated[datetime, PlainValidator(_instant, json_schema_input_type=datetime)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=-LIMIT, le=LIMIT, allow_inf_nan=False)]
Attribute = Annotated[
    str | float | bool | None, PlainValidator(_attribute, json_schema_input_type=str | float | bool | None)
]


class Part(BaseModel):
    """Strict types, no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid")


class OrderLine(Part):
    """An order line, or a refund (negative): `amount`, or else `quantity` and `unit_price`, is required."""

    ordered_at: Instant
    amount: Amount | None = None
    quantity: Amount | None = None
    unit_price: Amount | None = None
    order_id: str | None = None
    product_id: str | None = None
    category: str | None = None
    channel: str | None = None
    discount: Amount | None = None
    cost: Amount | None = None
    payment_method: str | None = None
    is_return: bool | None = None
    ingested_at: Instant | None = None

    @model_validator(mode="after")
    def _has_amount(self) -> Self:
        if self.amount is None:
            if self.quantity is None or self.unit_price is None:
                raise ValueError("has no amount; give amount, or quantity and unit_price")
            if abs(self.quantity * self.unit_price) > LIMIT:
                raise ValueError("has a quantity x unit_price beyond 90 billion; correct them")
        return self


class Interaction(Part):
    """A visit, a view, an e-mail opened, a call and the like."""

    occurred_at: Instant
    kind: Annotated[str, Field(min_length=1)]
    channel: str | None = None
    value: Number | None = None
    ingested_at: Instant | None = None


class Feedback(Part):
    """A complaint, an inquiry, a survey, a review, a return."""

    occurred_at: Instant
    kind: Annotated[str, Field(min_length=1)]
    topic: str | None = None
    score: Number | None = None
    resolved_at: Instant | None = None
    text: str | None = None
    ingested_at: Instant | None = None


class Contract(Part):
    """A period of a contract: no end while it runs; the fee is per month, or as the model was taught."""

    started_at: Instant
    ended_at: Instant | None = None
    renews_at: Instant | None = None
    fee: Annotated[float, Field(ge=0, le=LIMIT, allow_inf_nan=False)] | None = None
    plan: str | None = None
    ingested_at: Instant | None = None

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.ended_at is not None and self.ended_at < self.started_at:
            raise ValueError("has an ended_at before its started_at; correct one of them")
        if self.renews_at is not None and self.renews_at <= self.started_at:
            raise ValueError("has a renews_at that is not after its started_at; correct one of them")
        return self


class Customer(BaseModel):
    """Who it is about; every further field is an attribute (text, number or flag)."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, Attribute]

    customer_id: Annotated[str, Field(min_length=1, pattern=r"\S")]
    joined_at: Instant | None = None
    valid_from: Instant | None = None


class CustomerHistory(Part):
    """A history as known now; what lies at or after `as_of` is not seen.

    Parameters
    ----------
    as_of
        The cutoff; now without one.
    """

    as_of: Instant | None = None
    customer: Customer
    orders: Annotated[list[OrderLine], Field(max_length=MOST_ROWS)] = []
    interactions: Annotated[list[Interaction], Field(max_length=MOST_ROWS)] = []
    feedback: Annotated[list[Feedback], Field(max_length=MOST_ROWS)] = []
    contracts: Annotated[list[Contract], Field(max_length=MOST_ROWS)] = []


class Batch(Part):
    """Histories that are answered in the same order, each for itself."""

    items: Annotated[list[Any], Field(max_length=MOST_ITEMS)]


ROWS: dict[str, type[Part]] = {
    "orders": OrderLine,
    "interactions": Interaction,
    "feedback": Feedback,
    "contracts": Contract,
}
"""The fields of a history that hold rows."""
