from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training import plots

pytestmark = pytest.mark.usefixtures("no_window")
CHURNED = np.array([1.0] * 4 + [0.0] * 6 + [1.0] * 9 + [0.0])
RISK = np.repeat([0.2, 0.9], 10)
VALUE = np.arange(20.0)
SHARES = pd.Series(
    np.arange(20, 0, -1) / 210, index=[f"feature_{n}" for n in range(20)], name="share_of_gain"
)

DEPENDENCE = pd.DataFrame(
    {"feature": np.repeat(["b", "a"], 3), "share": [0.1, 0.5, 0.9] * 2, "churn_risk": np.arange(6) / 10}
)

DRAWINGS = {
    "calibration": lambda ax: plots.calibration(CHURNED, RISK, ax=ax),
    "gain": lambda ax: plots.gain(VALUE, VALUE[::-1], ax=ax),
    "decile_value": lambda ax: plots.decile_value(VALUE, VALUE + 1, currency="GBP", ax=ax),
    "importance": lambda ax: plots.importance(SHARES, ax=ax),
    "partial_dependence": lambda ax: plots.partial_dependence(DEPENDENCE, ax=ax),
}


def line(ax: Axes, label: str) -> np.ndarray:
    return next(one.get_xydata() for one in ax.lines if str(one.get_label()).startswith(label))


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS.keys())
def test_every_plot_draws_where_it_is_told_and_names_its_axes(draw: Callable[[Axes | None], Axes]) -> None:
    given = Figure().subplots()
    assert draw(given) is given
    assert given.get_title()
    assert given.get_xlabel()
    own = draw(None)
    own.get_figure().canvas.draw()
    assert own is not given
    assert given.get_figure() not in map(plt.figure, plt.get_fignums())


def test_calibration_shows_the_churn_rate_of_each_risk_with_its_interval() -> None:
    ax = plots.calibration(CHURNED, RISK)
    container = ax.containers[0]
    assert container.lines[0].get_xydata() == pytest.approx(np.array([[0.2, 0.4], [0.9, 0.9]]))
    segments = container.lines[2][0].get_segments()
    # Wilson's interval for 4 of 10
    assert segments[0][:, 1] == pytest.approx([0.1682, 0.6873], abs=1e-4)


def test_gain_shows_the_prediction_between_the_perfect_and_the_random_order() -> None:
    value = np.array([10.0, 30.0, 0.0])
    ax = plots.gain(value, np.array([1.0, 2.0, 3.0]))
    assert line(ax, "by prediction")[:, 1] == pytest.approx([0, 0, 0.75, 1])
    assert line(ax, "perfect")[:, 1] == pytest.approx([0, 0.75, 1, 1])
    assert line(ax, "random").tolist() == [[0, 0], [1, 1]]
    assert "normalised Gini -0.33" in ax.get_legend().get_texts()[1].get_text()


def test_gain_without_any_value_shows_the_random_order_alone() -> None:
    assert len(plots.gain(np.zeros(3), np.ones(3)).lines) == 1


def test_deciles_start_with_the_highest_predictions() -> None:
    ax = plots.decile_value(VALUE, VALUE + 1, currency="GBP")
    predicted, actual = ([bar.get_height() for bar in bars] for bars in ax.containers)
    assert predicted == pytest.approx(np.arange(19.5, 0, -2))
    assert actual == pytest.approx(np.arange(18.5, 0, -2))
    assert ax.patches[0].get_center()[0] == pytest.approx(0.8)
    assert ax.get_ylabel() == "mean value in the horizon (GBP per customer)"


def test_importance_shows_the_largest_fifteen_on_top() -> None:
    ax = plots.importance(SHARES.sample(frac=1, random_state=0))
    assert [label.get_text() for label in ax.get_yticklabels()] == list(SHARES.index[:15][::-1])
    assert ax.patches[-1].get_width() == pytest.approx(2000 / 210)
    assert "15 of 20 features" in ax.get_title()
    assert "of" not in plots.importance(SHARES.head(3)).get_title()


def test_each_feature_has_a_line_in_the_order_given() -> None:
    ax = plots.partial_dependence(DEPENDENCE)
    assert [one.get_label() for one in ax.lines] == ["b", "a"]
    assert line(ax, "a").tolist() == pytest.approx(np.array([[0.1, 0.3], [0.5, 0.4], [0.9, 0.5]]))
