"""Pictures of a forecaster on held-out customers; each function draws on an `Axes` and returns it.

Without `ax`, a figure of its own is made. Colours are those of Okabe and Ito (2008), told apart by the
colour-blind; every series also differs by marker or line.
"""

from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from models.likelihood import Vector
from training import metrics
from training.intervals import wilson

BLUE, VERMILION, GREEN, PINK, AMBER = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
GREY = "#6E6E6E"
SHOWN = 15
SERIES = (
    (BLUE, "o"),
    (VERMILION, "s"),
    (GREEN, "^"),
    (PINK, "D"),
    (AMBER, "v"),
    (GREY, "x"),
)


def calibration(churned: Vector, risk: Vector, *, ax: Axes | None = None) -> Axes:
    """Draw how many of those at each risk churned, in ten bins of equal counts with 95% intervals.

    The reliability diagram of Niculescu-Mizil and Caruana (2005); the intervals are those of Wilson (1927).

    Parameters
    ----------
    churned, risk
        1 for no order in the horizon, and the predicted probability of it; each of shape (n,).
    """
    ax = begin(ax)
    bins = metrics.equal_bins(risk)
    rows = bins.totals(np.ones(len(risk)))
    filled = rows > 0
    rows = rows[filled]
    predicted, actual = (bins.totals(column)[filled] / rows for column in (risk, churned))
    low, high = wilson(actual, rows)
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="perfect")
    ax.errorbar(
        predicted,
        actual,
        yerr=np.maximum([actual - low, high - actual], 0),
        color=BLUE,
        marker="o",
        markersize=5,
        linewidth=1.5,
        capsize=3,
        label="tenths of the customers, 95% intervals",
    )
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), title="Calibration of churn risk")
    ax.set(xlabel="mean predicted churn risk (%)", ylabel="customers without an order (%)")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, symbol=""))
    ax.set_aspect("equal")
    return finish(ax, legend="upper left")


def gain(value: Vector, predicted: Vector, *, ax: Axes | None = None) -> Axes:
    """Draw what share of the value the customers with the highest predictions hold.

    Parameters
    ----------
    value, predicted
        Value in the horizon and its prediction, in one unit; each of shape (n,). Without any value, only
        the random order is drawn.
    """
    ax = begin(ax)
    curve, perfect = metrics.gain_curve(value, predicted), metrics.gain_curve(value, value)
    if curve is not None and perfect is not None:
        gini = metrics.gini_of(curve, perfect)
        note = "" if gini is None else f" (normalised Gini {gini:.2f})"
        ax.plot(perfect.customers, perfect.value, color=VERMILION, linestyle="-.", label="perfect order")
        ax.plot(curve.customers, curve.value, color=BLUE, linewidth=2, label=f"by prediction{note}")
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1, label="random order")
    ax.set(xlim=(0, 1), ylim=(0, 1.02), title="Share of value held by the best customers")
    ax.set(xlabel="customers, highest predictions first (%)", ylabel="share of the value in the horizon (%)")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, symbol=""))
    return finish(ax, legend="lower right")


def decile_value(value: Vector, predicted: Vector, *, currency: str = "", ax: Axes | None = None) -> Axes:
    """Draw predicted and actual mean value by decile of the prediction, the highest first.

    Parameters
    ----------
    value, predicted
        Value in the horizon and its prediction, in one unit of money; each of shape (n,).
    currency
        The name of that unit.
    """
    ax = begin(ax)
    bins = metrics.equal_bins(predicted)
    rows = bins.totals(np.ones(len(predicted)))
    filled = np.flatnonzero(rows > 0)[::-1]
    for column, offset, colour, hatch, label in (
        (predicted, -0.2, BLUE, "", "predicted"),
        (value, 0.2, VERMILION, "///", "actual"),
    ):
        heights = bins.totals(column)[filled] / rows[filled]
        ax.bar(
            metrics.BINS - filled + offset,
            heights,
            0.4,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            label=label,
        )
    ax.set_xticks(range(1, metrics.BINS + 1))
    ax.set(title="Value by decile of prediction", xlabel="decile (1 = highest predicted value)")
    ax.set_ylabel(f"mean value in the horizon ({currency or 'money'} per customer)")
    ax.yaxis.set_major_formatter(FuncFormatter(thousands))
    return finish(ax, legend="upper right")


def importance(share_of_gain: pd.Series, *, ax: Axes | None = None) -> Axes:
    """Draw the features that the trees gain most from, at most 15, the largest on top.

    Parameters
    ----------
    share_of_gain
        Share of the total gain by feature, from 0 to 1.
    """
    ax = begin(ax)
    largest = share_of_gain.sort_values(ascending=False, kind="stable").head(SHOWN)[::-1]
    bars = ax.barh(largest.index.astype(str), largest.to_numpy(dtype=float) * 100, color=BLUE)
    ax.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
    ax.margins(x=0.1)
    which = f" ({SHOWN} of {len(share_of_gain)} features)" if len(share_of_gain) > SHOWN else ""
    ax.set(title=f"What the trees learn from{which}", xlabel="share of the gain in training (%)")
    finish(ax, legend=None)
    ax.grid(visible=False, axis="y")
    return ax


def partial_dependence(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the mean churn risk if the trees saw one value of a feature in all customers, by its quantiles.

    Parameters
    ----------
    table
        ``feature``, ``share`` of the customers below a value, ``churn_risk``; at most six features.
    """
    ax = begin(ax)
    for (name, rows), (colour, marker) in zip(table.groupby("feature", sort=False), SERIES, strict=False):
        ax.plot(rows["share"], rows["churn_risk"], color=colour, marker=marker, markersize=4, label=str(name))
    ax.xaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol="", decimals=1))
    ax.set(title="What the trees make of a feature", xlabel="quantile of the feature (%)")
    ax.set_ylabel("mean churn risk (%)")
    finish(ax, legend=None)
    ax.legend(loc="best", frameon=False, fontsize=8)
    return ax


def begin(ax: Axes | None) -> Axes:
    """Take the axes given, or those of a figure of their own."""
    return plt.subplots(figsize=(6.4, 4.8), layout="constrained")[1] if ax is None else ax


def finish(ax: Axes, *, legend: Literal["best", "lower right", "upper left", "upper right"] | None) -> Axes:
    """Give a plot the look of all of them."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)
    if legend:
        ax.legend(loc=legend, frameon=False)
    return ax


def thousands(number: float, _: int | None = None) -> str:
    """Write a number of money on an axis."""
    return f"{number:,.0f}" if abs(number) >= 1 or number == 0 else f"{number:.2g}"
