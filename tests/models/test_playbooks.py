import re
from pathlib import Path
from typing import Any

import pytest

from features.configuration import Configuration
from features.contract import Kind
from features.errors import InputError
from features.treatment_settings import PlanSettings, TreatmentSettings, read_treatments
from models.contact_rules import RULES, ContactRules
from models.playbooks import DEFAULT_TIERS, SHIPPED, Playbook, left_out, playbooks, shipped_cadence
from models.wording import LANGUAGES

KINDS = {
    **dict.fromkeys(("value_tier", "lifecycle_stage", "loyalty_tier", "need", "next_tier"), Kind.TEXT),
    **dict.fromkeys(
        ("expected_value", "spend_mean_order", "complaints_open", "next_tier_spend"), Kind.NUMBER
    ),
    **dict.fromkeys(("birthday_in_days", "anniversary_in_days", "anniversary_years"), Kind.NUMBER),
    **dict.fromkeys(("birthday_on", "anniversary_on"), Kind.TEXT),
    "feedback_complaint_days_since": Kind.NUMBER,
    "is_base_customer": Kind.FLAG,
}
DOCUMENT = (Path(__file__).parents[2] / "docs" / "treatments.md").read_text("utf-8")
COUPON: dict[str, Any] = {
    "name": "coupon",
    "purpose": "win_back",
    "channels": ("email",),
    "when": "lifecycle_stage = 'lost'",
    "cost": 4.0,
    "effect": "0.1 * expected_value",
    "text": "Send it.",
}
USUAL = {
    "value_tier": "ordinary",
    "lifecycle_stage": "established",
    "loyalty_tier": "regular",
    "need": None,
    "expected_value": 50.0,
    "spend_mean_order": 25.0,
    "complaints_open": 0.0,
    "is_base_customer": 0,
    "birthday_in_days": 100.0,
}


def read(**changed: Any) -> Playbook:
    (playbook,) = playbooks([TreatmentSettings.model_validate(COUPON | changed)], columns=KINDS)
    return playbook


def shipped_for(**changed: Any) -> set[str]:
    row = USUAL | changed
    return {each.name for each in playbooks(None, columns=KINDS) if each.when.holds(row, {})}


def test_a_playbook_is_read() -> None:
    coupon = read()
    assert coupon.when.holds({"lifecycle_stage": "lost"}, {})
    assert coupon.columns == ("lifecycle_stage", "expected_value")
    assert coupon.sells
    assert not coupon.is_shipped
    assert not read(purpose="care").sells


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"when": "lifecicle_stage = 'lost'"},
            "treatments.coupon.when = \"lifecicle_stage = 'lost'\": there is no column 'lifecicle_stage'",
        ),
        ({"when": "value_tier = 'hihg'"}, "value_tier is never 'hihg'; did you mean 'high'?"),
        ({"when": "lifecycle_stage = 'gone'"}, "lifecycle_stage is never 'gone'"),
        (
            {"when": "expected_value"},
            "treatments.coupon.when = 'expected_value': 'expected_value' is no truth",
        ),
        ({"effect": "0.1 * clvv"}, "treatments.coupon.effect = '0.1 * clvv': there is no column 'clvv'"),
    ],
)
def test_a_playbook_that_is_wrong_is_told(changed: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as told:
        read(**changed)
    assert message in str(told.value)


def test_a_name_stands_once() -> None:
    settings = [TreatmentSettings.model_validate(COUPON)] * 2
    with pytest.raises(InputError, match=r"treatments: the name 'coupon' stands twice; give each treatment"):
        playbooks(settings, columns=KINDS)


@pytest.mark.parametrize("changed", [{"when": "gender = 'f'"}, {"effect": "0.1 * age"}])
def test_nobody_is_treated_by_a_protected_attribute(changed: dict[str, str]) -> None:
    settings = [TreatmentSettings.model_validate(COUPON | changed)]
    kinds = KINDS | {"gender": Kind.TEXT, "age": Kind.NUMBER}
    assert playbooks(settings, columns=kinds)
    with pytest.raises(InputError, match=r"treatments.coupon names '(gender|age)', which tiers.fairness"):
        playbooks(settings, columns=kinds, protected=("age", "gender"))


def test_who_names_an_empty_list_has_no_treatments() -> None:
    assert playbooks([], columns=KINDS) == ()


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"lifecycle_stage": "prospect"}, "first_order_invitation"),
        ({"lifecycle_stage": "first_time"}, "newcomer_guide"),
        ({"lifecycle_stage": "repeat"}, "repeat_incentive"),
        ({"lifecycle_stage": "won_back"}, "welcome_back"),
        ({"lifecycle_stage": "lost"}, "win_back"),
        ({"lifecycle_stage": "lapsing", "loyalty_tier": "at_risk"}, "at_risk_call"),
        ({"value_tier": "high"}, "vip_care"),
        ({"value_tier": "low"}, "low_tier_message"),
        ({"need": "price"}, "price_notice"),
        ({"need": "service"}, "technical_follow_up"),
        ({"complaints_open": 1.0, "feedback_complaint_days_since": 9.0}, "complaint_call"),
        ({"birthday_in_days": 3.0}, "birthday_greeting"),
        ({"anniversary_in_days": 3.0, "anniversary_years": 2.0}, "anniversary_greeting"),
        ({"next_tier": "high", "next_tier_spend": 60.0}, "next_tier"),
        ({"is_base_customer": 1}, "base_customer_thanks"),
    ],
)
def test_a_default_is_for_its_occasion_alone(changed: dict[str, Any], name: str) -> None:
    assert shipped_for() == set()
    assert name in shipped_for(**changed)


