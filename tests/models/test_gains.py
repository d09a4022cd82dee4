import numpy as np
import pytest

from models.gains import INTERVAL, believed

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
    belief = believed(ASSUMED, average=4.0, error=1e-6, differs=np.array([5.0, 0.0, 1.0]))
    assert belief.mean.tolist() == pytest.approx([7, 2, 3])


def test_nobody_is_no_error() -> None:
    assert believed(np.array([]), average=1.0, error=1.0).mean.shape == (0,)
