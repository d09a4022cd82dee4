"""What the effects of treatments come to, in sentences."""

from collections.abc import Iterator

import pandas as pd

from models.sample_size import LEVEL, Advice
from training.effect_report import EffectReport, false_alarms
from training.report_words import Words, count, day, decimal, percent, share

SAVING = 0.05
"""A smaller share held out is worth a word from such a difference on."""
LOOKS = 2
"""From so many on, looking again is worth a word."""


def about(report: EffectReport, words: Words) -> str:
    """Say what was measured, and until when."""
    return words(
        "treatments.about",
        horizon_days=report.horizon_days,
        as_of=day(report.as_of),
        value=words(f"treatments.{report.value}"),
        currency=report.currency,
        over=count(report.log.over),
        assignments=count(report.log.assignments),
    )


def sentences(report: EffectReport, words: Words) -> list[str]:
    """Say of each treatment what it brought and whether it paid, or why that is not known."""
    return [
        words(
            f"treatments.{verdict(row)}",
            treatment=row["treatment"],
            increment=decimal(row["increment"]),
            low=decimal(row["increment_low"]),
            high=decimal(row["increment_high"]),
            cost=decimal(row["cost"]),
            treated=count(row["treated"]),
            held_out=count(row["held_out"]),
            horizon_days=report.horizon_days,
        )
        for _, row in report.averages.iterrows()
    ]


def verdict(row: pd.Series) -> str:
    """Tell what a row of effects comes to: a key of the messages."""
    if not pd.isna(row["reason"]):
        return str(row["reason"])
    if pd.isna(row["net"]):
        is_told = row["increment_low"] > 0 or row["increment_high"] < 0
        return "brought" if is_told else "no_effect"
    if row["net_low"] > 0:
        return "paid"
    return "did_not_pay" if row["net_high"] < 0 else "open"


def advice(report: EffectReport, words: Words) -> list[str]:
    """Say of each treatment how many assignments the next round takes."""
    told = []
    for _, row in report.averages.iterrows():
        of_one = report.advice(str(row["treatment"]))
        if of_one is not None:
            told.append(_advised(of_one, str(row["treatment"]), verdict(row), words))
    return told


def _advised(of_one: Advice, treatment: str, verdict_: str, words: Words) -> str:
    return words(
        f"treatments.{_next_round(of_one, verdict_)}",
        treatment=treatment,
        difference=decimal(of_one.difference),
        needed=count(of_one.needed),
        rows=count(of_one.rows),
        holdout=percent(of_one.holdout),
        least_holdout=percent(float("nan") if of_one.least_holdout is None else of_one.least_holdout),
    )


def _next_round(of_one: Advice, verdict_: str) -> str:
    """Tell what the next round takes: a key of the messages."""
    least = of_one.least_holdout
    if verdict_ != "open":
        return "enough" if least is None or least > of_one.holdout - SAVING else "hold_less"
    if of_one.needed <= of_one.rows:
        return "small"
    return "hold_more" if least is not None and least > of_one.holdout else "more"


def remarks(report: EffectReport, words: Words) -> list[str]:
    """Say how far the figures are to be trusted."""
    return [*_of_treatments(report, words), *_of_all(report, words)]


def _of_treatments(report: EffectReport, words: Words) -> Iterator[str]:
    for key in ("waiting", "assumed", "overtaken"):
        for treatment, rows in getattr(report, key).items():
            yield words(f"treatments.{key}", treatment=treatment, rows=count(rows))
    for treatment in report.averages["treatment"]:
        looks = report.looks_at(treatment)
        if looks >= LOOKS:
            chance = percent(false_alarms(looks))
            yield words("treatments.looks", treatment=treatment, looks=looks, chance=chance)


def _of_all(report: EffectReport, words: Words) -> Iterator[str]:
    if report.share < 1:
        yield words("treatments.drawn", share=share(report.share))
    if compared := len(report.groups):
        yield words("treatments.comparisons", count=compared, expected=decimal(LEVEL * compared))
    for key in ("repeated", "odd_propensities", "unclear", "both_arms", "strangers"):
        if rows := getattr(report.log, key):
            held = count(report.log.strangers_held)
            yield words(f"treatments.{key}", rows=count(rows), held=held)
