"""The section of the report on what treatments brought; null where nothing was measured."""

import pandas as pd
from matplotlib.axes import Axes

from training import plan_words
from training.effect_words import about, advice, remarks, sentences
from training.effects_tables import BROUGHT, PAID, written
from training.page import SIZE, beside, heading, listed, paragraph, plot, table
from training.plots import BLUE, GREY, VERMILION, begin, finish
from training.report import Report
from training.report_words import Words


def treatments(report: Report, words: Words) -> str | None:
    """Show what each treatment brought, whether it paid, and what the next round takes."""
    measured = report.treatments
    if measured is None or measured.averages.empty:
        return None
    averages, groups = measured.averages, measured.groups
    whole = plan_words.told(measured, words)
    told = paragraph(about(measured, words)) + listed([*whole, *sentences(measured, words)])
    known = averages[averages["net"].notna()]
    if not known.empty:
        drawn = plot(
            "net_gains",
            words("treatments.net_plot"),
            lambda ax: net_gains(known, words=words, currency=measured.currency, ax=ax),
            size=(SIZE[0], 1.2 + 0.45 * len(known)),
        )
        told = beside(drawn, told)
    parts = [told, *(table(*written(averages, words, columns)) for columns in (BROUGHT, PAID))]
    titles, rows = plan_words.written(measured, words)
    if rows:
        parts += [heading(words("treatments.together")), table(titles, rows)]
    if not groups.empty:
        parts.append(heading(words("treatments.by_group")))
        parts += [table(*written(groups, words, columns)) for columns in (BROUGHT, PAID)]
    for title, texts in (("what_next", advice(measured, words)), ("how_far", remarks(measured, words))):
        if texts:
            parts += [heading(words(f"treatments.{title}")), listed(texts)]
    return "".join(parts)


def net_gains(known: pd.DataFrame, *, words: Words, currency: str, ax: Axes | None = None) -> Axes:
    """Draw the net gain of treatments with its 95% interval; a loss beyond chance is of another colour.

    Parameters
    ----------
    known
        Rows as of `models.effects.effect_table` whose net gain is known.
    """
    ax = begin(ax)
    for row, one in enumerate(known.to_dict("records")):
        is_loss, net = one["net_high"] < 0, one["net"]
        ends = [[net - one["net_low"]], [one["net_high"] - net]]
        ax.errorbar(
            net,
            row,
            xerr=ends,
            color=VERMILION if is_loss else BLUE,
            marker="s" if is_loss else "o",
            capsize=3,
        )
        ax.annotate(one["treatment"], (0, row - 0.2), xycoords=("axes fraction", "data"), fontsize=10)
    ax.axvline(0, color=GREY, linestyle="--", linewidth=1)
    ax.set(title=words("treatments.net_plot"), ylim=(len(known) - 0.5, -0.7), xlabel=currency)
    ax.yaxis.set_visible(False)
    return finish(ax, legend=None)
