from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from features.contract import Kind
from features.treatment_settings import PlanSettings, TreatmentSettings
from models.arms import Arms
from models.beliefs import Past
from models.contact_rules import RULES
from models.effects import Effect
from models.plan_reasons import CLOSES, PlanReasons
from models.planning import Decisions, Expectations, Proposal, decide, expect
from models.playbooks import Playbook, playbooks
from models.uplift import Uplift
from models.wording import TABLE

CALL = {"name": "call", "purpose": "care", "channels": ("phone",), "when": "clv > 0", "cost": 4.0}
MAIL = {"name": "mail", "purpose": "grow", "channels": ("email",), "when": "clv > 0", "cost": 1.0}
SEVERAL = 2000


def books(*changes: Mapping[str, Any]) -> tuple[Playbook, ...]:
    texts = {"text": "Do it.", "effect": 0.0}
    read = [TreatmentSettings.model_validate(texts | dict(each)) for each in changes]
    return playbooks(read, columns={"clv": Kind.NUMBER})


def arms(effect: Sequence[Sequence[float | None]], *, value: float = 100.0) -> Arms:
    """Open what has an effect, over the channel of its treatment."""
    known = np.array(effect, dtype=float)
    channel = np.where(np.isnan(known), -1, np.arange(known.shape[1])).astype(np.int8)
    names = np.array([f"K{number:04d}" for number in range(len(known))], dtype=object)
    return Arms(names, ("phone", "email")[: known.shape[1]], channel, known, np.full(len(known), value))


def plan(
    opened: Arms, read: Sequence[Playbook], effects: Mapping[str, Effect] | None = None, **settings: Any
) -> tuple[Expectations, Decisions]:
    expected = expect(opened, read, effects or {}, {}, {})
    usual = {"holdout": 0.0, "explore": 0.0}
    return expected, decide(opened, read, expected, PlanSettings.model_validate(usual | settings), key="k")


def test_each_gets_what_gains_most() -> None:
    _, done = plan(arms([[10, 2], [4.5, 3], [None, 1.5], [3, 0.5]]), books(CALL, MAIL))
    assert done.arm.tolist() == [0, 1, 1, -1]
    assert done.propensity.tolist() == [1, 1, 1, 1]
    assert done.achieved == pytest.approx(6 + 2 + 0.5)


def test_costs_above_any_gain_leave_everybody_alone() -> None:
    _, done = plan(arms([[3.9, 0.9], [1, 0.1]]), books(CALL, MAIL))
    assert done.arm.tolist() == [-1, -1]
    assert done.worth.tolist() == pytest.approx([-0.1, -0.9])


def test_a_share_of_the_value_is_a_cost_too() -> None:
    expected, done = plan(arms([[12.0]]), books(CALL | {"cost_share": 0.1}))
    assert expected.cost.item() == pytest.approx(4 + 0.1 * 112)
    assert done.arm.tolist() == [-1]


def test_a_budget_of_nothing_treats_nobody() -> None:
    _, done = plan(arms([[10, 2]] * 50), books(CALL, MAIL), budget=0.0, explore=0.5, holdout=0.2)
    treated = (done.arm != -1) & ~done.is_holdout
    assert not treated.any()
    assert not done.is_explored.any()


def test_a_full_channel_goes_to_whom_it_gains_most_and_has_its_price() -> None:
    gains = np.linspace(5, 15, 100)
    _, done = plan(arms(gains[:, None].tolist()), books(CALL), capacity={"phone": 10})
    assert done.arm.tolist() == [-1] * 90 + [0] * 10
    assert gains[89] - 4 <= done.limits["channel phone"].price <= gains[90] - 4


def test_a_limit_tells_what_all_that_is_done_uses_of_it() -> None:
    """Three calls of 4 are duties and two of 1 are chosen; who is held out uses nothing."""
    read = books(CALL | {"duty": True, "capacity": 9}, MAIL)
    opened = arms([[0.1, None]] * 3 + [[None, 5.0], [None, 3.0], [None, 0.5]])
    _, done = plan(opened, read, budget=20.0, capacity={"email": 2})
    used = {name: (use.used, use.most, use.price) for name, use in done.limits.items()}
    assert used == {"budget": (14, 20, 0), "channel email": (2, 2, 0), "treatment call": (3, 9, 0)}
    _, none = plan(arms([[None, 5.0]] * SEVERAL), read, budget=1e6, holdout=0.5)
    assert none.limits["budget"].used == SEVERAL - none.is_holdout.sum()


