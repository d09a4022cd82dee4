import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.gamma_gamma import GammaGamma
from models.likelihood import Rows

TRUE = {"p": 6.0, "q": 4.0, "gamma": 15.0}


def simulated_values(customers: int, seed: int = 1) -> Rows:
    rng = np.random.default_rng(seed)
    count = rng.integers(1, 8, customers).astype(float)
    rate = rng.gamma(TRUE["q"], 1 / TRUE["gamma"], customers)
    return count, rng.gamma(TRUE["p"] * count, 1 / rate) / count, TRUE["p"] / rate


def test_the_published_fit_to_the_cdnow_sample(cdnow_spend_by_day: dict[str, dict[int, float]]) -> None:
    repeats = [list(dict(sorted(s.items())).values())[1:] for s in cdnow_spend_by_day.values() if len(s) > 1]
    model = GammaGamma().fit(np.array([len(v) for v in repeats]), np.array([np.mean(v) for v in repeats]))
    assert len(repeats) == 946
    assert model.parameters_ == pytest.approx({"p": 6.25, "q": 3.74, "gamma": 15.44}, abs=0.01)


def test_known_parameters_are_recovered_and_the_means_are_calibrated() -> None:
    count, mean, truth = simulated_values(20_000)
    model = GammaGamma().fit(count, mean)
    assert model.parameters_ == pytest.approx(TRUE, rel=0.05)
    expected = model.expected_value(count, mean)
    dear = expected > np.quantile(expected, 0.8)
    assert expected[dear].mean() == pytest.approx(truth[dear].mean(), rel=0.01)


def test_the_expected_value_by_hand() -> None:
    model = GammaGamma.from_parameters({"p": 2.0, "q": 3.0, "gamma": 10.0})
    # nothing known: 2 x 10 / 2; two orders of 40: (2 x 10 + 4 x 40) / (4 + 2)
    assert model.expected_value(np.array([0.0, 2.0]), np.array([np.nan, 40.0])) == pytest.approx([10, 30])


def test_customers_without_a_positive_value_take_no_part_and_get_the_mean_of_the_population() -> None:
    count, mean, _ = simulated_values(500)
    dirty = np.append(count, [1, 2, 0]), np.append(mean, [-4.0, np.nan, 0.0])
    model = GammaGamma().fit(*dirty)
    assert model.parameters_ == GammaGamma().fit(count, mean).parameters_
    p, q, gamma = model.parameters_.values()
    assert model.expected_value(*dirty)[-3:] == pytest.approx([p * gamma / (q - 1)] * 3)


@settings(deadline=None, derandomize=True, max_examples=10)
@given(st.floats(1e-4, 1e6))
def test_another_currency_scales_every_expected_value(rate: float) -> None:
    count, mean, _ = simulated_values(200)
    at_home = GammaGamma().fit(count, mean).expected_value(count, mean)
    abroad = GammaGamma().fit(count, rate * mean).expected_value(count, rate * mean)
    np.testing.assert_allclose(abroad, rate * at_home, rtol=1e-3)


def test_the_order_of_the_customers_changes_nothing() -> None:
    count, mean, _ = simulated_values(300)
    assert GammaGamma().fit(count[::-1], mean[::-1]).parameters_ == GammaGamma().fit(count, mean).parameters_


def test_one_enormous_value_leaves_the_others_where_they_were() -> None:
    count, mean, _ = simulated_values(3_000)
    without = GammaGamma().fit(count, mean).expected_value(count, mean)
    model = GammaGamma().fit(np.append(count, 1), np.append(mean, 168_469.60))
    np.testing.assert_allclose(model.expected_value(count, mean), without, rtol=0.2)
    assert model.expected_value(np.zeros(1), np.zeros(1))[0] == pytest.approx(30, rel=0.1)


def test_constant_values_are_expected_again() -> None:
    model = GammaGamma().fit(np.full(300, 2.0), np.full(300, 25.0))
    assert model.note_
    assert model.expected_value(np.array([0.0, 2.0]), np.array([0.0, 25.0])) == pytest.approx(
        [25, 25], rel=0.01
    )


def test_values_that_the_model_cannot_hold_keep_their_observed_mean(caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    count, mean = rng.integers(1, 50, 3_000).astype(float), rng.lognormal(4, 1.2, 3_000)
    with caplog.at_level(logging.INFO):
        model = GammaGamma().fit(count, mean)
    assert "its mean is held at the observed one" in model.note_
    assert model.note_ in caplog.text
    observed = np.minimum(mean, np.quantile(mean, 0.99)).mean()
    assert model.expected_value(np.zeros(1), np.zeros(1))[0] == pytest.approx(observed, rel=0.01)


def test_values_whose_mean_is_infinite_get_a_finite_one_and_a_note() -> None:
    values = 10 / np.random.default_rng(0).random(3_000) ** 1.4
    model = GammaGamma().fit(np.ones(3_000), values)
    observed = np.minimum(values, np.quantile(values, 0.99)).mean()
    assert model.note_
    assert 1 / 1.5 <= model.expected_value(np.zeros(1), np.zeros(1))[0] / observed <= 1.5


def test_where_nobody_paid_orders_are_worth_nothing_until_somebody_does() -> None:
    count, mean, _ = simulated_values(300)
    free = GammaGamma().fit(count, mean * 0)
    assert free.note_
    assert free.expected_value(count, mean * 0).max() == 0
    assert GammaGamma().fit(count, mean, near=free).parameters_ == GammaGamma().fit(count, mean).parameters_


@pytest.mark.parametrize("values", [[20.0], [10.0, 1e9]])
def test_few_values_still_give_an_answer_and_a_note(values: list[float]) -> None:
    model = GammaGamma().fit(np.ones(len(values)), np.array(values))
    answer = model.expected_value(np.array([0.0, 3.0]), np.array([0.0, 12.0]))
    assert model.note_
    assert np.isfinite(answer).all()
    assert (answer > 0).all()
