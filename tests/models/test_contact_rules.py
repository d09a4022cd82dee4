from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.contract import DAY, Kind
from features.errors import InputError
from features.treatment_settings import Cadence, PlanSettings, TreatmentSettings
from models.contact_rules import ContactRules, open_arms
from models.playbooks import DEFAULT_TIERS, playbooks
from tests.models.company import CARE, COUPON, KINDS, NOW, TODAY, ago, arms, subject


def test_a_treatment_is_open_to_whom_its_condition_names() -> None:
    opened, closed = arms(subject(), subject("bob", clv=10.0), subject("cid", clv=None))
    assert opened == [("ann", "coupon", "email", 4.0, 2.0, 20.0)]
    assert closed == []


def test_consent_is_asked_for_any_contact_and_for_each_channel() -> None:
    plan = {"allowed": {"any": "clv <> 99", "email": "consent"}}
    subjects = [subject(), subject("bob", consent=0), subject("cid", consent=None), subject("dot", clv=99.0)]
    opened, closed = arms(*subjects, plan=plan, treatments=[COUPON | {"channels": ("email",)}])
    assert [row[0] for row in opened] == ["ann"]
    assert closed == [
        ("bob", "coupon", "channel_opt_out"),
        ("cid", "coupon", "channel_opt_out"),
        ("dot", "coupon", "opted_out"),
    ]


def test_who_refuses_a_channel_is_reached_over_another() -> None:
    opened, closed = arms(subject(consent=0), plan={"allowed": {"email": "consent"}})
    assert [(row[0], row[2]) for row in opened] == [("ann", "phone")]
    assert closed == []


def test_who_refuses_automated_decisions_is_left_to_a_person() -> None:
    late = [("bob", ago(10), "coupon", 0, "email")]
    opened, closed = arms(
        *(subject(name, machine=0) for name in ("ann", "bob")),
        plan={"allowed": {"automated": "machine"}},
        treatments=[COUPON, CARE],
        log=late,
    )
    assert opened == []
    assert closed == [
        ("ann", "care", "automated_opt_out"),
        ("ann", "coupon", "automated_opt_out"),
        ("bob", "care", "automated_opt_out"),
        ("bob", "coupon", "cooldown"),
    ]


def test_when_everybody_opted_out_nothing_is_open() -> None:
    opened, closed = arms(subject(), subject("bob"), plan={"allowed": {"any": "false"}})
    assert opened == []
    assert [row[2] for row in closed] == ["opted_out"] * 2


def test_a_treatment_nobody_is_eligible_for_is_neither_open_nor_closed() -> None:
    assert arms(subject(), treatments=[COUPON | {"when": "clv > 1e9"}]) == ([], [])
    assert arms(subject(), treatments=[]) == ([], [])
    assert arms() == ([], [])


def test_ranks_are_those_among_all_subjects() -> None:
    subjects = [subject(name, clv=float(at)) for at, name in enumerate(["a", "b", "c", "d", "e"])]
    opened, _ = arms(*subjects, treatments=[COUPON | {"when": "top(clv, 0.4)"}])
    assert [row[0] for row in opened] == ["d", "e"]


def test_what_is_not_known_of_the_effect_stays_unknown() -> None:
    opened, _ = arms(subject(expected_value=None))
    assert opened == [("ann", "coupon", "email", 4.0, None, 0.0)]


def test_a_tier_has_its_own_pace_and_channels() -> None:
    plan = {
        "cadence": ({"tier": "high", "every_days": 10}, {"tier": "low", "channels": ("email",)}),
    }
    log = [(name, ago(9), "other", 0, "email") for name in ("ann", "low", "mid")]
    subjects = [subject(), subject("bob"), subject("low", value_tier="low"), subject("mid", value_tier=None)]
    opened, closed = arms(*subjects, plan=plan, treatments=[COUPON, CARE], log=log)
    assert [row[:3] for row in opened] == [
        ("bob", "care", "phone"),
        ("bob", "coupon", "email"),
        ("low", "coupon", "email"),
        ("mid", "care", "phone"),
        ("mid", "coupon", "email"),
    ]
    assert closed == [("ann", "care", "cadence"), ("ann", "coupon", "cadence"), ("low", "care", "cadence")]


