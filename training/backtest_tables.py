"""A backtest as tables: for the terminal, and for the page."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from training.evaluation import Evaluation, Gain
from training.grade import TITLES
from training.rolling import LOST_HORIZONS, PLAIN, SEASONAL, Backtest
from training.scoreboard import AT_ORIGINS, DASH, amount, render

if TYPE_CHECKING:
    import pandas as pd


class Sheet(NamedTuple):
    """A table as text: its title, what it says in a sentence, the columns and the rows."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def shown(done: Backtest) -> RenderableType:
    """Lay a backtest out for the terminal: all measures first, then the sheets, then the grade."""
    parts: list[RenderableType] = [render(done.everybody)]
    if done.remaining is not None:
        parts += [Text(f"\n{without_lost(done)}", style="bold"), render(_short(done.remaining), ranges=False)]
    for sheet in sheets(done):
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
        for number, name in enumerate(sheet.columns):
            table.add_column(name, justify="left" if number == 0 else "right")
        for row in sheet.rows:
            table.add_row(*row)
        parts += [Text(f"\n{sheet.title}", style="bold"), table, Text(sheet.note, style="dim")]
    parts.append(Text(f"\ngrade {done.grade.letter} of {done.model}: {done.grade.reason}"))
    return Group(*parts)


def without_lost(done: Backtest) -> str:
    """Say who is left out where the lost are."""
    return f"Without the lost (silent for more than {LOST_HORIZONS * done.horizon_days} days)"


def sheets(done: Backtest) -> list[Sheet]:
    """Return what there is beside the measures: gains, calibration, intervals and totals."""
    made = [_gains(done), _calibration(done), _calibration_at_origins(done), _intervals(done), _totals(done)]
    return [sheet for sheet in made if sheet.rows]


def _short(evaluation: Evaluation) -> Evaluation:
    table = evaluation.table
    return replace(evaluation, table=table[table["metric"].isin(AT_ORIGINS)])


def _gains(done: Backtest) -> Sheet:
    rivals = dict.fromkeys(gain.rival for gain in done.gains)
    found = {(gain.rival, gain.metric): gain for gain in done.gains}
    rows = [(rival, *(_gain(found[rival, metric]) for metric in TITLES)) for rival in rivals]
    note = (
        f"What {done.model} gains, the mean over {len(done.origins)} origins with paired 95% intervals by "
        "customer; * the whole interval is above zero, ! below."
    )
    return Sheet("Gain over", note, ("rival", *TITLES.values()), tuple(rows))


def _gain(gain: Gain) -> str:
    if gain.estimate is None:
        return DASH
    interval = "" if gain.low is None else f" ({gain.low:+.4f} to {gain.high:+.4f})"
    return f"{gain.estimate:+.4f}{interval}{'*' if gain.better else '!' if gain.worse else ' '}"


def _calibration(done: Backtest) -> Sheet:
    over_all = done.calibration[done.calibration["origin"].isna()]
    rows = [(str(row["model"]), *_calibrated(row)) for _, row in over_all.iterrows()]
    note = (
        "Error: mean absolute difference over ten bins of equal counts; by chance: its 95th percentile if "
        "the chances were right. Level 0 and slope 1 are right."
    )
    columns = ("model", "came", "expected", "error", "by chance", "level", "slope")
    return Sheet("Calibration of churn risk", note, columns, tuple(rows))


def _calibration_at_origins(done: Backtest) -> Sheet:
    own = done.calibration[done.calibration["model"].isin([done.model, PLAIN])].dropna(subset="origin")
    rows = []
    for origin, pair in own.groupby("origin"):
        of_model = pair.set_index("model")
        plain = of_model["error"].get(PLAIN, math.nan)
        row = (f"{origin:%Y-%m-%d}", *_calibrated(of_model.T[done.model]), _share(plain))
        rows.append(row)
    columns = ("origin", "came", "expected", "error", "by chance", "level", "slope", "uncalibrated error")
    note = "Where came and expected lie apart, the whole shop moved, which no calibration foresees."
    return Sheet(f"Calibration of {done.model} by origin", note, columns, tuple(rows))


def _calibrated(row: "pd.Series[float]") -> tuple[str, ...]:
    level, slope = (DASH if math.isnan(row[name]) else f"{row[name]:.2f}" for name in ("level", "slope"))
    return (*(_share(row[name]) for name in ("came", "expected", "error", "by_chance")), level, slope)


def _intervals(done: Backtest) -> Sheet:
    losses, rows = done.pinball.set_index("model"), []
    for model, part in done.intervals.groupby("model", sort=False):
        by_tenth = part.set_index("tenth")[["below", "above"]]
        shares = [*by_tenth.T[0].tolist(), float((by_tenth.drop(0) - 0.1).abs().to_numpy().max())]
        known = losses.T[model].tolist() if model in losses.index else [math.nan] * 4
        pinball = [DASH if math.isnan(loss) else amount(loss) for loss in known]
        rows.append((str(model), *map(_share, shares), *pinball))
    note = (
        "Below the 10% and above the 90% quantile lies a tenth each if the intervals are right (randomised "
        "transform; furthest: of any tenth of the customers). Pinball loss beside that of the quantiles "
        "of the same tenth at earlier origins. No interval survives a shift of the whole shop."
    )
    columns = ("model", "below", "above", "furthest", "low loss", "high loss", "binned low", "binned high")
    return Sheet("Intervals of value", note, columns, tuple(rows))


def _totals(done: Backtest) -> Sheet:
    medians = done.median_bias()
    biases = done.totals.set_index(["model", "origin"])["bias"]
    rows = [
        (
            str(model),
            *(_percent(biases.get((model, origin), math.nan)) for origin in done.origins),
            f"{bias:.1%}",
        )
        for model, bias in medians.items()
    ]
    columns = ("bias of the total", *(f"{origin:%Y-%m-%d}" for origin in done.origins), "median absolute")
    note = (
        f"Predicted over true total value, less 1. {SEASONAL}: the same window last year, or where that is "
        "not known the window before, of the customers known then."
    )
    return Sheet("The total, by origin", note, columns, tuple(rows))


def _share(number: float) -> str:
    return DASH if math.isnan(number) else f"{number:.3f}"


def _percent(number: float) -> str:
    return DASH if math.isnan(number) else f"{number:+.1%}"
