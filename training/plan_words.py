"""What past plans earned as a whole, in sentences and as a table."""

from collections.abc import Iterator
from datetime import timedelta

import pandas as pd

from features.instants import EPOCH
from models.effects import NOBODY_HELD
from models.policies import AS_MADE, EVERYBODY, WHAT_PAYS
from models.policy_value import CONTRADICTED, FEWEST, NO_OVERLAP
from training.effect_report import EffectReport
from training.report_tables import between
from training.report_words import Words, count, day, decimal

ESTIMATES = {"gain": decimal, "ips": decimal, "total": count, "more": decimal}
"""Columns that have an interval, and how their numbers are written."""
LATEST = 12
"""Plans that have a row of their own."""
_MESSAGES = {NOBODY_HELD: "nobody_left"}


def told(report: EffectReport, words: Words) -> list[str]:
    """Say what all treatments earned together and what doing only what pays would have, or why not."""
    whole = report.plans[report.plans["run_id"].isna() & (report.plans["rule"] != EVERYBODY)]
    sentences = [words(f"treatments.{_message(row)}", **_figures(row)) for _, row in whole.iterrows()]
    sentences += _of_everybody(report.plans[report.plans["rule"] == EVERYBODY], words)
    if (left_out := whole["left_out"].sum()) and whole["reason"].isna().all():
        sentences.append(words("treatments.left_out", rows=count(left_out)))
    return sentences


def written(report: EffectReport, words: Words) -> tuple[list[str], list[list[str]]]:
    """Return the columns and rows of what plans earned as texts: of all, and of the latest plans."""
    told_of = report.plans[report.plans["reason"].isna()]
    own = told_of["run_id"].notna()
    latest = told_of[own].sort_values("began", ascending=False).head(LATEST)
    rows = pd.concat([told_of[~own], latest])
    cells = [
        [_name(row, words) for _, row in rows.iterrows()],
        [count(number) for number in rows["assignments"]],
        *(
            between(rows[name], rows[f"{name}_low"], rows[f"{name}_high"], write)
            for name, write in ESTIMATES.items()
        ),
    ]
    titles = [words("treatments.together"), *map(words.column, ("assignments", *ESTIMATES))]
    return titles, [list(row) for row in zip(*cells, strict=True)]


def _of_everybody(rows: pd.DataFrame, words: Words) -> Iterator[str]:
    """Say which one treatment for everybody would have earned most, and of how many that is not known."""
    judged, refused = rows[rows["reason"].isna()], rows[rows["reason"] == NO_OVERLAP]
    if len(judged):
        best = judged.sort_values("gain").iloc[-1]
        yield words("treatments.everybody", treatment=best["treatment"], **_figures(best))
    if len(refused):
        most = refused.sort_values("number").iloc[-1]
        yield words("treatments.too_rare", treatments=count(len(refused)), **_figures(most))


def _message(row: pd.Series) -> str:
    if not pd.isna(row["reason"]):
        return _MESSAGES.get(row["reason"], str(row["reason"]))
    if row["rule"] == WHAT_PAYS:
        return WHAT_PAYS
    return "made_gained" if row["gain_low"] > 0 else "made_lost" if row["gain_high"] < 0 else "made_open"


def _figures(row: pd.Series) -> dict[str, str]:
    ends = {
        f"{name}{end}": write(row[f"{name}{end}"])
        for name, write in ESTIMATES.items()
        for end in ("", "_low", "_high")
    }
    number = (decimal if row["reason"] == CONTRADICTED else count)(row["number"])
    rows = count(row["assignments"])
    return ends | {"number": number, "fewest": count(FEWEST), "rows": rows}


def _name(row: pd.Series, words: Words) -> str:
    if row["rule"] == EVERYBODY:
        return words("treatments.for_everybody", treatment=row["treatment"])
    if row["rule"] == WHAT_PAYS:
        return words("treatments.only_what_pays")
    if pd.isna(row["run_id"]):
        return words(f"treatments.{AS_MADE}")
    return words("treatments.plan_of", day=day(EPOCH + timedelta(microseconds=row["began"])))
