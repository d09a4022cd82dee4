from pathlib import Path

import pytest

from serving.hand_outs import write_hand_outs
from serving.plan_file import remarks
from tests.serving.desk import CALL, Desk


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        pytest.param("budget = 0.0\n", "others gain more from the same money", id="no-budget"),
        pytest.param("[plan.allowed]\nany = 'orders_all < 0'\n", "wants no contact", id="all-opted-out"),
        pytest.param("most_contacts = 0\n", "was contacted often enough", id="no-contact-left"),
    ],
)
def test_a_plan_of_nothing_says_why(desk: Desk, settings: str, told: str) -> None:
    _, rows = desk.plan(CALL, "[plan]\n", settings)
    assert set(rows["treatment"]) == {"nothing"}
    assert rows["reason"].str.contains(told).any()
    assert rows[["channel", "due_from", "expected_cost", "expected_gain"]].isna().all(axis=None)


def test_who_gets_nothing_is_counted_by_what_decided(desk: Desk) -> None:
    plan, rows = desk.plan(
        CALL, "[plan]\n[plan.allowed]\nautomated = 'orders_all > 3'\n[plan.capacity]\nphone = 5\n"
    )
    left = rows[rows["treatment"] == "nothing"]
    told = plan.facts["left_alone"]
    assert sum(told.values()) == len(left)
    for rule, sentence in {
        "beaten": "others gain more from the same",
        "automated_opt_out": "wants no automated",
        "nobody": "no treatment is meant",
    }.items():
        assert told[rule] == left["reason"].str.contains(sentence).sum() > 0


def test_a_treatment_nobody_is_meant_for_is_no_error(desk: Desk) -> None:
    plan, rows = desk.plan(CALL.replace("orders_all >= 2", "orders_all > 1e6"))
    assert set(rows["reason"]) == {"no treatment is meant for this customer"}
    assert remarks(plan)[-1] == "call is open to nobody"


def test_who_wants_no_automated_decision_goes_to_a_person(desk: Desk, tmp_path: Path) -> None:
    plan, rows = desk.plan(CALL, "[plan]\n[plan.allowed]\nautomated = 'orders_all > 3'\n")
    person = rows[rows["channel"] == "person"]
    assert len(person) > 0
    assert set(person["treatment"]) == {"nothing"}
    assert set(person["reason"]) == {"wants no automated decisions: a person decides about call"}
    written = write_hand_outs(plan, desk.store.plans.rows(plan.plan_id), tmp_path)
    assert written[f"plans/{plan.as_of:%Y-%m-%d}/person.csv"] == len(person)


def test_another_language_tells_the_same_plan_in_other_words(desk: Desk) -> None:
    english, rows = desk.plan(CALL)
    chinese, told = desk.plan(CALL, '[serving]\nlanguage = "zh"\n')
    assert chinese.plan_id != english.plan_id
    assert told["treatment"].equals(rows["treatment"])
    assert set(told["reason"]).isdisjoint(rows["reason"])
