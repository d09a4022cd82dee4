"""Pictures of where customers stand, and how they move; each function draws on an `Axes` and returns it.

They look and behave as those of `training.plots`. Names of tiers stand inside the plots, not beside them:
they may be long, and in any script.
"""

from collections.abc import Sequence
from unicodedata import east_asian_width

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from models.likelihood import Vector
from training.fairness import FOUR_FIFTHS
from training.plots import BLUE, GREEN, GREY, VERMILION, begin, finish, thousands
from training.report_words import Words

ENGLISH = Words("en")
GAP, NODE = 0.06, 0.05
"""Of a Sankey diagram: the space between two tiers, and the width of a tier."""
ROOM, BESIDE_STREAMS = 50, 14
"""Letters that fit on a line of a plot, and beside the streams of a Sankey diagram; a wide one takes two."""
CELLS = 26
"""Across the plot of risk and value."""


def tier_shares(tiers: pd.DataFrame, *, words: Words = ENGLISH, ax: Axes | None = None) -> Axes:
    """Draw what share of the customers, and of the expected value, each tier holds.

    Parameters
    ----------
    tiers
        One row per tier, the best first: ``value_tier``, ``customers``, and where it is forecast
        ``expected_value`` (its total).
    words
        In which language.
    """
    ax = begin(ax)
    shares = tiers.drop(columns="value_tier")
    shares = (shares / shares.sum().replace(0, np.nan)).fillna(0)
    rows = np.arange(len(tiers))
    looks = ((0.0, BLUE, ""), (0.3, VERMILION, "///"))
    for column, (offset, colour, hatch) in zip(shares.columns, looks, strict=False):
        label = words(f"columns.share_of_{column}")
        share = shares[column]
        bars = ax.barh(rows + offset, share, 0.27, color=colour, hatch=hatch, edgecolor="white", label=label)
        ax.bar_label(bars, labels=[f"{each:.1%}" for each in share], padding=3, fontsize=9)
    for row, name in enumerate(tiers["value_tier"]):
        ax.text(0, row - 0.22, _short(words.name(name), ROOM), va="bottom", fontsize=10)
    ax.set(
        title=words("tiers.plot"), ylim=(len(tiers) - 0.4, -0.75), xlim=(0, 1.12 * shares.to_numpy().max())
    )
    ax.yaxis.set_visible(False)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    finish(ax, legend=None)
    ax.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.07), frameon=False)
    return ax


def movement(moves: pd.DataFrame, *, words: Words = ENGLISH, ax: Axes | None = None) -> Axes:
    """Draw who moved from which tier to which: a Sankey diagram.

    Parameters
    ----------
    moves
        Customers by tier before (index) and tier after (columns), the best first; names that stand on one
        side only are no tiers, but who is new or gone.
    """
    ax = begin(ax)
    counts = moves.to_numpy(dtype=float)
    gap = GAP * counts.sum()
    froms, intos = (_stacked(counts.sum(axis=axis), gap) for axis in (1, 0))
    order = {name: number for number, name in enumerate(moves.columns) if name in moves.index}
    from_left, into_left = froms.copy(), intos.copy()
    for row, before in enumerate(moves.index):
        for column, after in enumerate(moves.columns):
            size = counts[row, column]
            if size:
                colour = _direction(order.get(before), order.get(after))
                ax.add_patch(_band(from_left[row], into_left[column], size, colour))
            from_left[row] += size
            into_left[column] += size
    for names, starts, sizes, side in (
        (moves.index, froms, counts.sum(axis=1), 0),
        (moves.columns, intos, counts.sum(axis=0), 1),
    ):
        _nodes(ax, [words.name(name) for name in names], starts, sizes, side=side)
    ax.set(xlim=(0, 1), ylim=(counts.sum() + gap * (max(moves.shape) - 1) + gap / 2, -gap / 2))
    ax.set_title(words("moves.plot"))
    ax.axis("off")
    return ax


