from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle

from training import standing_plots
from training.plots import BLUE, GREEN, GREY, VERMILION
from training.report_words import Words

pytestmark = pytest.mark.usefixtures("no_window")
TIERS = pd.DataFrame({"value_tier": ["high", "low"], "customers": [25, 75], "expected_value": [90.0, 10.0]})
MOVES = pd.DataFrame([[60, 4, 1], [6, 90, 0], [2, 3, 0]], ["high", "low", "(new)"], ["high", "low", "(gone)"])
CUSTOMERS = pd.DataFrame({"churn_risk": [0.1, 0.1, 0.9], "value_if_kept": [10.0, 10.0, 1000.0]})
STEPS = pd.DataFrame(
    {
        "stage": ["first_order", "lapsing"],
        "next_stage": ["repeat", "lost"],
        "customers": [1200, 40],
        "share": [0.4, 0.1],
        "low": [0.35, 0.05],
        "high": [0.45, 0.2],
    }
)
TRIANGLE = pd.DataFrame([[0.5, 0.25], [0.4, np.nan]], ["2024-01 (10)", "2024-02 (20)"], [1, 2])
RATES = pd.DataFrame(
    {
        "attribute": "gender",
        "group": ["women", "men"],
        "customers": [400, 300],
        "rate": [0.3, 0.1],
        "low": [0.26, 0.07],
        "high": [0.34, 0.14],
        "favoured": "women",
        "alert": [False, True],
    }
)
DRAWINGS: dict[str, Callable[..., Axes]] = {
    "tier_shares": lambda **how: standing_plots.tier_shares(TIERS, **how),
    "movement": lambda **how: standing_plots.movement(MOVES, **how),
    "risk_and_value": lambda **how: standing_plots.risk_and_value(CUSTOMERS, CUSTOMERS.tail(1), **how),
    "stage_rates": lambda **how: standing_plots.stage_rates(STEPS, **how),
    "retention": lambda **how: standing_plots.retention(TRIANGLE, **how),
    "group_rates": lambda **how: standing_plots.group_rates(RATES, **how),
}


def words_in(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("draw", DRAWINGS.values(), ids=DRAWINGS.keys())
def test_every_plot_draws_where_it_is_told_in_the_language_asked_for(draw: Callable[..., Axes]) -> None:
    given = Figure().subplots()
    assert draw(ax=given) is given
    own = draw()
    own.get_figure().canvas.draw()
    assert own is not given
    title = given.get_title() or given.get_title(loc="left")
    assert title
    chinese = draw(words=Words("zh"))
    assert (chinese.get_title() or chinese.get_title(loc="left")) not in {"", title}


def test_bars_are_the_shares_of_each_tier() -> None:
    ax = standing_plots.tier_shares(TIERS)
    customers, value = ([bar.get_width() for bar in bars] for bars in ax.containers)
    assert customers == pytest.approx([0.25, 0.75])
    assert value == pytest.approx([0.9, 0.1])
    assert {"high", "low", "25.0%", "90.0%"} <= set(words_in(ax))


def test_tiers_without_any_value_have_bars_of_customers_alone() -> None:
    ax = standing_plots.tier_shares(TIERS.assign(expected_value=0.0))
    assert [bar.get_width() for bar in ax.containers[1]] == [0, 0]


def test_without_a_forecast_of_value_there_are_customers_alone() -> None:
    ax = standing_plots.tier_shares(TIERS.drop(columns="expected_value"))
    assert len(ax.containers) == 1


def test_a_stream_is_as_thick_as_the_customers_in_it_and_its_colour_tells_its_direction() -> None:
    ax = standing_plots.movement(MOVES)
    streams = [patch for patch in ax.patches if isinstance(patch, PathPatch)]
    sizes = [np.ptp(stream.get_path().vertices[[0, 7], 1]) for stream in streams]
    assert sizes == pytest.approx([60, 4, 1, 6, 90, 2, 3])
    colours = [to_hex(stream.get_facecolor()).upper() for stream in streams]
    assert colours == [GREY, VERMILION, BLUE, GREEN, GREY, BLUE, BLUE]


def test_every_stream_leaves_and_enters_within_its_tier() -> None:
    ax = standing_plots.movement(MOVES)
    nodes = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert [node.get_height() for node in nodes] == [65, 96, 5, 68, 97, 1]
    edges = [(node.get_y(), node.get_y() + node.get_height()) for node in nodes]
    for stream in (patch for patch in ax.patches if isinstance(patch, PathPatch)):
        ends = stream.get_path().vertices[[0, 3], 1]
        for end, side in zip(ends, (edges[:3], edges[3:]), strict=True):
            assert any(low - 1e-9 <= end <= high + 1e-9 for low, high in side)


def test_long_names_are_cut_beside_the_streams() -> None:
    names = {"high": "strategic accounts of the north", "low": "战略重要大客户集团"}
    ax = standing_plots.movement(MOVES.rename(index=names))
    assert words_in(ax)[:2] == [
        "strategic acc\N{HORIZONTAL ELLIPSIS}  65",
        "战略重要大客\N{HORIZONTAL ELLIPSIS}  96",
    ]
    fits = standing_plots.movement(MOVES.rename(index={"high": "战略重要大客户"}))
    assert words_in(fits)[0] == "战略重要大客户  65"


def test_darker_cells_hold_more_customers_and_those_worth_saving_are_marked() -> None:
    ax = standing_plots.risk_and_value(CUSTOMERS, CUSTOMERS.tail(1))
    shades = ax.collections[0].get_facecolor()[:, 3]
    assert sorted(shades) == pytest.approx([0.12 + 0.88 * np.log(2) / np.log(3), 1])
    assert ax.lines[0].get_xydata().tolist() == [[0.9, 1000.0]]


@pytest.mark.parametrize("customers", [CUSTOMERS.head(0), CUSTOMERS.assign(value_if_kept=0.0)])
def test_nobody_with_a_value_leaves_the_plot_empty(customers: pd.DataFrame) -> None:
    ax = standing_plots.risk_and_value(customers, customers)
    ax.get_figure().canvas.draw()
    assert list(ax.collections) == []


def test_steps_stand_in_order_with_their_customers() -> None:
    ax = standing_plots.stage_rates(STEPS)
    assert words_in(ax) == ["first order to repeat: 40.0% (1,200)", "lapsing to lost: 10.0% (40)"]
    assert [bar.get_width() for bar in ax.patches] == [0.4, 0.1]


def test_cells_that_are_not_known_yet_are_left_out() -> None:
    assert words_in(standing_plots.retention(TRIANGLE)) == ["50%", "25%", "40%"]
    assert words_in(standing_plots.retention(TRIANGLE * 0)) == ["0%", "0%", "0%"]


def test_groups_stand_beside_four_fifths_of_the_best_rate() -> None:
    ax = standing_plots.group_rates(RATES)
    assert words_in(ax) == ["gender: women (400)", "gender: men (300)"]
    limit = [one for one in ax.lines if one.get_linestyle() == "--"]
    assert limit[0].get_xdata() == pytest.approx([0.24, 0.24])
    colours = [bar.lines[0].get_color() for bar in ax.containers]
    assert colours == [BLUE, VERMILION]
