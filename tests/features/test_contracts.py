import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.contract import DAY
from features.plan import FeaturePlan

PLAN = FeaturePlan(
    horizon_days=90,
    reads_orders=False,
    reads_contracts=True,
    contract_plans=("basic", "plus"),
    fee_days=30.0,
)
AS_OF = "2024-06-01"
BASIC = {"plan": "basic", "fee": 10}
YEARLY = [
    {
        "started_at": "2022-05-02",
        "ended_at": "2023-05-02",
        "renews_at": "2023-05-02",
        "plan": "basic",
        "fee": 10,
    },
    {
        "started_at": "2023-05-02",
        "ended_at": "2024-05-02",
        "renews_at": "2024-05-02",
        "plan": "basic",
        "fee": 12,
    },
    {"started_at": "2024-05-02", "renews_at": "2025-05-02", "plan": "plus", "fee": 15},
]


def contract_of(engine: Any, periods: list[dict], as_of: str = AS_OF) -> dict[str, float | None]:
    features = engine(PLAN, as_of=as_of, contracts=periods)
    return {
        name: value
        for name, value in features.items()
        if name.startswith(("contract", "fee")) and value is not None
    }


def test_a_contract_of_three_periods_is_one(engine: Any) -> None:
    assert contract_of(engine, YEARLY) == pytest.approx(
        {
            "contract_runs": 1,
            "contract_lapsed": 0,
            "contract_age_days": 761,
            "contract_periods": 3,
            "contracts_before": 0,
            "contract_known_days": 761,
            "contract_renewal_days": 335,
            "contract_term_days": 365,
            "fee": 15,
            "fee_change": 0.25,
            "fee_growth": 0.5,
            "fee_changed_days_since": 30,
            "fees_all": (10 * 365 + 12 * 366 + 15 * 30) / 30,
            "contract_plan_basic": 0,
            "contract_plan_plus": 1,
        }
    )


def test_who_ended_has_left_and_has_no_fee_any_more(engine: Any) -> None:
    ended = contract_of(engine, [BASIC | {"started_at": "2024-01-01", "ended_at": "2024-03-01"}])
    assert ended["contract_runs"] == 0
    assert ended["fees_all"] == 20
    assert "fee" not in ended
    assert "contract_renewal_days" not in ended


def test_an_end_that_is_not_known_yet_changes_nothing(engine: Any) -> None:
    running = BASIC | {"started_at": "2024-01-01", "renews_at": "2024-07-01"}
    for end in (AS_OF, "2024-06-20"):
        assert contract_of(engine, [running | {"ended_at": end}]) == contract_of(engine, [running])


@pytest.mark.parametrize(
    "late",
    [
        pytest.param({"started_at": AS_OF}, id="at-the-cutoff"),
        pytest.param({"started_at": "2024-05-30", "ingested_at": "2024-06-02"}, id="known-too-late"),
    ],
)
def test_a_period_that_was_not_known_changes_nothing(engine: Any, late: dict) -> None:
    assert contract_of(engine, [*YEARLY, BASIC | late]) == contract_of(engine, YEARLY)


def test_the_last_day_may_be_included_or_not(engine: Any) -> None:
    upto = [dict(period) for period in YEARLY]
    upto[0]["ended_at"], upto[1]["ended_at"] = "2023-05-01", "2024-05-01"
    included = contract_of(engine, upto)
    assert included.pop("fees_all") < contract_of(engine, YEARLY)["fees_all"]
    assert included.items() <= contract_of(engine, YEARLY).items()


def test_a_day_after_the_end_the_renewal_may_still_come(engine: Any) -> None:
    period = [BASIC | {"started_at": "2024-05-01", "ended_at": "2024-05-31", "renews_at": "2024-05-31"}]
    assert contract_of(engine, period)["contract_runs"] == 1
    assert contract_of(engine, period)["contract_lapsed"] == 1
    assert contract_of(engine, period, "2024-06-01T00:00:01")["contract_runs"] == 0


def test_who_comes_back_has_a_new_contract(engine: Any) -> None:
    back = [
        BASIC | {"started_at": "2023-01-01", "ended_at": "2023-03-01"},
        BASIC | {"started_at": "2024-05-01", "fee": 20},
    ]
    features = contract_of(engine, back)
    assert features["contract_age_days"] == 31
    assert features["contract_periods"] == 1
    assert features["contracts_before"] == 1
    assert features["contract_known_days"] == 517
    assert "fee_changed_days_since" not in features
    assert "fee_change" not in features
    assert features["fee_growth"] == 0


