"""The sections of the report about customers; each function makes HTML, or null where its part is missing."""

from collections.abc import Callable

import pandas as pd

from models.wording import told
from training import standing_plots
from training.funnel import EVERYBODY
from training.page import SIZE, beside, heading, paragraph, plot, table
from training.report import Report
from training.report_tables import between, frame_table
from training.report_words import Words, count, percent, share

TOP = 20
"""Customers in a list of the first ones."""
COHORTS, PERIODS = 12, 24
"""The latest cohorts in the table of stages; the latest cohorts, and periods, in the triangle."""
BROAD = 9.6
"""The width in inches of a plot that takes the whole page."""


def tiers(report: Report, words: Words) -> str | None:
    """Show how many customers, and how much of the value, each tier holds."""
    if report.customers is None or report.customers["value_tier"].isna().all():
        return None
    totals = report.customers.groupby("value_tier").agg(
        customers=("customer_id", "size"), expected_value=("expected_value", "sum")
    )
    names = dict.fromkeys([*report.tier_names, *totals.index])
    totals = totals.reindex(list(names), fill_value=0).reset_index(names="value_tier")
    shown = totals[["value_tier", "customers"]].copy()
    shown["share_of_customers"] = totals["customers"] / totals["customers"].sum()
    if report.customers["expected_value"].isna().all():
        totals = totals.drop(columns="expected_value")
    else:
        shown["expected_value"] = totals["expected_value"]
        shown["share_of_expected_value"] = totals["expected_value"] / totals["expected_value"].sum()
        shown["value_per_customer"] = totals["expected_value"] / totals["customers"]
    return beside(
        plot(
            "tier_shares",
            words("tiers.plot"),
            lambda ax: standing_plots.tier_shares(totals, words=words, ax=ax),
            size=_tall(len(totals)),
        ),
        frame_table(shown, words),
    )


def moves(report: Report, words: Words) -> str | None:
    """Show who moved between the tiers, and who is expected to."""
    if report.moves is None or not report.moves.counts.to_numpy().any():
        return None
    counts = report.moves.ordered(report.tier_names)
    drawn = plot(
        "movement",
        words("moves.plot"),
        lambda ax: standing_plots.movement(counts, words=words, ax=ax),
        size=_tall(max(counts.shape)),
    )
    tables = [_matrix(counts, count, words)]
    if report.moves.expected is not None:
        tables += [
            heading(words("moves.expected", horizon_days=report.horizon_days)),
            paragraph(words("moves.expected_says")),
            _matrix(report.moves.expected, share, words),
        ]
    return beside(drawn, "".join(tables))


def saving(report: Report, words: Words) -> str | None:
    """Show churn risk against value, and the customers with most to lose."""
    everybody = report.saving
    if everybody is None or everybody.empty:
        return None
    top = everybody.head(TOP)
    if "reasons" in top and top["reasons"].notna().any():
        top = top.assign(reason=[_foremost(reasons, report.language) for reasons in top["reasons"]])
    columns = ["customer_id", "value_tier", "lifecycle_stage", "churn_risk", "value_if_kept", "expected_loss"]
    shown = top[[name for name in (*columns, "reason") if name in top and top[name].notna().any()]]
    drawn = plot(
        "risk_and_value",
        words("saving.plot"),
        lambda ax: standing_plots.risk_and_value(
            everybody, top, currency=report.currency, words=words, ax=ax
        ),
    )
    return drawn + heading(words("saving.top", count=len(top))) + frame_table(shown, words)


def funnel(report: Report, words: Words) -> str | None:
    """Show which share of those at each stage reached the next."""
    if report.funnel is None or report.funnel.empty:
        return None
    steps = report.funnel
    together = steps[steps["cohort"] == EVERYBODY]
    step = [
        words("funnel.step", stage=words.name(stage), next_stage=words.name(following))
        for stage, following in zip(steps["stage"], steps["next_stage"], strict=True)
    ]
    cells = between(steps["share"], steps["low"], steps["high"], percent)
    by_cohort = (
        steps.assign(step=step, cell=cells)
        .pivot_table(index="cohort", columns="step", values="cell", aggfunc="first")
        .reindex(columns=list(dict.fromkeys(step)))
        .drop(index=EVERYBODY)
        .tail(COHORTS)
    )
    columns = [words.column("cohort"), *by_cohort.columns]
    rows = [
        [str(name), *row] for name, row in zip(by_cohort.index, by_cohort.fillna("").to_numpy(), strict=True)
    ]
    drawn = plot(
        "funnel", words("funnel.plot"), lambda ax: standing_plots.stage_rates(together, words=words, ax=ax)
    )
    return drawn + heading(words("funnel.cohorts")) + table(columns, rows)


def retention(report: Report, words: Words) -> str | None:
    """Show the share of each cohort that ordered in each later period."""
    if report.retention is None or report.retention.empty:
        return None
    cells = report.retention
    latest = cells["cohort"].drop_duplicates().tail(PERIODS)
    cells = cells[cells["cohort"].isin(latest) & (cells["periods"] <= PERIODS)]
    labels = cells["cohort"] + [f" ({customers:,})" for customers in cells["customers"]]
    triangle = cells.assign(label=labels).pivot_table(index="label", columns="periods", values="share")
    return plot(
        "retention",
        words("retention.plot"),
        lambda ax: standing_plots.retention(triangle, words=words, ax=ax),
        size=(BROAD, 0.9 + 0.27 * len(triangle)),
    )


def lost(report: Report, words: Words) -> str | None:
    """Show whom to win back first."""
    if report.lost is None or report.lost.empty:
        return None
    columns = [
        *("win_back_priority", "customer_id", "last_order_date", "orders", "historic_value", "likely_reason"),
        *("reason_confidence", "complaints", "value_at_stake", "win_back_chance", "sign_of_life"),
    ]
    ranked = report.lost.dropna(subset="win_back_priority").sort_values("win_back_priority")
    top = ranked.head(TOP)
    shown = top[[name for name in columns if top[name].notna().any()]]
    return heading(words("lost.top", count=len(top), all=f"{len(ranked):,}")) + frame_table(shown, words)


def _tall(tiers: int) -> tuple[float, float]:
    """Return the size of a plot with room for so many tiers."""
    return SIZE[0], max(SIZE[1], 0.8 + 0.65 * tiers)


def _matrix(cells: pd.DataFrame, write: Callable[[float], str], words: Words) -> str:
    columns = [words("moves.from"), *map(words.name, cells.columns)]
    rows = [
        [words.name(name), *map(write, row)]
        for name, row in zip(cells.index, cells.to_numpy(dtype=float), strict=True)
    ]
    return table(columns, rows)


def _foremost(reasons: object, language: str) -> str:
    """Put the first reason that raises a churn risk into words; empty without one."""
    known = told(reasons, language) if isinstance(reasons, str) else []
    of_risk = (one for one in known if one["target"] == "churn_risk" and one["effect"] > 0)
    return next((str(reason["text"]) for reason in of_risk), "")
