import numpy as np
import pytest

from models.term import Term

DAYS = (30, 60, 90)


def test_a_certain_contract_pays_every_day() -> None:
    term = Term.of(DAYS, np.ones((3, 1)), np.array([2.0]))
    assert term.ended.ravel().tolist() == [0, 0, 0]
    assert term.value.ravel() == pytest.approx([60, 120, 180])
    assert term.lasts(0.9, until=90) == pytest.approx([90])


def test_fees_come_as_long_as_a_constant_hazard_lets_them() -> None:
    rate, days = 0.01, np.array(DAYS)
    term = Term.of(DAYS, np.exp(-rate * days)[:, None], np.array([1.0]))
    assert term.value.ravel() == pytest.approx((1 - np.exp(-rate * days)) / rate)
    assert term.lasts(0.1, until=90) == pytest.approx([-np.log(0.9) / rate])


def test_between_two_days_the_hazard_is_constant() -> None:
    term = Term.of(DAYS, np.array([[0.9], [0.5], [0.4]]), np.array([1.0])).at([0, 45, 60])
    assert term.ended.ravel() == pytest.approx([0, 1 - np.sqrt(0.9 * 0.5), 0.5])
    assert np.isnan(term.orders).all()


def test_a_contract_that_ends_at_once_pays_almost_nothing() -> None:
    term = Term.of(DAYS, np.zeros((3, 1)), np.array([1.0]))
    assert term.ended.ravel().tolist() == [1, 1, 1]
    assert term.value.max() < 0.1
    assert term.lasts(0.9, until=90)[0] < 0.1


def test_a_day_beyond_the_last_is_refused() -> None:
    with pytest.raises(ValueError, match="ends at day 90"):
        Term.of(DAYS, np.ones((3, 1)), np.array([1.0])).at([91])
