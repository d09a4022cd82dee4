from datetime import UTC, datetime

import pandas as pd
import pytest

from features.assignments import Log
from models.effects import NOBODY_HELD
from models.policies import AS_MADE, COLUMNS, EVERYBODY, NO_COST, UNKNOWN_CHANCES, WHAT_PAYS
from models.policy_value import CONTRADICTED, NO_OVERLAP
from training.effect_report import EffectReport
from training.plan_words import LATEST, told, written
from training.report_words import Words

ENGLISH = Words("en")


def measured(gain: float = 2.0, **other: object) -> dict[str, object]:
    ends = {"gain": gain, "gain_low": gain - 1, "gain_high": gain + 1, "ips": gain, "total": 1000 * gain}
    return {"rule": AS_MADE, "run_id": None, "assignments": 1000, "left_out": 0, **ends} | other


def report(*rows: dict[str, object]) -> EffectReport:
    plans = pd.DataFrame([{"reason": None} | row for row in rows], columns=list(COLUMNS))
    log = Log(1000, 1000, 0, 0, 0, 0)
    when = datetime(2024, 7, 1, tzinfo=UTC)
    return EffectReport(
        as_of=when, horizon_days=90, currency="EUR", value="revenue", log=log, table=plans, plans=plans
    )


@pytest.mark.parametrize(
    ("gain", "says"),
    [
        (2.0, "earned 2.00 per assignment more than leaving everybody alone (95% interval 1.00 to 3.00)"),
        (-2.0, "Doing nothing would have earned more."),
        (0.5, "whether they earned more than nothing is open."),
    ],
)
def test_it_is_said_whether_all_treatments_earned_more_than_nothing(gain: float, says: str) -> None:
    assert says in told(report(measured(gain)), ENGLISH)[0]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("reason", [UNKNOWN_CHANCES, NO_COST, NOBODY_HELD, NO_OVERLAP, CONTRADICTED])
def test_what_cannot_be_judged_says_why_with_its_number_and_has_no_row(reason: str, language: str) -> None:
    refused = report({"rule": AS_MADE, "run_id": None, "reason": reason, "number": 17.0, "left_out": 9})
    (sentence,) = told(refused, Words(language))
    assert ("17" in sentence) is (reason != NOBODY_HELD)
    assert written(refused, Words(language))[1] == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_best_treatment_for_everybody_is_told_and_how_many_are_too_rare(language: str) -> None:
    rows = [
        measured(gain, rule=EVERYBODY, treatment=name, more=gain - 2, more_low=gain - 4, more_high=gain)
        for name, gain in (("call", 1.0), ("coupon", 5.0), ("guide", -3.0))
    ]
    rare = [
        {"rule": EVERYBODY, "treatment": name, "run_id": None, "reason": NO_OVERLAP, "number": number}
        for name, number in (("care", 3.0), ("gift", 12.0))
    ]
    whole = report(measured(), *rows, *rare)
    best, too_rare = told(whole, Words(language))[1:]
    assert all(each in best for each in ("coupon", "1,000", "5.00", "3.00"))
    assert all(each in too_rare for each in ("2", "12", "30", "plan.explore"))
    assert len(written(whole, Words(language))[1]) == 4


def test_the_whole_stands_before_the_latest_plans_and_what_was_left_out_is_said() -> None:
    day = 86_400_000_000
    runs = [measured(run_id=f"run {number}", began=number * day) for number in range(LATEST + 2)]
    pays = measured(3.0, rule=WHAT_PAYS, more=1.0, more_low=0.1, more_high=1.9)
    whole = report(measured(left_out=40), pays, *runs)
    better, left_out = told(whole, ENGLISH)[1:]
    assert "would have come to 3.00 per assignment (95% interval 2.00 to 4.00): 1.00 beyond" in better
    assert left_out.startswith("40 assignments do not count")
    names = [row[0] for row in written(whole, ENGLISH)[1]]
    assert names[:3] == ["what was intended", "only what pays", "plan of 1970-01-14"]
    assert len(names) == 2 + LATEST
