"""The sections of the report on how far to trust tiers, data and model; null where a part is missing."""

from collections.abc import Callable

import pandas as pd

from training import standing_plots
from training.page import SIZE, beside, heading, listed, paragraph, plot, table
from training.report import Report
from training.report_tables import between, frame_table
from training.report_words import Words, count, day, decimal, share
from training.scoreboard import measured

FACTS = (
    *("model", "grade", "grade_reason", "as_of", "setting", "customers", "snapshots", "labelled_rows"),
    *("horizon_days", "clv_days", "value", "currency", "time_zone", "notes"),
)
KEPT = ("model", "grade_reason")
"""Facts that are kept in English, as the notes are."""
MEASURES: dict[str, Callable[[float], str]] = {
    **dict.fromkeys(("customers", "revenue", "margin", "complaints"), count),
    **dict.fromkeys(("revenue_per_customer", "complaints_per_customer", "resolve_days"), decimal),
    **dict.fromkeys(("satisfaction", "recommendation"), decimal),
    **dict.fromkeys(("repurchase_rate", "churn_rate", "to_best_rate", "unresolved_share"), share),
}
"""How each measure of a tier is written."""
RUNS = {"value": "as_of", "run_before": "run_before_as_of", "year_before": "year_before_as_of"}
"""The runs that are compared, and the columns of their times."""
LIMITS = ("limit_horizon", "limit_shift", "limit_cause", "limit_service")
"""Of a model; the first is none of a labelled one."""


def effect(report: Report, words: Words) -> str | None:
    """Show what customers of each tier did after a run, beside those of the run before and a year ago."""
    compared = report.effect
    if compared is None or compared.loc[compared["measure"] != "customers", "value"].isna().all():
        return None
    rows = []
    for measure, part in compared.groupby("measure", sort=False):
        name = words.column(measure)
        for run, when in RUNS.items():
            if part[run].notna().any():
                cells = [MEASURES[str(measure)](value) for value in part[run]]
                after = words(f"effect.{run}", as_of=day(part[when].iloc[0]))
                rows.append([name, after, *cells])
                name = ""
    tiers = compared["tier"].drop_duplicates().map(words.name)
    return table([words("effect.measure"), words("effect.after"), *tiers], rows, texts=(0, 1))


def fairness(report: Report, words: Words) -> str | None:
    """Show how often each group stands in the best and the worst tier, and how true its forecasts are."""
    rates = report.fairness
    if rates is None or rates.empty:
        return None
    best = rates[rates["tier"] == rates["tier"].iloc[0]]
    drawn = plot(
        "group_rates",
        words("fairness.plot"),
        lambda ax: standing_plots.group_rates(best, words=words, ax=ax),
        size=(SIZE[0], 1.2 + 0.45 * len(best)),
    )
    columns = ["attribute", "tier", "group", "customers", "rate", "ratio", "alert"]
    shown = rates.assign(
        rate=between(rates["rate"], rates["low"], rates["high"], share),
        ratio=between(rates["ratio"], rates["ratio_low"], rates["ratio_high"], decimal),
    )
    parts = [paragraph(_alerts(rates, words)), beside(drawn, frame_table(shown[columns], words))]
    if report.calibration is not None and not report.calibration.empty:
        seen = report.calibration
        came = seen.assign(churned=between(seen["churned"], seen["low"], seen["high"], share))
        columns = ["attribute", "group", "customers", "predicted", "churned", "alert"]
        parts += [heading(words("fairness.calibration")), frame_table(came[columns], words)]
    return "".join(parts)


def quality(report: Report, words: Words) -> str | None:
    """Show where the rows of the sources went, and what was found in them."""
    if report.quality is None:
        return None
    counts = pd.DataFrame([{"table": name, **vars(each)} for name, each in report.quality.counts.items()])
    findings = pd.DataFrame([vars(finding) for finding in report.quality.findings])
    found = paragraph(words("quality.clean")) if findings.empty else frame_table(findings, words)
    return frame_table(counts, words) + heading(words("quality.findings")) + found


def model(report: Report, words: Words) -> str | None:
    """Show what the model was trained on, its grade, its measures and its limits."""
    facts = report.facts
    if facts is None:
        return None
    rows = [
        [words.fact(name), _fact(name, facts[name], words)]
        for name in FACTS
        if name in facts and facts[name] not in ("", [], None)
    ]
    card = table([words.column("fact"), words.column("value")], rows, texts=(0, 1), longs=(1,))
    if report.measures is None or report.measures.empty:
        judged = paragraph(words("model.unjudged"))
    else:
        judged = _judged(report.measures, str(facts.get("model")), words)
    limits = [
        words(f"model.{limit}", horizon_days=report.horizon_days, as_of=day(report.as_of))
        for limit in LIMITS[report.is_labelled :]
    ]
    return "".join(
        (card, heading(words("model.measures")), judged, heading(words("model.limits")), listed(limits))
    )


def _judged(measures: pd.DataFrame, own: str, words: Words) -> str:
    columns, rows = measured(measures)
    titles = [words.column(columns[0]), *map(words.told, columns[1:])]
    return table(titles, [[words.told(row[0]), *row[1:]] for row in rows], own=words.told(own))


def _alerts(rates: pd.DataFrame, words: Words) -> str:
    """Name the groups that are treated worse beyond chance, or say that none is."""
    found = [
        words("fairness.alert", attribute=attribute, group=words.name(group), tier=words.name(tier))
        for attribute, group, tier in rates.loc[
            rates["alert"].astype(bool), ["attribute", "group", "tier"]
        ].to_numpy()
    ]
    return words("fairness.alerts", alerts=words.together(found)) if found else words("fairness.quiet")


def _fact(name: str, value: object, words: Words) -> str:
    if name == "as_of":
        return str(value)[: len("2024-01-01")]
    if isinstance(value, list):
        return words.together(map(words.told, value))
    if isinstance(value, int):
        return count(value)
    return words.told(value) if name in KEPT else words.name(value)
