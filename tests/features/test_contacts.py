from typing import Any

import pytest

from features.plan import FeaturePlan

PLAN = FeaturePlan(horizon_days=90, interaction_kinds=("visit", "add to cart"))
AS_OF = "2024-06-01"
ORDERS = [{"ordered_at": "2024-05-01", "amount": 1}]
VISITS = [
    {"occurred_at": when, "kind": "visit"}
    for when in ("2023-01-01", "2023-12-01", "2024-05-02", "2024-05-31")
]


def contacts_of(engine: Any, events: list[dict], orders: list[dict] = ORDERS) -> dict[str, float | None]:
    features = engine(PLAN, as_of=AS_OF, orders=orders, interactions=events)
    return {name: value for name, value in features.items() if name.startswith(("visit_", "add_to_cart_"))}


def test_visits_are_counted_by_window_and_since_the_last(engine: Any) -> None:
    assert contacts_of(engine, VISITS) == {
        "visit_7d": 1,
        "visit_30d": 2,
        "visit_90d": 2,
        "visit_365d": 3,
        "visit_all": 4,
        "visit_days_since": 1,
        "add_to_cart_7d": 0,
        "add_to_cart_30d": 0,
        "add_to_cart_90d": 0,
        "add_to_cart_365d": 0,
        "add_to_cart_all": 0,
        "add_to_cart_days_since": None,
    }


def test_without_interactions_the_counts_are_nought(engine: Any) -> None:
    contacts = contacts_of(engine, [])
    assert {name for name, value in contacts.items() if value is None} == {
        "visit_days_since",
        "add_to_cart_days_since",
    }
    assert contacts["visit_all"] == 0


def test_a_prospect_has_contacts_but_no_orders(engine: Any) -> None:
    assert contacts_of(engine, VISITS, orders=[])["visit_all"] == 4


@pytest.mark.parametrize(
    "late",
    [
        pytest.param({"occurred_at": AS_OF}, id="at-the-cutoff"),
        pytest.param({"occurred_at": "2024-05-30", "ingested_at": "2024-06-02"}, id="known-too-late"),
        pytest.param({"occurred_at": "2024-05-30", "kind": "Visit"}, id="another-kind"),
    ],
)
def test_what_was_not_known_or_is_of_another_kind_is_not_counted(engine: Any, late: dict) -> None:
    assert contacts_of(engine, [*VISITS, {"kind": "visit"} | late]) == contacts_of(engine, VISITS)
