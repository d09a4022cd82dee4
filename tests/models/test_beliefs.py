import numpy as np
import pytest

from models.beliefs import INTERVAL, MOST, Past, believed, carried

ASSUMED = np.array([2.0, 4.0, 6.0])


def test_what_nobody_measured_is_as_assumed_from_nothing_to_twice_that() -> None:
    belief = believed(ASSUMED)
    assert belief.trust == 0
    assert belief.mean.tolist() == [2, 4, 6]
    assert (belief.mean - INTERVAL * belief.sd).tolist() == pytest.approx([0, 0, 0])


def test_what_was_measured_as_surely_as_assumed_weighs_half() -> None:
    belief = believed(ASSUMED, average=0.0, error=4 / INTERVAL)
    assert belief.trust == pytest.approx(0.5)
    assert belief.mean.tolist() == pytest.approx([1, 2, 3])
    assert belief.sd[1] == pytest.approx(4 / INTERVAL * np.sqrt(0.5))


def test_a_long_log_outweighs_every_assumption() -> None:
    belief = believed(ASSUMED, average=-8.0, error=1e-6)
    assert belief.mean.tolist() == pytest.approx([-4, -8, -12])
    assert belief.sd.max() < 1e-5


def test_an_assumed_nothing_gives_way_to_what_was_measured() -> None:
    assert believed(np.zeros(3)).mean.tolist() == [0, 0, 0]
    belief = believed(np.zeros(3), average=3.0, error=1.0)
    assert (belief.mean.tolist(), belief.sd.tolist()) == ([3, 3, 3], [1, 1, 1])


def test_measured_differences_take_the_place_of_assumed_ones() -> None:
    belief = believed(ASSUMED, average=4.0, error=1e-6, uplift=np.array([5.0, 0.0, 1.0]))
    assert belief.mean.tolist() == pytest.approx([7, 2, 3])


def test_nobody_is_no_error() -> None:
    assert believed(np.array([]), average=1.0, error=1.0).mean.shape == (0,)


@pytest.mark.parametrize(
    ("held", "value", "times"),
    [
        pytest.param(40.0, [10.0, 30.0], 0.5, id="half-as-much"),
        pytest.param(1.0, [100.0, 100.0], MOST, id="far-more"),
        pytest.param(100.0, [1.0, 1.0], 1 / MOST, id="far-less"),
        pytest.param(np.nan, [10.0, 10.0], 1.0, id="not-known-of-those-measured"),
        pytest.param(40.0, [0.0, 0.0], 1.0, id="not-known-of-these"),
    ],
)
def test_an_effect_grows_with_what_customers_bring_without_it(
    held: float, value: list[float], times: float
) -> None:
    assert carried(np.ones(2), np.array(value), past=None, held=held) == pytest.approx(times)


def test_an_effect_grows_with_what_was_assumed_of_those_it_was_measured_on() -> None:
    """Of those 4 were assumed, of these 2 are; where nothing is known of half it goes by what they bring."""
    value = np.array([10.0, 10.0])
    assert carried(np.array([1.0, 3.0]), value, past=Past(1.0, 4.0), held=5.0) == pytest.approx(0.5)
    assert carried(np.array([1.0, 3.0]), value, past=Past(0.5, 4.0), held=5.0) == pytest.approx(2 / 2.5)
    assert carried(np.zeros(2), value, past=Past(1.0, 4.0), held=5.0) == pytest.approx(2.0)


def test_an_assumption_that_is_refuted_gives_way() -> None:
    """Two were assumed, give or take 1.6, and 20 measured, give or take 3: then 2 is off by some 18."""
    belief = believed(np.array([1.0, 3.0]), average=20.0, error=3.0)
    assert belief.trust == pytest.approx((18**2 - 3**2) / 18**2)
    assert belief.mean.mean() == pytest.approx(2 + belief.trust * 18)
