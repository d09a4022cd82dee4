from datetime import date
from pathlib import Path

import pytest

from features.configuration import Configuration
from features.errors import InputError
from features.instants import calendar_day
from features.treatment_settings import PlanSettings, TreatmentSettings, read_treatments

COUPON = """
[[treatments]]
name = "coupon"
purpose = "win_back"
channels = ["email", "phone"]
when = "lifecycle_stage = 'lost'"
cost = 4
effect = "0.08 * expected_value"
text = "Send it."
"""
CHRISTMAS = date(2026, 12, 25)


def configuration(folder: Path, text: str, *overrides: str) -> Configuration:
    file = folder / "tierwise.toml"
    file.write_text(text, "utf-8")
    return Configuration.read(file, overrides, environ={})


def treatments(folder: Path, text: str) -> tuple[TreatmentSettings, ...] | None:
    return read_treatments(configuration(folder, text))


def plan(folder: Path, text: str) -> PlanSettings:
    return configuration(folder, f"[plan]\n{text}").section("plan", PlanSettings)


def test_a_treatment_and_what_it_is_without_a_word(tmp_path: Path) -> None:
    (coupon,) = treatments(tmp_path, COUPON) or ()
    assert (coupon.name, coupon.channels, coupon.cost) == ("coupon", ("email", "phone"), 4.0)
    assert (coupon.cost_share, coupon.capacity, coupon.cooldown_days, coupon.priority) == (0.0, None, 90, 5)
    assert not coupon.duty
    assert not coupon.needs_product


def test_an_effect_may_be_a_number(tmp_path: Path) -> None:
    (coupon,) = treatments(tmp_path, COUPON.replace('"0.08 * expected_value"', "3")) or ()
    assert coupon.effect == "3"


def test_none_named_is_not_an_empty_list(tmp_path: Path) -> None:
    assert treatments(tmp_path, "") is None
    assert treatments(tmp_path, "treatments = []") == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cost = 4", "cost = -4.0", "treatments.coupon.cost = -4.0 should be greater than or equal to 0"),
        ("cost = 4", "cost = inf", "treatments.coupon.cost"),
        ("cost = 4", "", "treatments.coupon.cost is missing"),
        ("cost = 4", "cost = 4\ncost_share = 1.5", "treatments.coupon.cost_share = 1.5 should be less"),
        ("cost = 4", "cost = 4\ncapacity = -1", "treatments.coupon.capacity = -1 should be greater"),
        ('"0.08 * expected_value"', "[1]", "treatments.coupon.effect = [1] should be a valid string"),
        ("cost = 4", "cots = 4", "there is no key treatments.coupon.cots; did you mean 'cost'?"),
        ('"win_back"', '"wnback"', "treatments.coupon.purpose = 'wnback' should be 'retain', 'win_back'"),
        ('["email", "phone"]', "[]", "treatments.coupon.channels = [] Tuple should have at least 1 item"),
        (
            '["email", "phone"]',
            '["email", "email"]',
            "treatments.coupon.channels = ['email', 'email'] names 'email' twice",
        ),
        (
            '["email", "phone"]',
            '"email"',
            'treatments.coupon.channels is a list; write it in brackets: channels = ["email"]',
        ),
        ("cost = 4", 'cost = 4\nwhy = ""', "treatments.coupon.why = '' String should have at least 1"),
        ('["email", "phone"]', '["any"]', "treatments.coupon.channels.0 = 'any' is taken"),
        (
            "cost = 4",
            "cost = 1e12",
            "treatments.coupon.cost = 1000000000000.0 should be less than or equal to",
        ),
        ("cost = 4", f"cost = 4\ncapacity = 1{'0' * 25}", f"capacity = 1{'0' * 25} should be less than or"),
        ('["email", "phone"]', '["person"]', "treatments.coupon.channels.0 = 'person' is taken"),
        (
            '"coupon"',
            '"nothing"',
            "treatments.nothing.name = 'nothing' is taken: 'nothing', 'any', 'automated' and",
        ),
        ('"Send it."', f'"{"x" * 10_001}"', f"{'x' * 199} String should have at most 10000 characters"),
        ('name = "coupon"', "", "treatments.0.name is missing"),
        ("[[treatments]]", "[treatments]", "treatments is a list of tables; head each by [[treatments]]"),
    ],
)
def test_a_treatment_that_is_wrong_is_told(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError) as told:
        treatments(tmp_path, COUPON.replace(old, new))
    assert message in str(told.value)


def test_a_list_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"treatments is a list of tables; head each by \[\[treatments\]\]"):
        treatments(tmp_path, 'treatments = ["coupon"]')


def test_a_plan_and_what_it_is_without_a_word(tmp_path: Path) -> None:
    assert plan(tmp_path, "") == PlanSettings()
    read = plan(
        tmp_path,
        'quiet_days = ["2026-12-25", 2026-12-26]\n[plan.capacity]\nphone = 0\n[plan.allowed]\nany = "true"\n'
        '[[plan.cadence]]\ntier = "high"\nevery_days = 30\n',
    )
    assert read.quiet_days == (CHRISTMAS, date(2026, 12, 26))
    assert (read.capacity, read.allowed, read.cadence and read.cadence[0].channels) == (
        {"phone": 0},
        {"any": "true"},
        None,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("holdout = 0.6", "plan.holdout = 0.6 should be less than or equal to 0.5"),
        ("explore = -0.1", "plan.explore = -0.1 should be greater than or equal to 0"),
        ("budget = -1.0", "plan.budget = -1.0 should be greater than or equal to 0"),
        ("budget = nan", "plan.budget"),
        ("holdouts = 0.1", "there is no key plan.holdouts; did you mean 'holdout'?"),
        ('quiet_days = ["25.12."]', "plan.quiet_days.0 = '25.12.'"),
        (
            "quiet_days = 2026-12-25",
            'plan.quiet_days is a list; write it in brackets: quiet_days = ["2026-12-25"]',
        ),
        (
            "[plan.quiet_days]\nchristmas = 25",
            "plan.quiet_days is a list; write it in brackets: quiet_days = [...]",
        ),
        ('cadence = "low"', "plan.cadence is a list; head each of its tables by [[plan.cadence]]"),
        ('[plan.cadence]\ntier = "low"', "is a list; head each of its tables by [[plan.cadence]]"),
        (
            '[[plan.cadence]]\ntier = "low"\nchannels = "email"',
            'plan.cadence.0.channels is a list; write it in brackets: channels = ["email"]',
        ),
        ("[plan.capacity]\nphone = -1", "plan.capacity.phone = -1 should be greater than or equal to 0"),
        ('[[plan.cadence]]\ntier = "a"', "plan.cadence.0 says nothing: set every_days, channels or both"),
        (
            '[[plan.cadence]]\ntier = "a"\nevery_days = 1\n[[plan.cadence]]\ntier = "a"\nevery_days = 2',
            "names the tier 'a' twice; give each tier one cadence",
        ),
        (
            '[[plan.cadence]]\ntier = "a"\nevery_day = 1',
            "there is no key plan.cadence.0.every_day; did you mean 'every_days'?",
        ),
    ],
)
def test_a_plan_that_is_wrong_is_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as told:
        plan(tmp_path, text)
    assert message in str(told.value)


def test_contacts_begin_on_the_first_day_that_is_not_quiet() -> None:
    day = calendar_day(CHRISTMAS)
    assert PlanSettings().first_day(day) == day
    assert PlanSettings(quiet_days=(CHRISTMAS,)).first_day(day) == day + 1
    assert PlanSettings(quiet_days=(CHRISTMAS,), due_days=1).first_day(day) is None