def risk_and_value(
    customers: pd.DataFrame,
    saving: pd.DataFrame,
    *,
    currency: str = "",
    words: Words = ENGLISH,
    ax: Axes | None = None,
) -> Axes:
    """Draw churn risk against the value of a customer who comes, and mark those worth saving.

    Parameters
    ----------
    customers
        One row per customer: ``churn_risk`` and ``value_if_kept``; darker cells hold more of them.
    saving
        Those to mark, with the same columns.
    """
    ax = begin(ax)
    shown = customers[customers["value_if_kept"] > 0]
    if not shown.empty:
        cells = ax.hexbin(
            shown["churn_risk"],
            shown["value_if_kept"],
            yscale="log",
            gridsize=CELLS,
            mincnt=1,
            linewidths=0.1,
        )
        rows = np.log1p(np.asarray(cells.get_array(), dtype=float))
        cells.set_array(None)
        cells.set(facecolor=BLUE, edgecolor=BLUE, alpha=0.12 + 0.88 * rows / rows.max())
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.plot(
        *(saving[name].to_numpy() for name in ("churn_risk", "value_if_kept")),
        linestyle="none",
        marker="o",
        markersize=5,
        markerfacecolor="none",
        markeredgewidth=1.4,
        color=VERMILION,
        label=words("saving.marked"),
    )
    ax.set(title=words("saving.plot"), xlabel=words("saving.risk"), xlim=(-0.03, 1.03))
    ax.set_ylabel(words("saving.value", currency=currency))
    ax.xaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    ax.yaxis.set_major_formatter(FuncFormatter(thousands))
    return finish(ax, legend="best")


def stage_rates(steps: pd.DataFrame, *, words: Words = ENGLISH, ax: Axes | None = None) -> Axes:
    """Draw which share of those who reached a stage reached the next, with 95% intervals.

    Parameters
    ----------
    steps
        One row per step: ``stage``, ``next_stage``, ``customers``, ``share``, ``low``, ``high``.
    """
    ax = begin(ax)
    rows = np.arange(len(steps))
    ax.barh(
        rows,
        steps["share"],
        0.42,
        xerr=[(steps["share"] - steps["low"]).clip(0), (steps["high"] - steps["share"]).clip(0)],
        color=BLUE,
        error_kw={"ecolor": "black", "capsize": 3, "elinewidth": 1.2},
    )
    for row, step in zip(rows, steps.itertuples(index=False), strict=True):
        name = words("funnel.step", stage=words.name(step.stage), next_stage=words.name(step.next_stage))
        ax.text(0, row - 0.27, f"{name}: {step.share:.1%} ({step.customers:,})", va="bottom", fontsize=10)
    ax.set(title=words("funnel.plot"), xlabel=words("funnel.reached"))
    ax.set(xlim=(0, min(1.0, 1.1 * steps["high"].max())), ylim=(len(steps) - 0.6, -0.85))
    ax.yaxis.set_visible(False)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return finish(ax, legend=None)


