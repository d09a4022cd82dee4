"""An evaluation as a table for the terminal."""

import math

import pandas as pd
from rich.table import Table
from rich.text import Text

from training.evaluation import MEASURES, Evaluation

SECTIONS = (
    ("Who comes back", ("auc", "log_loss", "calibration_error")),
    ("Whose value is higher", ("gini", "spearman", "top_decile_share")),
    ("How much it is", ("tweedie_deviance", "mean_absolute_error", "total_bias")),
)
AT_ORIGINS = ("auc", "log_loss", "gini")
INTERVAL = ("low", "high")
RANGE = ("lowest_origin", "highest_origin")
PERCENT = ("total_bias",)
SHORT_BELOW = 1.0
DASH = MISSING = "\N{EN DASH}"
UP, DOWN = "\N{UPWARDS ARROW}", "\N{DOWNWARDS ARROW}"
FIRST_COLUMN, NARROWEST = 21, 18


def render(evaluation: Evaluation, *, ranges: bool = True) -> Table:
    """Lay an evaluation out within 100 columns: a section per question, a row per model.

    A cell is the estimate and its 95% interval, ``.812 (.803-.821)``; the best of a column is bold. With
    several origins, a last section has the lowest and highest estimates at single origins, if `ranges` are
    wanted. Measures that the evaluation has not are left out.
    """
    page = Table.grid()
    sections = [(title, metrics, INTERVAL) for title, metrics in SECTIONS]
    if ranges and evaluation.origins > 1:
        sections.append(("Lowest\N{EN DASH}highest origin", AT_ORIGINS, RANGE))
    measured = set(evaluation.table["metric"])
    for title, metrics, limits in sections:
        if known := tuple(metric for metric in metrics if metric in measured):
            page.add_row(_section(evaluation.table, title, known, limits))
            page.add_row()
    page.add_row(
        f"{UP} high is good, {DOWN} low is good. In brackets: 95% intervals, {evaluation.resamples:,} "
        f"bootstrap resamples of {evaluation.customers:,} customers; {evaluation.held_out}: "
        f"{evaluation.origins}."
    )
    return page


def _section(table: pd.DataFrame, title: str, metrics: tuple[str, ...], limits: tuple[str, str]) -> Table:
    section = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    names = table["model"].unique()
    section.add_column(title, overflow="fold", min_width=max(FIRST_COLUMN, *map(len, names)))
    for metric in metrics:
        section.add_column(_heading(metric), min_width=NARROWEST)
    best = [_best(table, metric) for metric in metrics]
    for model in names:
        rows = table[table["model"] == model].set_index("metric")
        cells = [cell(metric, rows.loc[metric], limits) for metric in metrics]
        styles = ["bold" if model in winners else "" for winners in best]
        section.add_row(Text(model), *map(Text, cells, styles))
    return section


def _heading(metric: str) -> str:
    measure = MEASURES[metric]
    arrow = {measure.highest: f" {UP}", measure.lowest: f" {DOWN}"}.get(measure.best, "")
    return f"{measure.title}{arrow}"


def _best(table: pd.DataFrame, metric: str) -> set[str]:
    estimates = table[table["metric"] == metric].set_index("model")["estimate"].dropna()
    distance = (estimates - MEASURES[metric].best).abs()
    return set(distance.index[distance == distance.min()])


def cell(metric: str, row: pd.Series, limits: tuple[str, str] = INTERVAL) -> str:
    """Write an estimate and its limits."""
    low, high = (_number(metric, row[limit]) for limit in limits)
    joint = f" {DASH} " if metric in PERCENT else DASH
    spread = "" if MISSING in (low, high) else f"{low}{joint}{high}"
    if limits == RANGE:
        return spread or MISSING
    estimate = _number(metric, row["estimate"])
    return f"{estimate} ({spread})" if spread else estimate


def measured(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return the columns and rows of a page's table: a row per model, a column per measure."""
    metrics = [metric for metric in MEASURES if metric in set(table["metric"])]
    rows = []
    for model, part in table.groupby("model", sort=False):
        of_model = part.set_index("metric").T
        rows.append([str(model), *(cell(metric, of_model[metric]) for metric in metrics)])
    return ["model", *(MEASURES[metric].title for metric in metrics)], rows


def _number(metric: str, number: float) -> str:
    if math.isnan(number):
        return MISSING
    if metric in PERCENT:
        return f"{number:+.1%}"
    if MEASURES[metric].highest == 1:
        return f"{number:.3f}".replace("0.", ".", 1)
    return amount(number)


def amount(number: float) -> str:
    """Write a number with three significant digits, and none before the point below 1."""
    digits = 2 if number == 0 else max(0, 2 - math.floor(math.log10(abs(number))))
    text = f"{number:,.{digits}f}"
    return text.replace("0.", ".", 1) if abs(number) < SHORT_BELOW else text
