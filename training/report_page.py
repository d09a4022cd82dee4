"""The report as a page: one file for people to look at, in their language, that asks nothing of the web."""

from collections.abc import Callable
from html import escape

from training import report_checks, report_effects, report_plan, report_sections
from training.page import document, paragraph
from training.report import Report
from training.report_words import Words, count, day

SECTIONS: dict[str, Callable[[Report, Words], str | None]] = {
    "tiers": report_sections.tiers,
    "moves": report_sections.moves,
    "saving": report_sections.saving,
    "funnel": report_sections.funnel,
    "retention": report_sections.retention,
    "effect": report_checks.effect,
    "treatments": report_effects.treatments,
    "plan": report_plan.plan,
    "fairness": report_checks.fairness,
    "lost": report_sections.lost,
    "quality": report_checks.quality,
    "model": report_checks.model,
}
"""In the order of the page."""


def page(report: Report) -> str:
    """Return the page as HTML; it asks nothing of the web."""
    words = Words(report.language)
    title = words("page.title", project=report.project, as_of=day(report.as_of))
    run = words(
        "page.labelled" if report.is_labelled else "page.run",
        run_id=report.run_id,
        model_version=report.model_version,
        horizon_days=report.horizon_days,
        as_of=f"{report.as_of:%Y-%m-%d %H:%M} UTC",
        currency=report.currency,
    )
    links = "".join(f'<a href="#{name}">{escape(words(f"{name}.title"))}</a>' for name in SECTIONS)
    body = [
        f"<header><h1>{escape(title)}</h1>{paragraph(run, kind='note')}{_glance(report, words)}",
        f"<nav>{links}</nav></header><main>",
        *(_section(name, report, words) for name in SECTIONS),
        "</main>",
    ]
    return document(title, body, language=report.language)


def _section(name: str, report: Report, words: Words) -> str:
    content = SECTIONS[name](report, words)
    if content is None:
        says = paragraph(words(f"{name}.none"), kind="note")
    else:
        moves = report.moves
        told = words(
            f"{name}.says",
            horizon_days=report.horizon_days,
            since=day(moves.since if moves else None),
            until=day(moves.until if moves else None),
        )
        says = paragraph(told) + content
    return f'<section id="{name}"><h2>{escape(words(f"{name}.title"))}</h2>{says}</section>'


def _glance(report: Report, words: Words) -> str:
    """Show the numbers that a reader looks for first."""
    facts: list[tuple[str, float]] = []
    if report.customers is not None:
        facts.append(("customers", len(report.customers)))
    if report.customers is not None and report.saving is not None:
        facts.append(("expected_value", report.customers["expected_value"].sum()))
        facts.append(("expected_loss", report.saving["expected_loss"].sum()))
    if report.moves is not None:
        up, down = report.moves.up_and_down(report.tier_names)
        facts += [("moved_up", up), ("moved_down", down)]
    if report.lost is not None:
        facts.append(("lost", int((report.lost["lifecycle_stage"] == "lost").sum())))
    titles = (escape(words(f"page.{name}", currency=report.currency)) for name, _ in facts)
    tiles = (
        f"<div><dt>{title}</dt><dd>{count(number)}</dd></div>"
        for title, (_, number) in zip(titles, facts, strict=True)
    )
    return f'<dl class="facts">{"".join(tiles)}</dl>'
