import json
from typing import Any

import pytest

from features.contract import Kind
from features.tier_settings import Flow, Level, TierSettings
from models.tiers import TierPolicy
from models.wording import LANGUAGES, TABLE, told_move

KINDS = {
    "clv": Kind.NUMBER,
    "orders_365d": Kind.NUMBER,
    "churn_risk": Kind.NUMBER,
    "spend_30d": Kind.NUMBER,
    "country": Kind.TEXT,
    "vip": Kind.FLAG,
}
LEVELS = (
    Level(name="high", when="top(clv, 0.2) and not (vip and country in ('FR', 'DE'))"),
    Level(name="middle", when="clv / orders_365d > 50 or churn_risk < 0.25 or country <> 'UK'"),
    Level(name="low"),
)
LARGE_SPEND = Flow(tier="high", when="spend_30d > 5000", reason="spent over 5,000 in 30 days")
POLICY = TierPolicy.of(
    TierSettings(levels=LEVELS, flows=(LARGE_SPEND,)), setting="transactional", columns=KINDS
)
CUTS = {"top(clv, 0.2)": 280.0, "top(clv, 0.22)": 252.0, "top(clv, 0.18)": 300.0}
ROW = {"clv": 120.0, "orders_365d": 4.0, "churn_risk": 0.5, "spend_30d": 10.0, "country": "UK", "vip": 0}


def told(before: str | None, now: str, was: dict[str, Any] | None, language: str = "en", **row: Any) -> str:
    earlier = None if was is None else ROW | was
    reasons = POLICY.because(CUTS, earlier, ROW | row, before, now)
    return told_move(json.dumps(reasons), language)


@pytest.mark.parametrize(
    ("before", "now", "was", "row", "sentence"),
    [
        (
            "low",
            "high",
            {},
            {"clv": 310.0},
            "customer lifetime value 310.00 (120.00 before), at least 280.00 is needed for high",
        ),
        (
            "high",
            "low",
            {"clv": 310.0},
            {"clv": 210.0},
            "customer lifetime value 210.00 (310.00 before), at least 252.00 is needed to stay high",
        ),
        (
            "high",
            "low",
            {"clv": 310.0},
            {"clv": 310.0, "vip": 1, "country": "FR"},
            (
                "vip is yes (no before), no is needed to stay high; "
                "country is FR (UK before), none of FR, DE is needed to stay high"
            ),
        ),
        (
            "low",
            "middle",
            {},
            {"orders_365d": 2.0},
            "clv / orders_365d is 60 (30 before), more than 50 is needed for middle",
        ),
        (
            "middle",
            "low",
            {"churn_risk": 0.2},
            {"churn_risk": 0.2755},
            "churn risk 27.6% (20.0% before), less than 27.5% is needed to stay middle",
        ),
        (
            "middle",
            "low",
            {"country": "FR"},
            {"country": None},
            "country is not known (FR before), anything but UK is needed to stay middle",
        ),
        ("low", "high", {}, {"spend_30d": 6000.0}, "spent over 5,000 in 30 days"),
        (
            "gold",
            "low",
            {},
            {},
            "the tier 'gold' is no longer in the policy; no better tier's condition holds",
        ),
        (None, "low", None, {}, "no better tier's condition holds"),
        (
            None,
            "middle",
            None,
            {"churn_risk": 0.125},
            "churn risk 12.5%, less than 25.0% is needed for middle",
        ),
    ],
)
def test_why_a_customer_moves(
    before: str | None, now: str, was: dict[str, Any] | None, row: dict[str, Any], sentence: str
) -> None:
    assert told(before, now, was, **row) == sentence


def test_a_move_in_chinese() -> None:
    needed = "进入“high”需不低于280.00"
    risen = f"客户终身价值：310.00（此前120.00），{needed}"  # noqa: RUF001 - Chinese
    assert told("low", "high", {}, "zh", clv=310.0) == risen
    gone = "策略中已没有“gold”等级；不符合更高等级的条件"  # noqa: RUF001 - Chinese
    assert told("gold", "low", {}, "zh") == gone


def test_a_reason_is_plain_data() -> None:
    assert POLICY.because(CUTS, ROW, ROW | {"clv": 310.0}, "low", "high") == [
        {
            "rule": "enters",
            "tier": "high",
            "feature": "clv",
            "value": 310.0,
            "before": 120.0,
            "bound": ">=",
            "point": 280.0,
        }
    ]


def test_what_the_row_before_does_not_tell_is_not_said() -> None:
    reasons = POLICY.because(CUTS, {"clv": 310.0}, ROW | {"orders_365d": 2.0}, "low", "middle")
    assert (
        told_move(json.dumps(reasons), "en") == "clv / orders_365d is 60, more than 50 is needed for middle"
    )


def test_every_rule_and_bound_has_words_in_every_language() -> None:
    assert {frozenset(TABLE["moves"][language]) for language in LANGUAGES} == {
        frozenset(TABLE["moves"]["en"])
    }
    needed = {"flow", "gone", "rest", "enters", "leaves", ">=", ">", "<=", "<", "=", "<>", "in", "not in"}
    assert needed | {"known", "unknown"} <= TABLE["moves"]["en"].keys()
