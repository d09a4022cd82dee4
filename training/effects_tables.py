"""The effects of treatments as tables: of the terminal, and of the report page."""

from collections.abc import Callable

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from models.effects import EVERYBODY
from training import plan_words
from training.effect_report import EffectReport
from training.effect_words import about, advice, remarks, sentences
from training.report_tables import between
from training.report_words import DASH, Words, count, decimal, percent

SMALLEST = 0.001


def chance(number: float) -> str:
    """Write a p value."""
    return DASH if pd.isna(number) else f"<{SMALLEST}" if number < SMALLEST else f"{number:.3f}"


ESTIMATES: dict[str, tuple[str, Callable[[float], str]]] = {
    "increment": ("increment", decimal),
    "ordered": ("ordered", percent),
    "net": ("net", decimal),
    "return_on_spend": ("return", decimal),
}
"""Columns that have an interval: what its ends are called by, and how their numbers are written."""
NUMBERS: dict[str, Callable[[float], str]] = {
    "treated": count,
    "held_out": count,
    "value_treated": decimal,
    "value_held": decimal,
    "cost": decimal,
    "variance_reduced": percent,
    "p_holm": chance,
}
BROUGHT = ("treated", "held_out", "value_treated", "value_held", "increment", "ordered")
BROAD = 26
"""Letters that a cell has on one line."""
PAID = ("cost", "net", "return_on_spend", "variance_reduced", "p_holm")


def written(table: pd.DataFrame, words: Words, columns: tuple[str, ...]) -> tuple[list[str], list[list[str]]]:
    """Return the columns and rows of a table of effects as texts; a group stands after its treatment."""
    names = [
        str(row["treatment"]) if row["by"] == EVERYBODY else f"{row['treatment']}: {words.name(row['group'])}"
        for _, row in table.iterrows()
    ]
    cells = [_cells(table, name) for name in columns]
    rows = [list(row) for row in zip(names, *cells, strict=True)]
    return [words.column("treatment"), *map(words.column, columns)], rows


def _cells(table: pd.DataFrame, name: str) -> list[str]:
    if name in NUMBERS:
        return [NUMBERS[name](number) for number in table[name]]
    ends, write = ESTIMATES[name]
    return between(table[name], table[f"{ends}_low"], table[f"{ends}_high"], write)


def render(report: EffectReport) -> RenderableType:
    """Lay a report out for the terminal: tables of treatments and groups, and what they come to."""
    words = Words("en")
    parts: list[RenderableType] = []
    for table in (report.averages, report.groups):
        if not table.empty:
            laid = [_laid(*written(table, words, columns)) for columns in (BROUGHT, PAID)]
            parts += [part for each in laid for part in (each, Text())]
    titles, rows = plan_words.written(report, words)
    if rows:
        parts += [_laid(titles, rows), Text()]
    parts.append(Text(about(report, words)))
    telling = (plan_words.told, sentences, advice, remarks)
    parts += [Text(f"{DASH} {text}") for tell in telling for text in tell(report, words)]
    return Group(*parts)


def _laid(titles: list[str], rows: list[list[str]]) -> Table:
    laid = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, title in enumerate(titles):
        room = max(len(row[number]) for row in rows)
        laid.add_column(Text(title), justify="right" if number else "left", min_width=min(room, BROAD))
    for row in rows:
        laid.add_row(*map(Text, row))
    return laid
