"""Chance is the same everywhere, and as probable as it says."""

import numpy as np
import pytest

from models.draws import Draws, unit, untied
from models.relaxation import Limit

CUSTOMERS = [f"c{number}" for number in range(20_000)]


def test_a_customer_draws_the_same_anywhere_and_in_any_order() -> None:
    first = unit(["17850", "Zoë"], "shop/2026-11-22")
    assert first.tolist() == pytest.approx([0.31624658458624133, 0.05284804848514202], abs=1e-15)
    assert unit(["Zoë", "17850"], "shop/2026-11-22").tolist() == first[::-1].tolist()


def test_another_key_draws_anew_and_evenly() -> None:
    one, other = unit(CUSTOMERS, "one"), unit(CUSTOMERS, "other")
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03
    assert np.histogram(one, bins=10, range=(0, 1))[0] == pytest.approx(np.full(10, 2_000), abs=170)


def test_equal_gains_differ_afterwards_by_next_to_nothing() -> None:
    gain = np.full((1_000, 2), 5.0)
    gain[0, 0] = -np.inf
    parted = untied(gain, CUSTOMERS[:1_000], "plan")
    assert parted[0, 0] == -np.inf
    assert len(np.unique(parted)) == 2_000
    assert parted[1:] == pytest.approx(gain[1:], rel=1e-6)
    assert abs(np.corrcoef(parted[1:, 0], parted[1:, 1])[0, 1]) < 0.15


def test_what_is_done_comes_as_often_as_its_propensity_says() -> None:
    is_open = np.array([[True, True, False], [True, True, True], [False, False, True], [False] * 3])
    chosen = np.array([0, 2, -1, -1])
    counts, said = np.zeros((4, 4)), np.full((4, 4), np.nan)
    rounds = 5_000
    for key in range(rounds):
        draws = Draws.of(unit(CUSTOMERS[:4], str(key)), is_open, holdout=0.2, explore=0.3)
        done = draws.done(chosen)
        counts[np.arange(4), done] += 1
        said[np.arange(4), done] = draws.propensity(chosen)
    wanted = np.array(
        [[0.65, 0.15, 0, 0.2], [0.1, 0.1, 0.6, 0.2], [0, 0, 0.3, 0.7], [0, 0, 0, 1.0]],
    )
    assert np.nan_to_num(said) == pytest.approx(wanted)
    assert counts / rounds == pytest.approx(wanted, abs=0.03)


def test_to_whom_nothing_is_open_nothing_is_left_to_chance() -> None:
    draws = Draws.of(np.array([0.0, 0.999]), np.zeros((2, 1), dtype=bool), holdout=0.5, explore=0.5)
    assert not draws.free.any()
    assert draws.propensity(np.array([0, 0])).tolist() == [1.0, 1.0]


def test_exploring_takes_little_of_a_small_limit_and_nothing_of_a_tiny_one() -> None:
    is_open = np.ones((20_000, 4), dtype=bool)
    use = np.eye(4)
    limits = [Limit(f"arm {arm}", use[arm], most) for arm, most in enumerate([19.0, 100.0, np.inf])]
    draws = Draws.of(unit(CUSTOMERS, "plan"), is_open, limits, holdout=0.1, explore=0.05)
    taken = draws.shares.sum(axis=0)
    assert taken[0] == 0.0
    assert taken[1] == pytest.approx(50.0)
    assert taken[2:] == pytest.approx(np.full(2, 250.0))
    left = [limit.most for limit in draws.left(limits)]
    assert left[0] == 19.0
    assert left[1] == 100.0 - np.count_nonzero(draws.explored == 1)
    assert left[2] == np.inf


def test_exploring_stays_within_a_limit_that_is_used_in_lumps() -> None:
    is_open = np.ones((20_000, 1), dtype=bool)
    cost = np.where(np.arange(20_000) % 100 == 0, 500.0, 1.0)[:, None]
    for units in np.random.default_rng(0).random((50, 20_000)):
        draws = Draws.of(units, is_open, [Limit("budget", cost, 3_000.0)], holdout=0.1, explore=0.05)
        assert draws.left([Limit("budget", cost, 3_000.0)])[0].most >= 0.0
    assert draws.shares.max() > 0.0
