from typing import Any

import pytest

from features.attributes import Attribute
from features.contract import Kind
from features.plan import FeaturePlan

PLAN = FeaturePlan(
    horizon_days=90,
    attributes=(
        Attribute("Home Country", Kind.TEXT, ("UK", "Côte d'Ivoire"), fixed=True),
        Attribute("age", Kind.NUMBER),
        Attribute("newsletter", Kind.FLAG),
    ),
    knows_joining=True,
)
AS_OF = "2024-06-01"


def attributes_of(engine: Any, *customers: dict) -> list[float | None]:
    features = engine(PLAN, as_of=AS_OF, customers=customers)
    names = ("customer_home_country", "customer_age", "customer_newsletter", "joined_days")
    return [features[name] for name in names]


def row(
    valid_from: str | None, country: str | None, age: float | None, newsletter: int | None, **more: Any
) -> dict:
    values = {"Home Country": country, "age": age, "newsletter": newsletter}
    return {"valid_from": valid_from} | values | more


def test_the_latest_row_before_the_cutoff_tells(engine: Any) -> None:
    rows = [
        row("2024-05-31", "UK", 41.5, 1, joined_at="2024-05-01"),
        row("2024-01-01", "Côte d'Ivoire", 40.0, 0),
        row("2024-06-01", "Côte d'Ivoire", 42.0, 0),
    ]
    assert attributes_of(engine, *rows) == [0, 41.5, 1, 31]
    assert attributes_of(engine, *rows[1:]) == [1, 40, 0, None]


def test_without_valid_from_only_fixed_attributes_count(engine: Any) -> None:
    assert attributes_of(engine, row(None, "Côte d'Ivoire", 40.0, 1)) == [1, None, None, None]


def test_a_dated_row_is_preferred_to_one_without_a_date(engine: Any) -> None:
    rows = [row(None, "Côte d'Ivoire", 40.0, 1), row("1905-01-01", "UK", 41.0, 0)]
    assert attributes_of(engine, *rows) == [0, 41, 0, None]


@pytest.mark.parametrize("country", ["France", "uk", None])
def test_a_text_that_the_plan_does_not_name_is_unknown(engine: Any, country: str | None) -> None:
    assert attributes_of(engine, row(None, country, 40.0, 1))[0] is None


@pytest.mark.parametrize(
    ("joined_at", "days"),
    [("2024-05-31T12:00", 0), ("2024-06-01", None), ("2025-01-01", None), ("1969-12-31", 19876)],
)
def test_days_since_joining_are_unknown_until_one_has_joined(engine: Any, joined_at: str, days: int) -> None:
    assert attributes_of(engine, row(None, "UK", 1.0, 1, joined_at=joined_at))[3] == days


def test_a_customer_whom_the_table_lacks_has_no_attributes(engine: Any) -> None:
    assert attributes_of(engine, row(None, "UK", 1.0, 1, customer_id="b")) == [None] * 4