def test_nobody_of_the_lowest_tier_is_called_and_no_tier_out_of_reach_is_told() -> None:
    assert "at_risk_call" not in shipped_for(value_tier="low", loyalty_tier="at_risk")
    assert "next_tier" not in shipped_for(next_tier="high", next_tier_spend=80.0)
    assert "anniversary_greeting" not in shipped_for(anniversary_in_days=3.0, anniversary_years=0.0)


def test_an_open_complaint_is_settled_before_anything_is_sold() -> None:
    defaults = playbooks(None, columns=KINDS)
    assert [(each.name, each.priority) for each in defaults if each.duty] == [("complaint_call", 1)]
    assert all(each.is_shipped for each in defaults)
    assert not defaults[0].sells
    assert {each.name for each in defaults if each.sells} >= {"win_back", "at_risk_call", "price_notice"}


def test_the_defaults_know_the_company_by_its_own_tiers() -> None:
    own = playbooks(None, columns=KINDS, tiers=("战略", "O'Hara"))
    whens = {each.name: each.when.text for each in own}
    assert whens["vip_care"].startswith("value_tier = '战略'")
    assert whens["low_tier_message"].startswith("value_tier = 'O''Hara'")


def test_defaults_that_ask_for_what_is_not_recorded_are_left_out_and_told() -> None:
    known = {name: kind for name, kind in KINDS.items() if name not in {"birthday_on", "need"}}
    names = {each.name for each in playbooks(None, columns=known)}
    lacking = {
        "birthday_greeting": ("birthday_on",),
        "price_notice": ("need",),
        "technical_follow_up": ("need",),
    }
    assert left_out(known) == lacking
    assert names == {table["name"] for table in SHIPPED["treatments"]} - lacking.keys()
    assert playbooks(None, columns={}) == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_texts_of_the_defaults_are_told_in_every_language(language: str) -> None:
    texts = [each.text for each in playbooks(None, columns=KINDS, language=language)]
    assert len(set(texts)) == len(SHIPPED["treatments"])
    assert all(("。" in text) == (language == "zh") for text in texts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_for_whom_a_default_is_is_said_in_plain_words_of_every_language(language: str) -> None:
    defaults = playbooks(None, columns=KINDS, language=language)
    told = {each.occasion for each in defaults}
    assert len(told) == len(SHIPPED["treatments"])
    assert not any(set("=<>_'{") & set(words) for words in told)
    assert all(words.isascii() == (language == "en") for words in told)
    assert read().occasion == "lifecycle_stage = 'lost'"


@pytest.mark.parametrize(
    ("tiers", "days", "channels"),
    [
        (DEFAULT_TIERS, [14, 21, 21, 30], [None, None, None, ("email",)]),
        (("a", "b"), [14, 30], [None, ("email",)]),
        (("a",), [14], [None]),
    ],
)
def test_the_cadence_of_the_defaults_leaves_the_lowest_tier_to_automation(
    tiers: tuple[str, ...], days: list[int], channels: list[Any]
) -> None:
    cadence = shipped_cadence(tiers)
    assert [each.tier for each in cadence] == list(tiers)
    assert [each.every_days for each in cadence] == days
    assert [each.channels for each in cadence] == channels


def test_the_document_tells_the_defaults_as_they_are() -> None:
    told = re.findall(r"(?m)^\| `(\w+)`( \(duty\))? \| .* \| (.*) \| (.*) \| (.*) \|$", DOCUMENT)
    costs = {each.name: f"{each.cost:g}" for each in playbooks(None, columns=KINDS)}
    shares = {
        each.name: f" + {each.cost_share:.0%}" for each in playbooks(None, columns=KINDS) if each.cost_share
    }
    assert told == [
        (
            each.name,
            " (duty)" if each.duty else "",
            ", ".join(each.channels),
            costs[each.name] + shares.get(each.name, ""),
            each.effect.text,
        )
        for each in playbooks(None, columns=KINDS)
    ]


def test_the_document_tells_the_rules_in_their_order() -> None:
    _, listed = DOCUMENT.split("| rule | closes |")
    listed, _ = listed.split("\n\n", 1)
    assert tuple(re.findall(r"(?m)^\| `(\w+)` \|", listed)) == RULES


def test_what_the_document_shows_is_read(tmp_path: Path) -> None:
    text = "\n".join(re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)[:2])
    (tmp_path / "tierwise.toml").write_text(text, "utf-8")
    configuration = Configuration.read(tmp_path / "tierwise.toml", environ={})
    consent = ("opted_out", "wants_a_person", "email_consent", "phone_consent")
    kinds = KINDS | {"historic_value": Kind.NUMBER} | dict.fromkeys(consent, Kind.FLAG)
    read = playbooks(read_treatments(configuration), columns=kinds)
    rules = ContactRules.of(configuration.section("plan", PlanSettings), read, columns=kinds)
    assert ([each.name for each in read], rules.allowed.keys()) == (
        ["winback_coupon"],
        {"any", "automated", "email", "phone"},
    )


@pytest.mark.parametrize(
    ("changed", "copies"),
    [
        ({"when": "lifecicle_stage = 'lost'"}, 1),
        ({"effect": "0.02 * spend_mean_ordr"}, 1),
        ({}, 2),
    ],
)
def test_the_errors_of_the_document_are_said_so(changed: dict[str, str], copies: int) -> None:
    settings = TreatmentSettings.model_validate(COUPON | {"name": "winback_coupon"} | changed)
    with pytest.raises(InputError) as told:
        playbooks([settings] * copies, columns=KINDS)
    assert str(told.value) in DOCUMENT.splitlines()
