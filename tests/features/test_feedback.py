from typing import Any

import pytest

from features.plan import FeaturePlan

PLAN = FeaturePlan(
    horizon_days=90, feedback_kinds=("complaint", "survey"), feedback_topics=("after_sales", "nps")
)
AS_OF = "2024-06-01"
FEEDBACK = [
    {"occurred_at": "2023-01-01", "kind": "complaint", "topic": "after_sales", "resolved_at": "2023-02-01"},
    {"occurred_at": "2024-05-02", "kind": "complaint", "topic": "after_sales", "resolved_at": "2024-06-01"},
    {"occurred_at": "2024-05-12", "kind": "complaint"},
    {"occurred_at": "2023-12-01", "kind": "survey", "topic": "nps", "score": 9.0},
    {"occurred_at": "2024-01-01", "kind": "survey", "topic": "price", "score": 4.0},
    {"occurred_at": "2024-02-01", "kind": "survey", "topic": "nps"},
]


def feedback_of(engine: Any, rows: list[dict], plan: FeaturePlan = PLAN) -> dict[str, float | None]:
    orders = [{"ordered_at": "2024-05-01", "amount": 1}]
    features = engine(plan, as_of=AS_OF, orders=orders, feedback=rows)
    prefixes = ("feedback_", "topic_", "complaints_", "recommend_")
    return {name: value for name, value in features.items() if name.startswith(prefixes)}


def test_feedback_is_counted_by_kind_and_topic_with_its_scores(engine: Any) -> None:
    assert feedback_of(engine, FEEDBACK) == {
        "feedback_complaint_90d": 2,
        "feedback_complaint_365d": 2,
        "feedback_complaint_all": 3,
        "feedback_complaint_days_since": 20,
        "feedback_survey_90d": 0,
        "feedback_survey_365d": 3,
        "feedback_survey_all": 3,
        "feedback_survey_days_since": 121,
        "topic_after_sales_90d": 1,
        "topic_after_sales_365d": 1,
        "topic_after_sales_all": 2,
        "topic_nps_90d": 0,
        "topic_nps_365d": 2,
        "topic_nps_all": 2,
        "complaints_open": 2,
        "feedback_score_mean": 6.5,
        "feedback_score_last": 4,
        "recommend_score_last": 9,
    }


@pytest.mark.parametrize(
    ("resolved_at", "still_open"),
    [(None, 1), ("2024-06-02", 1), (AS_OF, 1), ("2024-05-31T23:59", 0)],
)
def test_a_complaint_is_open_until_it_is_known_to_be_resolved(
    engine: Any, resolved_at: str | None, still_open: int
) -> None:
    row = {"occurred_at": "2024-05-02", "kind": "complaint", "resolved_at": resolved_at}
    assert feedback_of(engine, [row])["complaints_open"] == still_open


def test_without_feedback_counts_are_nought_and_scores_unknown(engine: Any) -> None:
    none = feedback_of(engine, [])
    assert {name for name, value in none.items() if value is None} == {
        "feedback_complaint_days_since",
        "feedback_survey_days_since",
        "feedback_score_mean",
        "feedback_score_last",
        "recommend_score_last",
    }
    assert {value for value in none.values() if value is not None} == {0}


def test_of_two_scores_at_one_time_the_better_is_the_last(engine: Any) -> None:
    rows = [{"occurred_at": "2024-05-02", "kind": "survey", "score": score} for score in (7.0, 8.0, 6.0)]
    assert feedback_of(engine, rows)["feedback_score_last"] == 8


def test_a_shop_that_never_asks_whether_one_recommends_has_no_such_feature(engine: Any) -> None:
    plan = FeaturePlan(horizon_days=90, feedback_kinds=("survey",))
    assert feedback_of(engine, FEEDBACK, plan) == {
        "feedback_survey_90d": 0,
        "feedback_survey_365d": 3,
        "feedback_survey_all": 3,
        "feedback_survey_days_since": 121,
        "feedback_score_mean": 6.5,
        "feedback_score_last": 4,
    }


@pytest.mark.parametrize(
    "late",
    [{"occurred_at": AS_OF}, {"occurred_at": "2024-05-20", "ingested_at": "2024-06-01T00:00:00.000001"}],
)
def test_what_was_not_known_changes_nothing(engine: Any, late: dict) -> None:
    row = {"kind": "survey", "topic": "nps", "score": 0.0} | late
    assert feedback_of(engine, [*FEEDBACK, row]) == feedback_of(engine, FEEDBACK)