def test_contracts_side_by_side_are_bound_by_the_longer_and_pay_both(engine: Any) -> None:
    both = [
        BASIC | {"started_at": "2024-01-01", "renews_at": "2025-01-01"},
        {"started_at": "2024-03-01", "renews_at": "2024-06-11", "plan": "plus", "fee": 5},
    ]
    assert contract_of(engine, both)["fee"] == 15
    assert contract_of(engine, both)["contract_renewal_days"] == 10
    left_one = [both[0], both[1] | {"ended_at": "2024-04-01"}]
    assert contract_of(engine, left_one)["contract_runs"] == 1
    assert contract_of(engine, left_one)["fee"] == 10


def test_a_period_without_an_end_is_replaced_by_the_next(engine: Any) -> None:
    open_ended = [{name: value for name, value in row.items() if name != "ended_at"} for row in YEARLY]
    assert contract_of(engine, open_ended) == contract_of(engine, YEARLY)


def test_a_renewal_that_went_by_without_a_new_period_comes_every_term(engine: Any) -> None:
    monthly = [BASIC | {"started_at": "2024-01-01", "renews_at": "2024-01-31"}]
    assert contract_of(engine, monthly)["contract_renewal_days"] == 28
    assert contract_of(engine, monthly)["contract_term_days"] == 30


def test_of_two_versions_of_a_period_the_one_known_last_counts(engine: Any) -> None:
    first = BASIC | {"started_at": "2024-01-01", "ingested_at": "2024-01-01"}
    second = first | {"ended_at": "2024-02-10", "ingested_at": "2024-02-11"}
    assert contract_of(engine, [first, second])["contract_runs"] == 0
    assert contract_of(engine, [second, first], "2024-02-11T00:00")["contract_runs"] == 1


def test_an_end_to_come_chooses_no_version_of_a_period(engine: Any) -> None:
    without_fee = BASIC | {"started_at": "2024-01-01", "fee": None}
    free = without_fee | {"fee": 0}
    told = contract_of(engine, [without_fee, free])
    assert told["fee"] == 0
    assert contract_of(engine, [free, without_fee | {"ended_at": "2024-12-01"}]) == told


def test_without_a_fee_only_what_is_about_fees_is_null(engine: Any) -> None:
    features = engine(PLAN, as_of=AS_OF, contracts=[{"started_at": "2024-01-01"}])
    assert features["contract_runs"] == 1
    assert features["contract_age_days"] == 152
    assert {name for name in features if name.startswith("fee") and features[name] is not None} == set()


def test_without_a_contract_all_is_null(engine: Any) -> None:
    assert contract_of(engine, []) == {}


def test_large_fees_add_up_exactly(engine: Any) -> None:
    periods = [
        {"started_at": day * DAY, "ended_at": (day + 1) * DAY, "fee": 123_456_789.4321}
        for day in range(18_000, 18_030)
    ]
    assert contract_of(engine, periods)["fees_all"] == pytest.approx(123_456_789.4321, rel=1e-12)


NOW = 19_000 * DAY + DAY // 3
TIMES = st.integers(-4000, 40).map(lambda quarters: NOW + quarters * DAY // 4)


@st.composite
def contract_rows(draw: st.DrawFn) -> dict[str, Any]:
    """A period of any length, now and then of unknown end, renewal, fee or plan."""
    started = draw(TIMES)
    length = draw(st.sampled_from([0, 1, 30, 30, 90, 365])) * DAY
    return {
        "started_at": started,
        "ended_at": draw(st.sampled_from([None, started + length, started + 2 * length])),
        "renews_at": draw(st.sampled_from([None, started + length])) if length else None,
        "fee": draw(st.sampled_from([None, 0, 9.99, 10, 1e9])),
        "plan": draw(st.sampled_from(["basic", "plus", "gold", None])),
        "ingested_at": started + draw(st.sampled_from([0, 0, 0, DAY, 40 * DAY])),
    }


def numbers(features: dict[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in features.items()}


@given(rows=st.lists(contract_rows(), max_size=8), late=st.lists(contract_rows(), max_size=3))
@settings(max_examples=30, deadline=None)
def test_batch_and_live_agree_and_the_future_changes_nothing(
    live: Any, batch: Any, rows: list[dict], late: list[dict]
) -> None:
    told = batch(PLAN, as_of=NOW, contracts=rows)
    assert numbers(live(PLAN, as_of=NOW, contracts=rows)) == pytest.approx(
        numbers(told), rel=1e-9, nan_ok=True
    )
    poison = [row | {"started_at": NOW, "ingested_at": NOW} for row in late]
    poison += [row | {"ingested_at": NOW + 1} for row in late]
    hidden = [row | {"ended_at": None} if (row["ended_at"] or 0) >= NOW else row for row in rows]
    poisoned = numbers(batch(PLAN, as_of=NOW, contracts=[*poison, *hidden]))
    assert poisoned == pytest.approx(numbers(told), rel=1e-9, nan_ok=True)
