import numpy as np
import pytest
from scipy.stats import binomtest

from training.intervals import log_ratio, wilson


@pytest.mark.parametrize(("hits", "rows"), [(0, 10), (3, 10), (250, 1000), (10, 10)])
def test_wilson_is_the_score_interval(hits: int, rows: int) -> None:
    low, high = wilson(np.array([hits / rows]), np.array([rows]))
    known = binomtest(hits, rows).proportion_ci(method="wilson")
    assert [low[0], high[0]] == pytest.approx([known.low, known.high], abs=1e-5)


def test_of_nobody_the_interval_is_not_known() -> None:
    assert np.isnan(wilson(np.array([np.nan]), np.array([0]))).all()


def test_the_ratio_of_two_shares_has_the_interval_of_its_logarithm() -> None:
    """By hand: 40/200 over 60/200 is 2/3; the logarithm varies by .8/40 + .7/60 = .0316667."""
    ratio, low, high = log_ratio(np.array([40.0]), np.array([200.0]), of_hits=60, of_rows=200)
    half = 1.96 * 0.0316667**0.5
    assert [ratio[0], low[0], high[0]] == pytest.approx([2 / 3, 2 / 3 * np.exp(-half), 2 / 3 * np.exp(half)])


def test_where_nobody_was_hit_half_a_one_is_added() -> None:
    ratio, low, high = log_ratio(np.array([0.0]), np.array([200.0]), of_hits=60, of_rows=200)
    assert ratio[0] == pytest.approx(0.5 / 60.5)
    assert 0 < low[0] < ratio[0] < high[0] < 0.8
