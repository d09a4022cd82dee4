import numpy as np
import pytest
from scipy import stats

from models.sample_size import Advice, assignments_needed, holdout_needed, spread_of


def test_half_held_out_it_is_the_textbooks_sixteen_over_the_squared_effect_in_each_arm() -> None:
    needed = assignments_needed(spread=1.0, difference=0.5, holdout=0.5)
    assert needed == pytest.approx(2 * 15.7 / 0.5**2, rel=0.01)


def test_so_many_assignments_find_the_difference_in_four_of_five_cases() -> None:
    rng = np.random.default_rng(0)
    needed = assignments_needed(spread=2.0, difference=1.0, holdout=0.2)
    held = round(0.2 * needed)
    treated = rng.normal(1.0, 2.0, (needed - held, 2000))
    found = stats.ttest_ind(treated, rng.normal(0.0, 2.0, (held, 2000))).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)


def test_the_least_share_held_out_needs_just_the_assignments_there_are() -> None:
    share = holdout_needed(spread=2.0, difference=1.0, rows=200)
    assert share is not None
    assert assignments_needed(spread=2.0, difference=1.0, holdout=share) in (200, 201)


def test_where_half_is_not_enough_no_share_is() -> None:
    assert holdout_needed(spread=2.0, difference=1.0, rows=100) is None


def test_of_plenty_a_fiftieth_is_held_out_all_the_same() -> None:
    assert holdout_needed(spread=0.001, difference=1.0, rows=10_000) == 0.02


def test_a_standard_error_speaks_of_the_spread_of_one() -> None:
    assert spread_of(2.0 * np.sqrt(1 / 30 + 1 / 10), treated=30, held=10) == pytest.approx(2.0)


def test_half_of_the_cost_is_the_least_difference_that_is_looked_for() -> None:
    advice = Advice.of(net=0.1, error=1.0, cost=4.0, treated=300, held=100)
    assert advice is not None
    assert (advice.difference, advice.rows, advice.holdout) == (2.0, 400, 0.25)
    assert advice.needed == pytest.approx(400 * 1.0 * 2.8**2 / 2.0**2, rel=0.01)


@pytest.mark.parametrize(("net", "error"), [(float("nan"), float("nan")), (0.0, 1.0), (1.0, 0.0)])
def test_nothing_measured_is_no_advice(net: float, error: float) -> None:
    assert Advice.of(net=net, error=error, cost=0.0, treated=300, held=100) is None
