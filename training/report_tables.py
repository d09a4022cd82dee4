"""Frames as tables of the report."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from training.page import table
from training.report_words import DASH, Words, count, day, share

FORMATS: dict[str, Callable[[Any], str]] = {
    **dict.fromkeys(("customers", "expected_value", "value_per_customer", "historic_value"), count),
    **dict.fromkeys(("value_if_kept", "expected_loss", "value_at_stake", "orders", "complaints"), count),
    **dict.fromkeys(("win_back_priority", "rows", "rows_in", "used", "quarantined", "merged"), count),
    **dict.fromkeys(("churn_risk", "win_back_chance", "share", "predicted"), share),
    **dict.fromkeys(("share_of_customers", "share_of_expected_value"), share),
    "last_order_date": day,
}
"""How the numbers of a column are written; the other columns hold texts."""
CODED = ("value_tier", "tier", "lifecycle_stage", "likely_reason", "reason_confidence", "group")
"""Texts that are names of tiers, or codes."""
KEPT = ("table", "rule", "action")
"""Texts that are kept in English."""
INTERVALS = ("rate", "ratio", "churned")
"""Texts of `between`, which stand as numbers do."""
LONG = ("reason", "rule", "example", "action")
"""Texts that may take several lines."""


def frame_table(frame: pd.DataFrame, words: Words) -> str:
    """Lay a frame out as a table, its columns in their order; a text that is null is left empty."""
    columns = [_texts(frame[name], words) for name in frame.columns]
    names = [str(name) for name in frame.columns]
    return table(
        [words.column(name) for name in names],
        list(zip(*columns, strict=True)),
        texts=[number for number, name in enumerate(names) if name not in {*FORMATS, *INTERVALS}],
        longs=[number for number, name in enumerate(names) if name in LONG],
    )


def between(
    middle: "pd.Series[float]",
    low: "pd.Series[float]",
    high: "pd.Series[float]",
    write: Callable[[float], str],
) -> list[str]:
    """Write numbers with their intervals; one that is not known is a dash.

    Where ends lie below zero, blanks keep their minus apart from the dash.
    """
    dash = f" {DASH} " if (low < 0).any() else DASH
    return [
        DASH if pd.isna(number) else f"{write(number)} ({write(least)}{dash}{write(most)})"
        for number, least, most in zip(middle, low, high, strict=True)
    ]


def _texts(column: "pd.Series[Any]", words: Words) -> list[str]:
    write = FORMATS.get(str(column.name))
    if write is not None:
        return [write(value) for value in column]
    if column.name == "alert":
        return [words("page.yes") if value else "" for value in column]
    say = _said(str(column.name), words)
    return ["" if pd.isna(value) else say(str(value)) for value in column]


def _said(column: str, words: Words) -> Callable[[str], str]:
    """Return how a text of a column is said."""
    if column == "sign_of_life":
        return words.kind
    return words.name if column in CODED else words.told if column in KEPT else str
