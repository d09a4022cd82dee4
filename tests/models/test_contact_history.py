from typing import Any

import pytest

from tests.models.company import CARE, COUPON, TODAY, ago, arms, subject


@pytest.mark.parametrize(
    ("complaint", "rules"),
    [
        pytest.param((ago(3), None, ago(3)), ["open_complaint"], id="open"),
        pytest.param((ago(3), ago(1), ago(3)), [], id="resolved"),
        pytest.param((ago(3), ago(-1), ago(3)), ["open_complaint"], id="resolved-later"),
        pytest.param((ago(0), None, ago(0)), [], id="not-yet"),
        pytest.param((ago(180), None, ago(180)), ["open_complaint"], id="half-a-year-old"),
        pytest.param((ago(181), None, ago(181)), [], id="older"),
        pytest.param((ago(3), None, ago(-1)), [], id="known-too-late"),
    ],
)
def test_an_open_complaint_blocks_selling_and_not_care(complaint: tuple[Any, ...], rules: list[str]) -> None:
    opened, closed = arms(subject(), treatments=[COUPON, CARE], complaints=[("ann", *complaint)])
    assert ("care" in {row[1] for row in opened}, [row[2] for row in closed]) == (True, rules)


@pytest.mark.parametrize(
    ("days", "closed"),
    [(0.1, True), (89.4, True), (89.6, False), (90, False), (0, False), (-1, False)],
)
@pytest.mark.parametrize("is_holdout", [0, 1])
def test_a_treatment_is_not_assigned_again_before_its_time(
    days: float, closed: bool, is_holdout: int
) -> None:
    plan = {"most_contacts": 9, "cadence": ()}
    _, found = arms(subject(), plan=plan, log=[("ann", ago(days), "coupon", is_holdout, "email")])
    assert found == ([("ann", "coupon", "cooldown")] if closed else [])


@pytest.mark.parametrize(
    ("log", "closed"),
    [
        pytest.param(
            [("ann", ago(29), "a", 0, "email"), ("ann", ago(1), "b", None, "phone")], True, id="two"
        ),
        pytest.param([("ann", ago(30), "a", 0, "email"), ("ann", ago(1), "b", 0, "phone")], False, id="old"),
        pytest.param([("ann", ago(2), "a", 1, "email"), ("ann", ago(1), "b", 0, "phone")], False, id="held"),
        pytest.param(
            [("ann", ago(2), "nothing", 0, "email"), ("ann", ago(1), "b", 0, "x")], False, id="none"
        ),
        pytest.param([("ann", ago(2), "a", 0, None), ("ann", ago(1), "b", 0, "x")], False, id="unseen"),
        pytest.param([("bob", ago(2), "a", 0, "email"), ("ann", ago(1), "b", 0, "x")], False, id="others"),
    ],
)
def test_contacts_count_across_treatments(log: list[tuple[Any, ...]], closed: bool) -> None:
    opened, found = arms(subject(), log=log)
    assert (not opened, found) == (closed, [("ann", "coupon", "frequency_cap")] if closed else [])


@pytest.mark.parametrize(
    ("answers", "channel"),
    [
        pytest.param([], "email", id="the-usual"),
        pytest.param([("ann", TODAY - 1, "call", None)], "phone", id="a-call"),
        pytest.param([("ann", TODAY - 1, "message", "phone")], "phone", id="by-its-channel"),
        pytest.param(
            [("ann", TODAY - 1, "call", None), ("ann", TODAY - 2, "email_click", None)],
            "email",
            id="as-often",
        ),
        pytest.param([("ann", TODAY - 366, "call", None)], "email", id="too-old"),
        pytest.param([("ann", TODAY, "call", None)], "email", id="not-yet"),
        pytest.param([("ann", TODAY - 1, "visit", "phone")], "email", id="no-answer"),
        pytest.param([("bob", TODAY - 1, "call", None)], "email", id="others"),
    ],
)
def test_the_channel_is_the_one_that_the_customer_answers(answers: list[Any], channel: str) -> None:
    opened, _ = arms(subject(), answers=answers)
    assert [row[2] for row in opened] == [channel]


def test_a_channel_that_is_answered_is_of_no_use_where_it_is_refused() -> None:
    answers = [("ann", TODAY - 1, "call", None)]
    opened, _ = arms(subject(consent=0), answers=answers, plan={"allowed": {"phone": "consent"}})
    assert [row[2] for row in opened] == ["email"]
