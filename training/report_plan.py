"""The section of the report on the latest plan; null where there is none."""

from collections.abc import Mapping

import pandas as pd

from features.treatment_settings import NOTHING
from training.page import heading, paragraph, table
from training.report import Plan, Report
from training.report_tables import between
from training.report_words import Words, count, day, decimal, percent, share

COUNTS = ("customers", "held_out", "at_random", "expected_cost")
GAINS = ("expected_gain", "gain_low", "gain_high")
COMMONEST = 5
"""Reasons for nothing that have a row of their own."""


def plan(report: Report, words: Words) -> str | None:
    """Show who gets what, what that costs and gains, why others get nothing, and how far limits are used."""
    latest = report.plan
    if latest is None:
        return None
    about = words(
        "plan.about",
        plan_id=latest.plan_id,
        run_id=latest.run_id,
        as_of=day(latest.as_of),
        currency=report.currency,
    )
    notes = [words("plan.shipped")] if latest.is_shipped else []
    if latest.run_id != report.run_id:
        notes.append(words("plan.earlier", run_id=report.run_id))
    titles = [words.column(name) for name in ("treatment", *COUNTS, GAINS[0], "measured")]
    parts = [paragraph(" ".join((about, *notes))), table(titles, _treatments(latest, words))]
    if latest.left_alone:
        titles = [words.column(name) for name in ("left_alone", "customers", "share")]
        rows = _reasons(latest.left_alone, words)
        parts += [heading(words("plan.nothing")), table(titles, rows, longs=(0,))]
    if latest.limits:
        titles = [words.column(name) for name in ("limit", "used", "most", "price")]
        rows = [_limit(name, use, words, report.currency) for name, use in latest.limits.items()]
        parts += [heading(words("plan.limits")), paragraph(words("plan.price")), table(titles, rows)]
    return "".join(parts)


def _treatments(latest: Plan, words: Words) -> list[list[str]]:
    """Write a row per treatment, one of all of them, and one of nothing."""
    totals = pd.DataFrame(latest.totals, columns=["treatment", *COUNTS, *GAINS]).set_index("treatment")
    totals = totals.astype(float).fillna(0.0)
    treated = totals.drop(index=NOTHING, errors="ignore")
    names, known = treated.index, [percent(latest.trust[name]) for name in treated.index]
    told = pd.concat([treated, treated.sum().to_frame().T])
    counts = [told[name].map(count) for name in COUNTS]
    gain, low, high = (told[name] for name in GAINS)
    gains = between(gain, low, high, count)
    rows = zip([*names, words("plan.together")], *counts, gains, [*known, ""], strict=True)
    nothing = count(totals["customers"].sum() - treated["customers"].sum())
    return [*map(list, rows), [words("plan.nothing_done"), nothing, *[""] * (len(COUNTS) + 1)]]


def _reasons(left_alone: Mapping[str, int], words: Words) -> list[list[str]]:
    """Write how many each of the commonest reasons left alone, and how many the others."""
    ordered = sorted(left_alone.items(), key=lambda one: -one[1])
    told = [(words(f"plan.{reason}"), customers) for reason, customers in ordered[:COMMONEST]]
    if len(ordered) > COMMONEST:
        told.append((words("plan.others"), sum(customers for _, customers in ordered[COMMONEST:])))
    everybody = sum(left_alone.values())
    return [[reason, count(customers), share(customers / everybody)] for reason, customers in told]


def _limit(name: str, use: Mapping[str, float], words: Words, currency: str) -> list[str]:
    kind, _, of = name.partition(" ")
    told = words(f"plan.{kind}", name=of, currency=currency)
    return [told, count(use["used"]), count(use["most"]), decimal(use["price"])]