def test_held_out_customers_take_no_place() -> None:
    """All ten calls are made, and whoever gains as much and gets none was meant for one and held out."""
    gains = np.linspace(10, 11, SEVERAL)
    _, done = plan(arms(gains[:, None].tolist()), books(CALL | {"capacity": 10}), holdout=0.5)
    called = np.flatnonzero((done.arm == 0) & ~done.is_holdout)
    assert len(called) == 10
    assert (done.arm[called[0] :] == 0).all()


def test_chance_decides_as_often_as_it_should() -> None:
    _, done = plan(arms([[10.0, 2.0]] * SEVERAL), books(CALL, MAIL), holdout=0.1, explore=0.1)
    assert done.is_holdout.mean() == pytest.approx(0.1, abs=0.02)
    assert set(done.propensity[done.is_holdout]) == {0.1}
    assert set(done.propensity[~done.is_holdout & (done.arm == 0)].round(6)) == {0.85}
    assert set(done.propensity[done.is_explored].round(6)) == {0.05}


def test_explored_is_who_gets_another_treatment_than_would_have_been_chosen() -> None:
    _, done = plan(arms([[10.0, 2.0]] * SEVERAL), books(CALL, MAIL), explore=0.2)
    assert done.is_explored.mean() == pytest.approx(0.1, abs=0.02)
    assert set(done.arm[done.is_explored]) == {1}


def test_the_whole_weighs_one_when_it_is_weighed_by_chance() -> None:
    """Horvitz and Thompson: the inverse propensities of one outcome sum to everybody, on average."""
    _, done = plan(arms([[10.0, 2.0]] * SEVERAL), books(CALL, MAIL), holdout=0.2, explore=0.1)
    left = done.is_holdout
    assert (1 / done.propensity[left]).sum() == pytest.approx(SEVERAL, rel=0.1)


def test_a_duty_is_done_for_all_before_anything_else() -> None:
    read = books(CALL | {"duty": True}, MAIL)
    opened = arms([[0.1, 50.0], [None, 50.0]])
    _, done = plan(opened, read, holdout=0.5, explore=0.5, budget=5.0)
    assert done.arm[0] == 0
    assert (done.is_duty.tolist(), done.is_holdout[0], done.propensity[0]) == ([True, False], False, 1)


def test_a_duty_beyond_its_places_goes_to_the_most_valuable() -> None:
    opened = arms([[0.1], [0.1], [0.1]])
    opened = Arms(opened.customer_ids, opened.channels, opened.channel, opened.effect, np.array([1.0, 9, 5]))
    _, done = plan(opened, books(CALL | {"duty": True}), capacity={"phone": 2})
    assert done.arm.tolist() == [-1, 0, 0]


def test_equal_gains_follow_the_priority() -> None:
    late, early = CALL | {"cost": 1.0, "priority": 2}, MAIL | {"priority": 1}
    opened = arms([[3.0, 3.0]] * 20)
    assert set(plan(opened, books(late, early))[1].arm) == {1}
    assert set(plan(opened, books(late | {"priority": 1}, early | {"priority": 2}))[1].arm) == {0}


def test_what_was_measured_not_to_pay_is_planned_no_more() -> None:
    measured = {"call": Effect(value=1.0, value_se=0.5)}
    expected, done = plan(arms([[10.0]] * 40), books(CALL), measured, explore=0.5)
    assert expected.losing == ("call",)
    assert (done.arm == -1).all()
    proposal = Proposal(books(CALL), arms([[10.0]] * 40), expected, done)
    told = PlanReasons(proposal, {}, language="en").told()
    assert set(told) == {"what is open does not pay, as its outcomes show"}


def test_what_was_measured_corrects_what_is_assumed() -> None:
    measured = {"call": Effect(value=6.0, value_se=0.01)}
    expected, _ = plan(arms([[1.0], [3.0]]), books(CALL), measured)
    assert expected.effect[:, 0].tolist() == pytest.approx([3, 9], rel=0.01)
    assert expected.trust["call"] > 0.99


def test_what_was_measured_of_the_best_is_not_expected_of_everybody() -> None:
    """Twenty is assumed of ten in a hundred; they are called, and it is measured that each brings twenty."""
    opened, read = arms([[20.0]] * 10 + [[5.0]] * 90), books(CALL | {"capacity": 10})
    expected, done = plan(opened, read)
    assumed = Proposal(read, opened, expected, done).assumed(0)
    assert assumed == 20.0
    measured = {"call": Effect(value=20.0, value_se=1e-6)}
    again = expect(opened, read, measured, {}, {"call": Past(1.0, assumed)})
    assert again.effect[[0, -1], 0].tolist() == pytest.approx([20, 5])


