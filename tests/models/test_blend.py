from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.special import expit

from models.blend import NOTHING_LEARNT, PRIOR, Blend, Outcome, weigh_logs, weigh_odds
from models.likelihood import Vector
from models.snapshots import Snapshot

Weigh = Callable[[Sequence[Outcome]], Vector]

KNOWN = np.array([0.2, 0.8, 1.2])
"""Shift, weight of the process, weight of behaviour."""
LEVEL = 0.3


def outcome(target: str, *, rows: int = 20_000, weights: Vector = KNOWN, seed: int = 0) -> Outcome:
    """Draw what came from known weights."""
    rng = np.random.default_rng(seed)
    process, behaviour = rng.normal(-0.5, 1.5, rows), rng.normal(0, 0.7, rows)
    level, trust = np.full(rows, LEVEL), np.ones(rows)
    mean = level + weights @ np.array([np.ones(rows), process, behaviour])
    if target == "no_order":
        came = (rng.random(rows) < expit(mean)).astype(float)
    else:
        came = np.exp(mean) * rng.gamma(2.0, 1.0, rows) * (rng.random(rows) < 0.5)
    return Outcome(process, behaviour, level, came, trust)


@pytest.mark.parametrize(("target", "weigh"), [("no_order", weigh_odds), ("value", weigh_logs)])
def test_the_weights_that_outcomes_were_drawn_from_are_found(target: str, weigh: Weigh) -> None:
    assert weigh([outcome(target)]) == pytest.approx(KNOWN, abs=0.06)


@pytest.mark.parametrize(("target", "weigh"), [("no_order", weigh_odds), ("value", weigh_logs)])
def test_behaviour_that_tells_nothing_gets_no_weight(target: str, weigh: Weigh) -> None:
    assert weigh([outcome(target, weights=np.array([0.0, 1.0, 0.0]))])[2] < 0.06


def test_a_few_rows_hardly_move_the_prior() -> None:
    assert weigh_odds([outcome("no_order", rows=3)]) == pytest.approx(PRIOR, abs=0.15)


@pytest.mark.parametrize(("target", "weigh"), [("no_order", weigh_odds), ("value", weigh_logs)])
def test_rows_that_are_not_trusted_leave_the_prior(target: str, weigh: Weigh) -> None:
    doubted = outcome(target)
    unit = np.log(doubted.came.mean()) if target == "value" else 0.0
    weights = weigh([doubted._replace(trust=doubted.trust * 0)])
    assert weights - [unit * (1 - weights[1]), 0, 0] == pytest.approx(PRIOR)


def test_another_currency_changes_no_weight_and_scales_what_is_added() -> None:
    pounds, rate = outcome("value", rows=300), 1e6
    yen = pounds._replace(process=pounds.process + np.log(rate), came=pounds.came * rate)
    blends = [Blend().fit({"value": [each]}) for each in (pounds, yen)]
    ours, theirs = (each.weights_["value"] for each in blends)
    assert theirs[1:] == pytest.approx(ours[1:], rel=1e-6)
    assert blends[1].add("value", yen.process, yen.behaviour, yen.level) == pytest.approx(
        blends[0].add("value", *pounds[:3]) + np.log(rate)
    )


@pytest.mark.parametrize("weigh", [weigh_odds, weigh_logs])
def test_where_nothing_was_seen_nothing_is_weighed(weigh: Weigh) -> None:
    assert weigh([]) is NOTHING_LEARNT


def test_values_that_are_all_nought_teach_nothing() -> None:
    seen = outcome("value")
    assert weigh_logs([seen._replace(came=seen.came * 0)]) is NOTHING_LEARNT


def test_with_nothing_learnt_the_process_stands_alone(parted: list[Snapshot]) -> None:
    described = parted[-1].described
    rows = len(described.alive)
    curve = Blend().curve(
        described,
        {target: np.full(rows, 9.0) for target in ("no_order", "value")},
        dict.fromkeys(("no_order", "orders", "value"), np.zeros((8, 1))),
    )
    bought = described.curve.orders > 0.01
    np.testing.assert_allclose(curve.no_order, described.curve.no_order, atol=2e-6)
    np.testing.assert_allclose(curve.orders[bought], described.curve.orders[bought], rtol=1e-3)
    np.testing.assert_allclose(curve.value[bought], described.curve.value[bought], rtol=1e-6)


def test_a_level_moves_everybody(parted: list[Snapshot]) -> None:
    described = parted[-1].described
    behaviour = dict.fromkeys(("no_order", "value"), np.zeros(len(described.alive)))
    level = {"no_order": np.full((8, 1), -0.5), "orders": np.zeros((8, 1)), "value": np.full((8, 1), 0.5)}
    moved = Blend().curve(described, behaviour, level)
    assert (moved.no_order < described.curve.no_order).all()
    bought = described.curve.orders[-1] > 0.01
    ratio = moved.value[-1, bought] / described.curve.value[-1, bought]
    np.testing.assert_allclose(ratio[described.curve.value[-1, bought] > 0], np.exp(0.5), rtol=1e-6)
