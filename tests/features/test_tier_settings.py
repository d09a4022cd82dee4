from pathlib import Path

import pytest

from features.configuration import Configuration
from features.errors import InputError
from features.tier_settings import TierSettings, default_levels

OWN = """
[tiers]
hysteresis = 0.2
frequency_bands = [4, 12]
[[tiers.levels]]
name = "战略"
when = "brings(clv, 0.8)"
[[tiers.levels]]
name = "rest"
[[tiers.flows]]
tier = "战略"
when = "spend_30d > 5000"
reason = "large spend"
[tiers.fairness]
attributes = ["gender"]
"""


def settings(folder: Path, text: str) -> TierSettings:
    file = folder / "tierwise.toml"
    file.write_text(text, "utf-8")
    return Configuration.read(file, environ={}).section("tiers", TierSettings)


def test_a_company_names_its_own_tiers(tmp_path: Path) -> None:
    own = settings(tmp_path, OWN)
    assert [(level.name, level.when) for level in own.levels] == [
        ("战略", "brings(clv, 0.8)"),
        ("rest", None),
    ]
    assert (own.flows[0].tier, own.hysteresis, own.frequency_bands) == ("战略", 0.2, (4.0, 12.0))
    assert own.fairness.attributes == ("gender",)
    assert not own.fairness.may_be_features


def test_without_a_table_all_is_default(tmp_path: Path) -> None:
    assert settings(tmp_path, "") == TierSettings()


@pytest.mark.parametrize(
    ("setting", "means", "names"),
    [
        ("transactional", None, ["high", "potential", "ordinary", "low"]),
        ("contractual", None, ["high", "potential", "ordinary", "low"]),
        ("labelled", "churn", ["high", "ordinary", "low"]),
        ("labelled", "conversion", ["high", "potential", "ordinary", "low"]),
    ],
)
def test_who_names_no_tiers_has_those_of_the_setting(
    setting: str, means: str | None, names: list[str]
) -> None:
    levels = default_levels(setting, means, ["clv", "potential_score"])
    assert [level.name for level in levels] == names
    assert [level.name for level in levels if level.when is None] == ["low"]


def test_contracts_without_a_fee_are_graded_by_their_risk() -> None:
    whens = [level.when for level in default_levels("contractual", None, ["churn_risk", "potential_score"])]
    assert whens == ["bottom(churn_risk, 0.2)", "bottom(churn_risk, 0.6)", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'purpose = "pricing"',
            "tiers.purpose = 'pricing' is refused: tiers decide how well a customer is served",
        ),
        ('purpose = "x"', "tiers.purpose = 'x' is not known; the one purpose of tiers is 'service'"),
        ("hysteresis = 0.6", "tiers.hysteresis = 0.6 should be less than or equal to 0.5"),
        ("minimum_stay_days = -1", "tiers.minimum_stay_days = -1 should be greater than or equal to 0"),
        (
            "monetary_bands = [9, 3]",
            "tiers.monetary_bands = [9, 3] must rise: where medium begins, then where high",
        ),
        ("lapsing_days = 90\nlost_days = 60", "tiers lapsing_days = 90 must be less than lost_days = 60"),
        ("lapsing_days = 0.2\nlost_days = 0.4", "tiers.lapsing_days = 0.2"),
        ("hysteresys = 0.1", "there is no key tiers.hysteresys; did you mean 'hysteresis'?"),
        ('levels = [{name = " "}]', "tiers.levels.0.name = ' ' is no name: take 1 to 80 letters"),
        ('levels = [{when = "clv > 1"}]', "tiers.levels.0.name is missing"),
        (
            'levels = [{name = "a", wen = "clv > 1"}]',
            "there is no key tiers.levels.0.wen; did you mean 'when'?",
        ),
        ('flows = [{tier = "a", when = "vip"}]', "tiers.flows.0.reason is missing"),
        (
            "fairness = {attribute = []}",
            "there is no key tiers.fairness.attribute; did you mean 'attributes'?",
        ),
    ],
)
def test_settings_that_are_wrong_are_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as told:
        settings(tmp_path, f"[tiers]\n{text}\n")
    assert message in str(told.value)
