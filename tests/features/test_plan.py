import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.attributes import Attribute
from features.contract import DAY, Kind
from features.errors import InputError
from features.plan import ENGINES, FeaturePlan

PLAN = FeaturePlan(
    horizon_days=90,
    order_columns=("product_id", "quantity", "discount"),
    mixes={"category": ("tea", "cups"), "channel": ("web",)},
    exclude={"product_id": ("POST", "BANK*")},
    interaction_kinds=("visit", "call"),
    feedback_kinds=("complaint", "survey"),
    feedback_topics=("nps",),
    attributes=(Attribute("country", Kind.TEXT, ("UK", "FR")), Attribute("age", Kind.NUMBER, fixed=True)),
    knows_joining=True,
)
AS_OF = 19_000 * DAY + DAY // 3
SCALED = ("spend_", "refunded_")
UNSCALED = ("spend_scv", "spend_30d_of", "spend_90d_of", "spend_180d_of", "spend_order_trend")
TIMES = st.integers(-2400, 60).map(lambda quarters: AS_OF + quarters * DAY // 4)
RECENT = st.integers(-40, 8).map(lambda quarters: AS_OF + quarters * DAY // 4)
MAYBE_LATE = st.sampled_from([0, 0, 0, 1, DAY, 5 * DAY])


@st.composite
def events(draw: st.DrawFn, clock: str, **columns: st.SearchStrategy[Any]) -> dict[str, Any]:
    happened = draw(TIMES | RECENT)
    row = {name: draw(values) for name, values in columns.items()}
    return {clock: happened, "ingested_at": happened + draw(MAYBE_LATE)} | row


@st.composite
def order_lines(draw: st.DrawFn) -> dict[str, Any]:
    amount = draw(st.sampled_from([-9.9, -5, -5, 0, 5, 5, 5, 9.9, 20]))
    line = draw(
        events(
            clock="ordered_at",
            product_id=st.sampled_from(["p", "p", "q", "POST", "BANK 1", None]),
            quantity=st.sampled_from([1, 1, 3, None]),
            order_id=st.sampled_from(["1", "2", "C1", "C2", None]),
            category=st.sampled_from(["tea", "cups", "hats", None]),
            channel=st.sampled_from(["web", "shop"]),
            discount=st.sampled_from([0, 0.5, None]),
        )
    )
    return line | {"amount": amount, "is_return": int(amount < 0 and draw(st.integers(0, 9)) > 0)}


@st.composite
def histories(draw: st.DrawFn) -> dict[str, list[dict[str, Any]]]:
    """All that a company may have on record of a customer; every order line keeps its number."""
    lines = [line | {"line": place} for place, line in enumerate(draw(st.lists(order_lines(), max_size=14)))]
    contact = events(clock="occurred_at", kind=st.sampled_from(["visit", "call", "login"]))
    said = events(
        clock="occurred_at",
        kind=st.sampled_from(["complaint", "survey"]),
        topic=st.sampled_from(["nps", "price", None]),
        score=st.sampled_from([None, 3.0, 8.0, 9.5]),
        resolved_at=st.none() | RECENT,
    )
    version = st.fixed_dictionaries(
        {"country": st.sampled_from(["UK", "FR", "DE", None]), "age": st.sampled_from([30.0, 41.5, None])}
    )
    since = draw(st.lists(st.none() | RECENT, max_size=3, unique=True))
    return {
        "orders": lines,
        "interactions": draw(st.lists(contact, max_size=4)),
        "feedback": draw(st.lists(said, max_size=4)),
        "customers": [draw(version) | {"valid_from": at, "joined_at": AS_OF - 90 * DAY} for at in since],
    }


def known(record: dict[str, Any]) -> bool:
    happened = record.get("ordered_at", record.get("occurred_at", record.get("valid_from")))
    return happened is None or (happened < AS_OF and record.get("ingested_at", happened) <= AS_OF)


def same_up_to_rounding(one: dict[str, float | None], other: dict[str, float | None]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        there = other[name]
        alike = (
            value is there
            if value is None or there is None
            else math.isclose(value, there, rel_tol=1e-9, abs_tol=1e-12)
        )
        assert alike, (name, value, there)


@settings(max_examples=120, deadline=None)
@given(histories())
def test_what_was_not_known_changes_no_feature(live: Any, history: dict[str, list[dict[str, Any]]]) -> None:
    past = {table: [record for record in records if known(record)] for table, records in history.items()}
    assert live(PLAN, as_of=AS_OF, **history) == live(PLAN, as_of=AS_OF, **past)


@settings(max_examples=20, deadline=None)
@given(histories())
def test_what_was_not_known_changes_no_feature_of_a_batch(
    batch: Any, history: dict[str, list[dict[str, Any]]]
) -> None:
    past = {table: [record for record in records if known(record)] for table, records in history.items()}
    assert batch(PLAN, as_of=AS_OF, **history) == batch(PLAN, as_of=AS_OF, **past)


@settings(max_examples=60, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    live: Any, history: dict[str, list[dict[str, Any]]], random: Any
) -> None:
    shuffled = {table: random.sample(records, len(records)) for table, records in history.items()}
    for place, record in enumerate(shuffled["orders"]):
        shuffled["orders"][place] = record | {"line": place}
    same_up_to_rounding(live(PLAN, as_of=AS_OF, **history), live(PLAN, as_of=AS_OF, **shuffled))


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(-1000, 1000))
def test_days_may_pass_without_moving_anything_but_the_calendar(
    live: Any, history: dict[str, list[dict[str, Any]]], days: int
) -> None:
    def shifted(record: dict[str, Any]) -> dict[str, Any]:
        times = ("ordered_at", "occurred_at", "ingested_at", "resolved_at", "valid_from", "joined_at")
        moved = {name: record[name] + days * DAY for name in times if record.get(name) is not None}
        return record | moved

    later = {table: [shifted(record) for record in records] for table, records in history.items()}
    before, after = live(PLAN, as_of=AS_OF, **history), live(PLAN, as_of=AS_OF + days * DAY, **later)
    assert after["as_of_day"] == before["as_of_day"] + days
    for name in ("as_of_month", "as_of_day", "weekend_share"):
        before.pop(name), after.pop(name)
    assert before == after


@settings(max_examples=60, deadline=None)
@given(histories(), st.sampled_from([2, 10, 1000]))
def test_another_currency_scales_spend_and_nothing_else(
    live: Any, history: dict[str, list[dict[str, Any]]], rate: int
) -> None:
    priced = [
        line | {"amount": line["amount"] * rate, "discount": line["discount"] and line["discount"] * rate}
        for line in history["orders"]
    ]
    expected = {
        name: value * rate
        if value is not None and name.startswith(SCALED) and not name.startswith(UNSCALED)
        else value
        for name, value in live(PLAN, as_of=AS_OF, **history).items()
    }
    same_up_to_rounding(live(PLAN, as_of=AS_OF, **history | {"orders": priced}), expected)


@settings(max_examples=30, deadline=None)
@given(histories())
def test_a_live_request_equals_the_batch(
    live: Any, batch: Any, history: dict[str, list[dict[str, Any]]]
) -> None:
    same_up_to_rounding(live(PLAN, as_of=AS_OF, **history), batch(PLAN, as_of=AS_OF, **history))


def test_a_plan_survives_json() -> None:
    for plan in (PLAN, FeaturePlan(horizon_days=30)):
        assert FeaturePlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_plan_of_before_attributes_is_still_read() -> None:
    assert FeaturePlan.from_json(
        {"horizon_days": 90, "order_columns": [], "mixes": {}, "exclude": {}, "cancellation_prefix": "C"}
    ) == FeaturePlan(horizon_days=90)


def test_the_same_plan_gives_the_same_text_for_every_engine() -> None:
    plan = FeaturePlan(horizon_days=90)
    texts = plan.sql()
    assert texts == plan.sql()
    assert list(texts) == list(ENGINES)
    assert {tuple(steps) for steps in texts.values()} == {("candidates", "matches", "features")}


def test_orders_with_products_and_categories_give_60_to_120_features() -> None:
    plan = FeaturePlan(
        horizon_days=90,
        order_columns=("product_id", "quantity", "discount"),
        mixes={"category": tuple("abcdefgh")},
    )
    names = plan.names()
    assert 60 <= len(names) == len(set(names)) <= 120
    assert set(FeaturePlan(horizon_days=90).names()) < set(names)


def test_two_features_of_one_name_are_refused() -> None:
    plan = FeaturePlan(horizon_days=90, interaction_kinds=("orders",))
    with pytest.raises(InputError, match="two features are named 'orders_30d'"):
        plan.names()