def retention(triangle: pd.DataFrame, *, words: Words = ENGLISH, ax: Axes | None = None) -> Axes:
    """Draw what share of each cohort ordered again, period by period: a triangle of cells.

    Parameters
    ----------
    triangle
        Shares by cohort (index) and periods since the first order (columns); NaN is not known yet.
    """
    ax = begin(ax)
    shares = triangle.to_numpy(dtype=float)
    known = np.ma.masked_invalid(shares)
    highest = float(known.max()) if known.count() else 0.0
    for (row, column), share in np.ndenumerate(shares):
        if np.isnan(share):
            continue
        depth = share / highest if highest else 0.0
        ax.add_patch(Rectangle((column, row), 1, 1, facecolor=BLUE, alpha=0.05 + 0.5 * depth, linewidth=0))
        ax.text(column + 0.5, row + 0.5, f"{share:.0%}", ha="center", va="center", fontsize=8)
    ax.set(xlim=(0, shares.shape[1]), ylim=(shares.shape[0], 0), ylabel=words("retention.cohort"))
    ax.set_title(words("retention.plot"), loc="left")
    ax.set_xlabel(words("retention.periods"), loc="left")
    ax.set_xticks(np.arange(shares.shape[1]) + 0.5, [str(name) for name in triangle.columns])
    ax.set_yticks(np.arange(shares.shape[0]) + 0.5, [str(name) for name in triangle.index])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def group_rates(rates: pd.DataFrame, *, words: Words = ENGLISH, ax: Axes | None = None) -> Axes:
    """Draw the rate of a tier in each group with its 95% interval, and four fifths of the best group's rate.

    Parameters
    ----------
    rates
        As of `training.fairness.tier_rates`, of one tier; bars of groups with an alert are of another colour.
    """
    ax = begin(ax)
    for row, group in enumerate(rates.to_dict("records")):
        rate, colour = group["rate"], VERMILION if group["alert"] else BLUE
        spread = [[max(rate - group["low"], 0)], [max(group["high"] - rate, 0)]]
        ax.errorbar(rate, row, xerr=spread, color=colour, marker="s" if group["alert"] else "o", capsize=3)
        name = f"{group['attribute']}: {words.name(group['group'])} ({group['customers']:,})"
        ax.text(0, row - 0.2, _short(name, ROOM), va="bottom", fontsize=10)
    for _, of_one in rates.reset_index(drop=True).groupby("attribute", sort=False):
        favoured = of_one[of_one["group"] == of_one["favoured"]]
        if not favoured.empty:
            limit = FOUR_FIFTHS * favoured["rate"].iloc[0]
            ax.plot([limit] * 2, [of_one.index[0] - 0.4, of_one.index[-1] + 0.4], color=GREY, linestyle="--")
    ax.set(title=words("fairness.plot"), xlim=(0, 1.1 * rates["high"].max()), ylim=(len(rates) - 0.5, -0.7))
    ax.set_xlabel(words("fairness.rate"))
    ax.yaxis.set_visible(False)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return finish(ax, legend=None)


def _stacked(sizes: Vector, gap: float) -> Vector:
    return np.concatenate([[0.0], np.cumsum(sizes + gap)[:-1]])


def _short(name: str, room: int) -> str:
    """Cut a name where it would leave its place."""
    ends = np.cumsum([2 if east_asian_width(letter) in "WF" else 1 for letter in name])
    if not name or ends[-1] <= room:
        return name
    return f"{name[: int(np.sum(ends < room))]}\N{HORIZONTAL ELLIPSIS}"


def _direction(before: int | None, after: int | None) -> str:
    """Choose the colour of a stream: new or gone, as before, up or down."""
    if before is None or after is None:
        return BLUE
    return GREY if after == before else GREEN if after < before else VERMILION


def _band(left: float, right: float, size: float, colour: str) -> PathPatch:
    """Draw a stream from one side to the other; the control points make it leave and arrive level."""
    start, end, middle = NODE, 1 - NODE, 0.5
    points = [
        (start, left),
        *((middle, left), (middle, right), (end, right)),
        (end, right + size),
        *((middle, right + size), (middle, left + size), (start, left + size)),
        (start, left),
    ]
    curve = [Path.CURVE4] * 3
    codes = [Path.MOVETO, *curve, Path.LINETO, *curve, Path.CLOSEPOLY]
    return PathPatch(Path(points, codes), facecolor=colour, alpha=0.45, linewidth=0.4, edgecolor=colour)


def _nodes(ax: Axes, names: Sequence[str], starts: Vector, sizes: Vector, *, side: int) -> None:
    for name, start, size in zip(names, starts, sizes, strict=True):
        ax.add_patch(Rectangle((side * (1 - NODE), start), NODE, size, facecolor=BLUE, linewidth=0))
        ax.text(
            NODE * 1.4 if side == 0 else 1 - NODE * 1.4,
            start + size / 2,
            f"{_short(name, BESIDE_STREAMS)}  {size:,.0f}",
            ha="left" if side == 0 else "right",
            va="center",
            fontsize=10,
        )
