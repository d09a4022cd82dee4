import json

import numpy as np
import pytest
from scipy.stats import gamma

from models.likelihood import Vector
from models.spread import ValueSpread

CUSTOMERS = 20_000


def hurdle(seed: int) -> tuple[Vector, Vector, Vector]:
    """P(no order), the expected value, and a value of shape 2 gamma times what was expected of a buyer."""
    rng = np.random.default_rng(seed)
    no_order, if_any = rng.beta(1.0, 0.7, CUSTOMERS), rng.lognormal(4, 1, CUSTOMERS)
    value = np.where(rng.random(CUSTOMERS) < no_order, 0.0, if_any * rng.gamma(2.0, 0.5, CUSTOMERS))
    return no_order, (1 - no_order) * if_any, value


@pytest.fixture(scope="module")
def fitted() -> ValueSpread:
    return ValueSpread().fit(*hurdle(0))


@pytest.mark.parametrize("no_order", [0.0, 0.3, 0.6, 0.8])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_quantiles_are_those_of_the_distribution(fitted: ValueSpread, no_order: float, share: float) -> None:
    if_any = np.array([20.0, 60.0, 200.0])
    quantile = fitted.quantile(share, np.full(3, no_order), (1 - no_order) * if_any)
    true = if_any * gamma.ppf(max(share - no_order, 0) / (1 - no_order), 2.0, scale=0.5)
    assert quantile == pytest.approx(true, rel=0.12)


def test_the_probability_integral_transform_is_uniform_in_every_decile(fitted: ValueSpread) -> None:
    no_order, expected, value = hurdle(1)
    below, at_most = fitted.probability(value, no_order, expected)
    place = below + (at_most - below) * np.random.default_rng(2).random(CUSTOMERS)
    assert (place < 0.1).mean() == pytest.approx(0.1, abs=0.01)
    assert (place > 0.9).mean() == pytest.approx(0.1, abs=0.01)
    for part in np.array_split(place[np.argsort(expected)], 10):
        assert (part < 0.1).mean() == pytest.approx(0.1, abs=0.03)
        assert (part > 0.9).mean() == pytest.approx(0.1, abs=0.03)


def test_half_of_the_buyers_reach_the_median_of_their_values(fitted: ValueSpread) -> None:
    no_order, if_any = np.array([0.0, 0.5]), np.array([60.0, 60.0])
    median = 60.0 * gamma.ppf(0.5, 2.0, scale=0.5)
    reaching = fitted.reaching(median, no_order, (1 - no_order) * if_any)
    assert reaching == pytest.approx([0.5, 0.25], abs=0.03)
    assert fitted.reaching(1e-9, no_order, (1 - no_order) * if_any) == pytest.approx([1.0, 0.5])


def test_who_is_unlikely_to_order_has_nothing_in_the_interval(fitted: ValueSpread) -> None:
    low, high = fitted.interval(np.array([0.05, 0.2, 0.89, 0.9, 1.0]), np.array([50.0, 40.0, 9.0, 8.0, 0.0]))
    assert (low > 0).tolist() == [True, False, False, False, False]
    assert (high > 0).tolist() == [True, True, True, False, False]


def test_before_anything_was_seen_values_are_exponential() -> None:
    for spread in (ValueSpread(), ValueSpread().fit(*np.zeros((3, 5)))):
        low, high = spread.interval(np.zeros(1), np.array([100.0]))
        assert (low[0], high[0]) == pytest.approx((100 * np.log(1 / 0.9), 100 * np.log(10)))


def test_another_currency_scales_the_quantiles(fitted: ValueSpread) -> None:
    no_order, expected, value = hurdle(0)
    pence = ValueSpread().fit(no_order, expected * 1024, value * 1024)
    for pounds, other in zip(
        fitted.interval(no_order, expected), pence.interval(no_order, expected * 1024), strict=True
    ):
        np.testing.assert_allclose(other, pounds * 1024)


def test_a_spread_restored_tells_the_same(fitted: ValueSpread) -> None:
    restored = ValueSpread.restore(json.loads(json.dumps(fitted.state())))
    no_order, expected, _ = hurdle(3)
    np.testing.assert_array_equal(restored.interval(no_order, expected), fitted.interval(no_order, expected))
