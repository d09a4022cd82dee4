"""A backtest as a page: one file that opens anywhere, plots and all."""

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from training import plots
from training.backtest_tables import Sheet, sheets, without_lost
from training.evaluation import Evaluation
from training.grade import TITLES
from training.metrics import BINS
from training.page import document, paragraph, picture, table
from training.rolling import SEASONAL, Backtest
from training.scoreboard import measured

if TYPE_CHECKING:
    from collections.abc import Callable


def page(done: Backtest) -> str:
    """Return the page as HTML; it asks nothing of the web."""
    origins = ", ".join(f"{origin:%Y-%m-%d}" for origin in reversed(done.origins))
    grade, model, why = (escape(text) for text in (done.grade.letter, done.model, done.grade.reason))
    how = (
        f"Every model was taught on what was known at each origin ({origins}), and judged by what came in "
        f"the {done.horizon_days} days after."
    )
    parts = [
        f"<h1>Backtest of {done.horizon_days} days, as known at {done.as_of:%Y-%m-%d}</h1>",
        f'<p class="grade">Grade <b>{grade}</b> of {model}: {why}.</p>',
        paragraph(how),
        _pictures(done),
        _measures("All customers", done.everybody, done.model),
        "" if done.remaining is None else _measures(without_lost(done), done.remaining, done.model),
        *(_sheet(sheet, done.model) for sheet in sheets(done)),
    ]
    return document("Backtest", parts)


def figures(done: Backtest) -> dict[str, Figure]:
    """Return the plots by the name of their file."""
    own = done.held_out[done.held_out["model"] == done.model]
    churned, risk = np.asarray(own["orders"] == 0, dtype=float), own["churn_risk"].to_numpy(dtype=float)
    value, predicted = (own[name].to_numpy(dtype=float) for name in ("value", "expected_value"))
    drawings: dict[str, Callable[[Axes], Axes]] = {
        "gains.png": lambda ax: _draw_gains(done, ax),
        "totals.png": lambda ax: _draw_totals(done, ax),
        "calibration.png": lambda ax: plots.calibration(churned, risk, ax=ax),
        "intervals.png": lambda ax: _draw_intervals(done, ax),
        "gain.png": lambda ax: plots.gain(value, predicted, ax=ax),
        "decile_value.png": lambda ax: plots.decile_value(value, predicted, currency=done.currency, ax=ax),
    }
    made = {}
    for name, draw in drawings.items():
        figure = Figure(figsize=(6.8, 4.8), layout="constrained")
        draw(figure.subplots())
        made[name] = figure
    return made


def _draw_gains(done: Backtest, ax: Axes) -> Axes:
    known = [gain for gain in done.gains if gain.estimate is not None and gain.low is not None]
    for number, (metric, colour, marker) in enumerate(
        (("log_loss", plots.BLUE, "o"), ("gini", plots.VERMILION, "s"))
    ):
        mine = [gain for gain in known if gain.metric == metric]
        middle = np.array([gain.estimate for gain in mine], dtype=float)
        low, high = (np.array([getattr(gain, end) for gain in mine], dtype=float) for end in ("low", "high"))
        ax.errorbar(
            middle,
            np.arange(len(mine)) + 0.2 * number,
            xerr=np.array([middle - low, high - middle]).clip(min=0),
            fmt=marker,
            color=colour,
            capsize=3,
            label=TITLES[metric],
        )
        ax.set_yticks(range(len(mine)), [gain.rival for gain in mine])
    ax.axvline(0, color=plots.GREY, linestyle="--", linewidth=1)
    ax.invert_yaxis()
    ax.set(title=f"What {done.model} gains over", xlabel="mean gain over origins, 95% intervals")
    return plots.finish(ax, legend="best")


def _draw_totals(done: Backtest, ax: Axes) -> Axes:
    for model, part in done.totals.sort_values("origin").groupby("model", sort=False):
        is_own, is_naive = model == done.model, model == SEASONAL
        ax.plot(
            pd.to_datetime(part["origin"]),
            part["bias"],
            color=plots.BLUE if is_own else plots.VERMILION if is_naive else plots.GREY,
            linewidth=2.2 if is_own else 1,
            marker="o" if is_own else "s" if is_naive else ".",
            linestyle="-" if is_own else "--",
            label=str(model) if is_own or is_naive else None,
        )
    ax.axhline(0, color=plots.GREY, linewidth=1)
    ax.set(
        title="Bias of the total by origin (grey: the other baselines)", ylabel="predicted over true, less 1"
    )
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.tick_params(axis="x", rotation=30)
    return plots.finish(ax, legend="upper right")


def _draw_intervals(done: Backtest, ax: Axes) -> Axes:
    own = done.intervals[(done.intervals["model"] == done.model) & (done.intervals["tenth"] > 0)]
    for name, colour, marker in (("below", plots.BLUE, "o"), ("above", plots.VERMILION, "s")):
        quantile = "below the 10% quantile" if name == "below" else "above the 90% quantile"
        ax.plot(own["tenth"], own[name], color=colour, marker=marker, label=quantile)
    ax.axhline(0.1, color=plots.GREY, linestyle="--", linewidth=1)
    ax.set(title="How often values fall outside their interval", xlabel="tenth (10 = highest expected value)")
    top = 1.3 * max(float(own[["below", "above"]].to_numpy().max()), 0.1)
    ax.set(ylabel="share of customers (%)", ylim=(0, top), xlim=(0.5, BINS + 0.5))
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    return plots.finish(ax, legend="upper left")


def _pictures(done: Backtest) -> str:
    drawn = (picture(name.removesuffix(".png"), figure) for name, figure in figures(done).items())
    return f'<div class="plots">{"".join(drawn)}</div>'


def _measures(title: str, evaluation: Evaluation, own: str) -> str:
    columns, rows = measured(evaluation.table)
    note = (
        f"{evaluation.customers:,} customers at {evaluation.origins} origins; in brackets 95% intervals, "
        f"{evaluation.resamples} bootstrap resamples of customers."
    )
    return _sheet(Sheet(title, note, tuple(columns), tuple(map(tuple, rows))), own)


def _sheet(sheet: Sheet, own: str) -> str:
    shown = table(sheet.columns, sheet.rows, own=own)
    return f"<section><h2>{escape(sheet.title)}</h2>{shown}{paragraph(sheet.note, kind='note')}</section>"
