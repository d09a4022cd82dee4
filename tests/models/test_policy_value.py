from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from features.errors import InputError
from models.policy_value import RandomisedLog

COST = np.array([0.0, 0.1])


def log(*, rows: int = 4_000, seed: int = 0, chance: float = 0.4, **changed: Any) -> RandomisedLog:
    """Draw a log: the first half of the rows gains 1 by the treatment, the other half nothing."""
    rng = np.random.default_rng(seed)
    arm = (rng.random(rows) < chance).astype(int)
    gains = np.arange(rows) < rows / 2
    outcome = rng.normal(size=rows) + arm * gains
    propensity = np.tile([1 - chance, chance], (rows, 1))
    given = {"outcome": outcome, "arm": arm, "propensity": propensity, "cost": COST}
    return RandomisedLog(**(given | changed))


def the_half_that_gains(drawn: RandomisedLog) -> np.ndarray:
    return (np.arange(len(drawn.arm)) < len(drawn.arm) / 2).astype(int)


def everybody(drawn: RandomisedLog) -> np.ndarray:
    return np.ones(len(drawn.arm), dtype=int)


def test_four_rows_in_the_head() -> None:
    drawn = RandomisedLog(
        np.array([8.0, 4.0, 2.0, 6.0] * 20),
        np.array([1, 0, 1, 0] * 20),
        np.full(80, 0.5),
        np.array([0.0, 1.0]),
    )
    assert drawn.value(np.ones(80, dtype=int)).value == pytest.approx((16 + 4) / 4 - 1)
    assert drawn.value(np.array([1, 1, 0, 0] * 20)).value == pytest.approx((16 - 1 + 0 - 1 + 0 + 12) / 4)


@pytest.mark.parametrize("expects", [False, True])
def test_intervals_cover_the_truth_as_often_as_they_say(expects: bool) -> None:
    covered = 0
    for seed in range(200):
        drawn = log(rows=400, seed=seed)
        if expects:
            drawn = log(
                rows=400, seed=seed, expected=np.stack([np.zeros(400), the_half_that_gains(drawn)], 1)
            )
        gain = drawn.gain(the_half_that_gains(drawn), over=everybody(drawn))
        covered += gain.low <= 0.05 <= gain.high
    assert 0.9 <= covered / 200 <= 0.99


def test_expecting_the_outcome_narrows_the_interval_and_expecting_nonsense_does_not_mislead() -> None:
    plain = log()
    rows = len(plain.arm)
    right = log(expected=np.stack([np.zeros(rows), the_half_that_gains(plain)], axis=1))
    wrong = log(expected=np.full((rows, 2), 7.0))
    told = [each.value(everybody(each)) for each in (plain, right, wrong)]
    assert told[1].standard_error < told[0].standard_error < told[2].standard_error
    assert all(each.low < 0.4 < each.high for each in told)


def test_the_chance_of_what_was_done_says_all_that_is_needed() -> None:
    whole = log()
    done = log(propensity=whole.propensity[np.arange(len(whole.arm)), whole.arm])
    assert done.value(everybody(done)) == whole.value(everybody(whole))


def unknown(propensity: np.ndarray) -> np.ndarray:
    propensity[:7] = np.nan
    return propensity


def nought(propensity: np.ndarray) -> np.ndarray:
    propensity[:3] = 0.0
    return propensity


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (unknown, "propensity of 7 of 4,000 assignments is not known"),
        (nought, "propensity of 3 of 4,000 assignments is not above 0"),
    ],
)
def test_a_log_without_propensities_is_refused(change: Callable[[np.ndarray], np.ndarray], says: str) -> None:
    with pytest.raises(InputError, match=says):
        log(propensity=change(log().propensity))


def test_a_rule_for_customers_who_had_no_chance_of_it_is_refused() -> None:
    drawn = log()
    arm, propensity = drawn.arm.copy(), drawn.propensity.copy()
    arm[:500], propensity[:500] = 0, [1.0, 0.0]
    closed = log(arm=arm, propensity=propensity)
    with pytest.raises(InputError, match="treatment 1 to 500 of 4,000 customers who had no chance"):
        closed.value(everybody(closed))
    done = log(arm=arm, propensity=propensity[np.arange(4_000), arm])
    assert done.value(1 - the_half_that_gains(done)).standard_error > 0
    only = arm.copy()
    only[:1000] = 0
    with pytest.raises(InputError, match="times as often as its propensities"):
        log(arm=only, propensity=np.full(4_000, 0.4)).value(everybody(done))


def test_a_rule_that_was_hardly_ever_followed_is_refused() -> None:
    drawn = log(chance=0.002)
    with pytest.raises(
        InputError, match=r"agrees with it as much as \d+ equal rows would, and 30 are needed"
    ):
        drawn.value(everybody(drawn))


def test_a_few_customers_who_get_something_rare_do_not_stop_the_rest_from_being_told() -> None:
    drawn = log(chance=0.05)
    few = np.zeros(4_000, dtype=int)
    few[:20] = 1
    assert drawn.value(few).standard_error < 0.1