def test_a_duty_is_bound_to_consent_and_its_own_time_alone() -> None:
    plan = {
        "most_contacts": 0,
        "cadence": ({"tier": "high", "every_days": 90, "channels": ("email",)},),
        "allowed": {"phone": "consent"},
    }
    log = [("ann", ago(1), "other", 0, "email"), ("bob", ago(1), "care", 0, None)]
    subjects = [subject(), subject("bob"), subject("cid", consent=0)]
    opened, closed = arms(*subjects, plan=plan, treatments=[COUPON, CARE | {"duty": True}], log=log)
    assert [row[:3] for row in opened] == [("ann", "care", "phone")]
    assert ("bob", "care", "cooldown") in closed
    assert ("cid", "care", "channel_opt_out") in closed


def test_a_plan_whose_days_are_all_quiet_opens_nothing() -> None:
    quiet = {"quiet_days": (date(2024, 3, 1), date(2024, 3, 2))}
    assert arms(subject(), plan=quiet | {"due_days": 2})[1] == [("ann", "coupon", "quiet")]
    assert arms(subject(), plan=quiet | {"due_days": 3})[1] == []


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (
            {"allowed": {"emial": "consent"}},
            "plan.allowed.emial: no treatment goes over the channel 'emial'; did",
        ),
        ({"capacity": {"fax": 3}}, "plan.capacity.fax: no treatment goes over the channel 'fax'; known are"),
        (
            {"cadence": ({"tier": "low", "channels": ("phon",)},)},
            "plan.cadence.0.channels: no treatment goes over the channel 'phon'; did you mean 'phone'?",
        ),
        (
            {"cadence": ({"tier": "lwo", "every_days": 3},)},
            "plan.cadence.0.tier: there is no tier 'lwo'; did you mean 'low'?",
        ),
        (
            {"allowed": {"any": "not optout"}},
            "plan.allowed.any = 'not optout': there is no column 'optout'",
        ),
    ],
)
def test_rules_that_are_wrong_are_told(plan: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as told:
        arms(subject(), plan=plan)
    assert message in str(told.value)


def test_the_cadence_of_the_defaults_holds_as_long_as_they_do() -> None:
    kinds = KINDS | {"lifecycle_stage": Kind.TEXT}
    shipped = playbooks(None, columns=kinds)
    own = playbooks([TreatmentSettings.model_validate(COUPON)], columns=kinds)
    assert [each.tier for each in ContactRules.of(PlanSettings(), shipped, columns=kinds).cadence] == list(
        DEFAULT_TIERS
    )
    assert ContactRules.of(PlanSettings(), own, columns=kinds).cadence == ()
    assert ContactRules.of(PlanSettings(cadence=()), shipped, columns=kinds).cadence == ()


def test_nobody_is_reached_or_left_alone_by_a_protected_attribute() -> None:
    plan = PlanSettings(allowed={"any": "clv > 1", "automated": "machine or consent"})
    read = playbooks([TreatmentSettings.model_validate(COUPON)], columns=KINDS)
    with pytest.raises(InputError, match=r"plan.allowed.automated names 'consent', which tiers.fairness"):
        ContactRules.of(plan, read, columns=KINDS, protected=("consent",))


def test_attributes_may_be_called_as_our_own_columns() -> None:
    known = {"_contacts": 7.0, "_contact_days": 7.0, "_days_0": 7.0, "_answers_0": 7.0, "_complains": 1.0}
    connection = duckdb.connect(config={"threads": 1})
    columns = {"customer_id": "ann", "value_tier": "high", "clv": 50.0, "expected_value": 20.0, **known}
    listed = ", ".join(f"{value!r} AS {name}" for name, value in columns.items())
    connection.execute(f"CREATE TABLE subjects AS SELECT {listed}")
    kinds = KINDS | dict.fromkeys(known, Kind.NUMBER)
    named = " and ".join(f"{name} > 0" for name in known)
    read = playbooks([TreatmentSettings.model_validate(COUPON | {"when": named})], columns=kinds)
    plan = PlanSettings(cadence=(Cadence(tier="high", every_days=9),), allowed={"email": "_contacts = 7"})
    rules = ContactRules.of(plan, read, columns=kinds)
    open_arms(connection, read, rules, cutoff=NOW)
    assert connection.execute("SELECT customer_id, channel FROM arms").fetchall() == [("ann", "email")]


def test_names_and_texts_with_quotes_are_no_harm() -> None:
    odd = COUPON | {"name": "it's; --", "channels": ("e\"mail'",)}
    opened, _ = arms(subject(), treatments=[odd])
    assert opened[0][:3] == ("ann", "it's; --", "e\"mail'")


def expected(
    row: Mapping[str, Any], playbook: Mapping[str, Any], log: Sequence[Any], answers: Sequence[Any]
) -> str | None:
    """Tell the channel over which a treatment is open to a customer, or the rule that closes it, anew."""
    who = row["customer_id"]
    past = [
        (round((NOW.micros - at) / DAY), treatment, held)
        for name, at, treatment, held, _ in log
        if name == who
    ]
    contacts = [days for days, _, held in past if not held]
    allowed = [name for name in playbook["channels"] if name != "email" or row["consent"]]
    ways = [name for name in allowed if row["value_tier"] != "low" or name == "email"]
    count = Counter("phone" if kind == "call" else "email" for name, _, kind, _ in answers if name == who)
    cools = any(days < 90 for days, treatment, _ in past if treatment == playbook["name"])
    is_early = row["value_tier"] == "high" and any(days < 7 for days in contacts)
    closing = {
        "channel_opt_out": not allowed,
        "cooldown": cools,
        "frequency_cap": sum(days < 30 for days in contacts) >= 2,
        "cadence": not ways or is_early,
        "automated_opt_out": not row["machine"],
    }
    if row["clv"] <= 10:
        return None
    rule = next((name for name, closes in closing.items() if closes), None)
    return rule or max(ways, key=lambda name: count[name])


NAMES = st.sampled_from(["ann", "bob"])
SUBJECT = st.fixed_dictionaries(
    {
        "value_tier": st.sampled_from(["high", "low"]),
        "clv": st.sampled_from([5.0, 50.0]),
        "consent": st.integers(0, 1),
        "machine": st.integers(0, 1),
    }
)
LOG = st.tuples(
    NAMES,
    st.integers(1, 100).map(ago),
    st.sampled_from(["coupon", "care", "other"]),
    st.integers(0, 1),
    st.just("email"),
)
ANSWER = st.tuples(
    NAMES, st.integers(TODAY - 9, TODAY - 1), st.sampled_from(["call", "email_click"]), st.none()
)


@settings(max_examples=15, deadline=None)
@given(
    known=st.tuples(SUBJECT, SUBJECT),
    log=st.lists(LOG, max_size=4),
    answers=st.lists(ANSWER, max_size=4),
)
def test_each_customer_is_judged_as_one_by_one(known: Any, log: list[Any], answers: list[Any]) -> None:
    subjects = [subject("ann", **known[0]), subject("bob", **known[1])]
    plan = {
        "allowed": {"email": "consent", "automated": "machine"},
        "cadence": ({"tier": "high", "every_days": 7}, {"tier": "low", "channels": ("email",)}),
    }
    opened, closed = arms(*subjects, plan=plan, treatments=[COUPON, CARE], log=log, answers=answers)
    found = {row[:2]: row[2] for row in (*opened, *closed)}
    told = {
        (row["customer_id"], playbook["name"]): expected(row, playbook, log, answers)
        for row in subjects
        for playbook in (COUPON, CARE)
    }
    assert found == {key: outcome for key, outcome in told.items() if outcome}
