from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.metrics import log_loss, mean_tweedie_deviance, roc_auc_score

from training import metrics
from training.metrics import Ranks

DRAW = np.random.default_rng(3)
CHURNED = (DRAW.random(500) < 0.6).astype(float)
RISK = np.round(np.clip(0.3 * CHURNED + DRAW.random(500) * 0.7, 0, 1), 2)  # rounded: many ties
VALUE = np.where(CHURNED == 1, 0.0, DRAW.gamma(2, 50, 500))
PREDICTED = np.round(VALUE + DRAW.gamma(2, 30, 500))
COUNTS = DRAW.integers(0, 4, 500).astype(float)
VALUE_MEASURES = [metrics.gini, metrics.spearman, metrics.total_bias]


def repeated(*columns: np.ndarray) -> list[np.ndarray]:
    return [np.repeat(column, COUNTS.astype(int)) for column in columns]


def test_auc_log_loss_deviance_and_spearman_agree_with_their_libraries() -> None:
    floored = np.maximum(PREDICTED, metrics.FLOOR * VALUE.mean())
    assert metrics.auc(CHURNED, RISK) == pytest.approx(roc_auc_score(CHURNED, RISK))
    assert metrics.mean(metrics.log_losses(CHURNED, RISK)) == pytest.approx(
        log_loss(CHURNED, np.clip(RISK, 1e-6, 1 - 1e-6))
    )
    assert metrics.mean(metrics.tweedie_deviances(VALUE, PREDICTED)) == pytest.approx(
        mean_tweedie_deviance(VALUE, floored, power=1.5)
    )
    assert metrics.spearman(VALUE, PREDICTED) == pytest.approx(spearmanr(VALUE, PREDICTED).statistic)


@pytest.mark.parametrize("measure", VALUE_MEASURES)
def test_a_weight_of_two_is_the_row_twice(measure: Callable[..., float]) -> None:
    assert measure(VALUE, PREDICTED, COUNTS) == pytest.approx(measure(*repeated(VALUE, PREDICTED)))


def test_weights_count_rows_for_churn_too() -> None:
    assert metrics.auc(CHURNED, RISK, COUNTS) == pytest.approx(metrics.auc(*repeated(CHURNED, RISK)))
    bins = metrics.equal_bins(RISK)
    error = metrics.calibration_error(CHURNED, RISK, COUNTS, bins)
    again = metrics.calibration_error(
        *repeated(CHURNED, RISK), bins=Ranks(np.repeat(bins.groups, COUNTS.astype(int)), bins.size)
    )
    assert error == pytest.approx(again)


def test_gain_and_gini_by_hand() -> None:
    # best first by prediction: 0, 30, 10; the truth has 30, 10, 0
    value, predicted = np.array([10.0, 30.0, 0.0]), np.array([1.0, 2.0, 3.0])
    curve = metrics.gain_curve(value, predicted)
    assert curve is not None
    assert curve.value == pytest.approx([0, 0, 0.75, 1])
    # areas: (0 + .375 + .875) / 3 = .41667 and (.375 + .875 + 1) / 3 = .75, each less .5
    assert metrics.gini(value, predicted) == pytest.approx((1.25 / 3 - 0.5) / 0.25)
    assert metrics.gini(value, value) == pytest.approx(1)
    assert metrics.gini(value, -value) == pytest.approx(-1)


def test_a_tie_is_worth_the_mean_of_its_orders() -> None:
    value = np.array([10.0, 30.0, 0.0])
    orders = [np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 3.0])]
    both = np.mean([metrics.gini(value, order) for order in orders])
    assert metrics.gini(value, np.array([1.0, 1.0, 3.0])) == pytest.approx(both)
    assert metrics.gini(value, np.zeros(3)) == pytest.approx(0)


def test_the_top_decile_is_read_off_the_gain_curve() -> None:
    value = np.array([50.0] + [10.0] * 5 + [0.0] * 4)
    curve = metrics.gain_curve(value, value)
    assert curve is not None
    assert curve.at(0.1) == pytest.approx(0.5)


def test_calibration_error_by_hand() -> None:
    # two tied risks make two bins: 10 rows at .2 of whom 4 churn, 10 at .9 of whom 9 churn
    risk = np.repeat([0.2, 0.9], 10)
    churned = np.array([1.0] * 4 + [0.0] * 6 + [1.0] * 9 + [0.0])
    assert metrics.calibration_error(churned, risk) == pytest.approx(0.5 * 0.2)


def test_bins_hold_equal_counts_where_predictions_differ() -> None:
    assert metrics.equal_bins(DRAW.random(200)).totals(np.ones(200)) == pytest.approx(np.full(10, 20))


def test_the_bias_is_a_share_of_the_true_total() -> None:
    assert metrics.total_bias(np.array([10.0, 30.0]), np.array([20.0, 30.0])) == pytest.approx(0.25)


def test_negative_value_counts_as_none_for_gini_and_deviance() -> None:
    value, none = np.array([-5.0, 20.0]), np.array([0.0, 20.0])
    predicted = np.array([3.0, 4.0])
    assert metrics.gini(value, predicted) == metrics.gini(none, predicted)
    assert metrics.mean(metrics.tweedie_deviances(value, predicted)) == metrics.mean(
        metrics.tweedie_deviances(none, predicted)
    )


def test_what_cannot_be_measured_is_none() -> None:
    nothing, some, empty = np.zeros(3), np.array([1.0, 2.0, 3.0]), np.array([])
    assert metrics.auc(nothing, some / 4) is None
    assert metrics.auc(np.ones(3), some / 4) is None
    assert metrics.gini(nothing, some) is None
    assert metrics.gini(np.full(3, 0.1), some) is None
    assert metrics.tweedie_deviances(nothing, some) is None
    assert metrics.mean(None) is None
    assert metrics.spearman(nothing, some) is None
    assert metrics.spearman(some, nothing) is None
    assert metrics.total_bias(nothing, some) is None
    assert metrics.auc(empty, empty) is None
    assert metrics.gini(empty, empty) is None
    assert metrics.mean(metrics.log_losses(empty, empty)) is None
    assert metrics.calibration_error(empty, empty) is None


def test_a_certain_error_costs_a_finite_log_loss() -> None:
    assert metrics.log_losses(np.array([1.0]), np.array([0.0])) == pytest.approx([-np.log(1e-6)])


@given(st.permutations(range(40)))
def test_the_order_of_rows_changes_nothing(order: list[int]) -> None:
    churned, risk, value, predicted = (column[:40] for column in (CHURNED, RISK, VALUE, PREDICTED))
    assert metrics.auc(churned[order], risk[order]) == pytest.approx(metrics.auc(churned, risk))
    assert metrics.calibration_error(churned[order], risk[order]) == pytest.approx(
        metrics.calibration_error(churned, risk)
    )
    for measure in VALUE_MEASURES:
        assert measure(value[order], predicted[order]) == pytest.approx(measure(value, predicted))


def test_the_currency_changes_no_gini_and_scales_the_deviance_by_its_root() -> None:
    assert metrics.gini(VALUE * 100, PREDICTED * 100) == pytest.approx(metrics.gini(VALUE, PREDICTED))
    cents = metrics.mean(metrics.tweedie_deviances(VALUE * 100, PREDICTED * 100))
    assert cents == pytest.approx(10 * metrics.mean(metrics.tweedie_deviances(VALUE, PREDICTED)))