def test_what_was_measured_of_customers_who_bring_more_is_expected_to_add_less() -> None:
    measured = {"call": Effect(value=6.0, value_se=0.01, value_held=200.0)}
    expected, _ = plan(arms([[1.0], [3.0]], value=100.0), books(CALL), measured)
    assert expected.effect[:, 0].tolist() == pytest.approx([1.5, 4.5], rel=0.01)


def test_what_nobody_assumed_waits_until_it_is_measured_and_is_then_as_usual() -> None:
    opened = arms([[1.0], [3.0], [1.0]])
    opened.effect[2] = np.nan
    expected, done = plan(opened, books(CALL))
    assert (np.isnan(expected.gain[2, 0]), done.arm[2]) == (True, -1)
    measured = {"call": Effect(value=6.0, value_se=0.01)}
    expected, done = plan(opened, books(CALL), measured)
    assert expected.effect[:, 0].tolist() == pytest.approx([3, 9, 6], rel=0.01)
    assert done.arm[2] == 0


def test_what_is_explored_is_paid_for_though_nothing_is_known_of_its_effect() -> None:
    opened = arms([[10.0]] * SEVERAL)
    opened.effect[::2] = np.nan
    _, done = plan(opened, books(CALL), budget=400.0, explore=0.5)
    assert (done.arm[::2] == 0).any()
    assert (done.arm == 0).sum() <= 100


def test_where_effects_differ_the_average_is_that_of_whom_it_is_open_to() -> None:
    measured = {"call": Effect(value=6.0, value_se=1e-6)}
    uplifts = {"call": Uplift(np.array([[1.0], [3.0]]), untreated=np.full(2, 100.0))}
    expected = expect(arms([[2.0], [2.0]], value=100.0), books(CALL), measured, uplifts, {})
    assert expected.effect[:, 0].tolist() == pytest.approx([1, 3], rel=0.01)


def test_where_less_is_expected_than_customers_alike_brought_their_effects_are_less_too() -> None:
    measured = {"call": Effect(value=6.0, value_se=1e-6)}
    uplifts = {"call": Uplift(np.array([[1.0], [3.0]]), untreated=np.array([100.0, 300.0]))}
    expected = expect(arms([[2.0], [2.0]], value=100.0), books(CALL), measured, uplifts, {})
    assert expected.effect[:, 0].tolist() == pytest.approx([0.5, 1.5], rel=0.01)


def test_a_log_that_tells_nothing_corrects_nothing() -> None:
    measured = {"call": Effect(reason="nobody_held_out")}
    expected, _ = plan(arms([[10.0]]), books(CALL), measured)
    assert (expected.effect.item(), expected.trust["call"]) == (10, 0)


@pytest.mark.parametrize(
    ("effect", "settings", "told"),
    [
        pytest.param([10.0], {}, "clv > 0: expected to gain 6.00 (assumed)", id="chosen"),
        pytest.param([5.0], {"budget": 0.0}, "others gain more from the same money or places", id="beaten"),
        pytest.param(
            [3.0], {}, "nothing that is open pays: at best it would lose 1.00, after its cost", id="not-worth"
        ),
        pytest.param([None], {}, "wants no contact", id="closed"),
        pytest.param([10.0], {"holdout": 0.5}, "left alone at random", id="held-out"),
    ],
)
def test_everybody_is_told_why(effect: list[float | None], settings: dict[str, Any], told: str) -> None:
    opened, read = arms([effect] * 20), books(CALL)
    expected, done = plan(opened, read, **settings)
    rules = dict.fromkeys(opened.customer_ids, ("opted_out", "call"))
    sentences = PlanReasons(Proposal(read, opened, expected, done), rules, language="en").told()
    assert any(told in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("en", "a good customer: expected to gain 6.00 (assumed)"),
        ("zh", "a good customer：预计净收益6.00（假设）"),  # noqa: RUF001 - Chinese
    ],
)
def test_the_words_of_a_treatment_stand_for_its_condition(language: str, told: str) -> None:
    opened, read = arms([[10.0]]), books(CALL | {"why": "a good customer"})
    expected, done = plan(opened, read)
    assert PlanReasons(Proposal(read, opened, expected, done), {}, language=language).told() == [told]


def test_every_rule_has_its_turn_and_its_words() -> None:
    assert sorted(CLOSES) == sorted(RULES)
    for words in TABLE["plans"].values():
        assert set(RULES) <= words.keys()
