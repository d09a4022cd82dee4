import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.curve import KNOTS, Curve, knots

DAYS = np.array([10.0, 20.0, 40.0])


def curve(no_order: list[float], orders: list[float], value: list[float]) -> Curve:
    """One customer by day 10, 20 and 40."""
    return Curve(DAYS, *(np.array([each]).T for each in (no_order, orders, value)))


ADA = curve([0.8, 0.4, 0.4], [0.2, 1.0, 2.0], [5.0, 20.0, 60.0])


@st.composite
def raw_curves(draw: st.DrawFn) -> Curve:
    days = draw(st.lists(st.integers(1, 400), min_size=1, max_size=6, unique=True).map(sorted))
    shape = (len(days), draw(st.integers(1, 3)))
    parts = [draw(arrays(float, shape, elements=st.floats(-most, most))) for most in (2.0, 50.0, 1e9)]
    return Curve(np.array(days, dtype=float), *parts)


def assert_coherent(curve: Curve) -> None:
    assert ((curve.no_order >= 0) & (curve.no_order <= 1)).all()
    assert (np.diff(curve.no_order, axis=0) <= 1e-12).all()
    for part in (curve.orders, curve.value):
        assert (part >= 0).all()
        assert (np.diff(part, axis=0) >= -1e-9 * np.abs(part[1:])).all()
    assert (curve.orders >= 1 - curve.no_order - 1e-12).all()


@settings(deadline=None, derandomize=True)
@given(raw_curves(), st.data())
def test_a_curve_made_coherent_is_so_at_its_knots_and_between_them(raw: Curve, data: st.DataObject) -> None:
    coherent = raw.coherent()
    assert_coherent(coherent)
    between = data.draw(st.lists(st.floats(0, float(raw.days[-1])), min_size=2, max_size=9).map(sorted))
    assert_coherent(coherent.at(between))


@settings(deadline=None, derandomize=True)
@given(raw_curves())
def test_a_coherent_curve_stays_as_it_is(raw: Curve) -> None:
    coherent = raw.coherent()
    for same in (coherent.coherent(), coherent.at(raw.days.tolist())):
        for part, other in zip(same, coherent, strict=True):
            np.testing.assert_allclose(part, other, rtol=1e-9, atol=1e-300)


def test_between_knots_the_hazard_is_constant_and_value_comes_steadily() -> None:
    read = ADA.at([0, 5, 15, 20, 30])
    assert read.no_order[:, 0] == pytest.approx([1, 0.8**0.5, (0.8 * 0.4) ** 0.5, 0.4, 0.4])
    assert read.orders[:, 0] == pytest.approx([0, 1 - 0.8**0.5, 0.6, 1.0, 1.5])
    assert read.value[:, 0] == pytest.approx([0, 2.5, 12.5, 20, 40])


@pytest.mark.parametrize("day", [40.5, -1])
def test_a_day_beyond_the_last_knot_is_refused(day: float) -> None:
    with pytest.raises(ValueError, match="the curve ends at day 40; ask for days from 0 to there"):
        ADA.at([7, day])


@pytest.mark.parametrize(
    ("no_order", "median"),
    [
        ([0.25, 0.2, 0.1], 5.0),
        ([0.8, 0.4, 0.4], 10 + 10 * np.log(0.8 / 0.5) / np.log(2)),
        ([0.9, 0.5, 0.3], 20.0),
        ([0.9, 0.8, 0.51], np.nan),
        ([0.0, 0.0, 0.0], 0.0),
    ],
)
def test_the_median_day_by_hand(no_order: list[float], median: float) -> None:
    day = curve(no_order, [1, 1, 1], [1, 1, 1]).median_day()
    assert day == pytest.approx([median], abs=0.01, nan_ok=True)


def test_the_median_day_is_where_the_curve_is_half() -> None:
    assert ADA.at(ADA.median_day().tolist()).no_order[0, 0] == pytest.approx(0.5)


def test_what_comes_in_an_interval_is_discounted_by_its_middle() -> None:
    parts = [5 * 1.1 ** (-5 / 365), 15 * 1.1 ** (-15 / 365), 40 * 1.1 ** (-30 / 365)]
    assert ADA.discounted_value(until=40, rate=0.1) == pytest.approx([sum(parts)])
    assert ADA.discounted_value(until=20, rate=0.1) == pytest.approx([sum(parts[:2])])
    assert ADA.discounted_value(until=40, rate=0.0) == pytest.approx([60])


def test_what_a_forecast_is_about_becomes_a_knot() -> None:
    assert knots(90, 365) == KNOTS
    assert knots(45, 400) == (7, 14, 30, 45, 60, 90, 180, 270, 365, 400)
