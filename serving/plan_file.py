"""A published plan as a file for machines, on a terminal, and in sentences."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich import box
from rich.markup import escape
from rich.table import Table

from features.scratch import whole_file
from features.treatment_settings import NOTHING
from serving.plans import AMOUNTS, ROWS, Plan

COLUMNS = (
    *("plan_id", "run_id", "as_of", "customer_id", "treatment", "channel", "due_from", "due_to"),
    *("expected_cost", "expected_gain", "gain_low", "gain_high", "is_holdout", "propensity", "reason"),
    *("product_id", "is_explored", "text"),
)
"""The output table, one row per customer."""
COUNTS = ("customers", "held_out", "at_random")
"""Of a treatment, as of `serving.plans.Plans.totals`."""
SHIPPED = "these are the shipped treatments, with round costs and effects; write your own as [[treatments]]"


def write_plan(plan: Plan, rows: pa.Table, file: Path) -> None:
    """Write a published plan as Parquet, one row per customer; the file appears whole or not at all."""
    rows = with_texts(rows, plan)
    common = {
        "plan_id": pa.scalar(plan.plan_id),
        "run_id": pa.scalar(plan.run_id),
        "as_of": pa.scalar(plan.as_of, pa.timestamp("us", "UTC")),
    }
    columns = {name: pa.repeat(value, rows.num_rows) for name, value in common.items()}
    columns |= {name: rows[name] for name in ROWS.names}
    with whole_file(file) as unfinished:
        pq.write_table(pa.table({name: columns[name] for name in COLUMNS}), unfinished)


def with_texts(rows: pa.Table, plan: Plan) -> pa.Table:
    """Put the text of the treatment where a customer has no text of their own."""
    usual = {name: each["text"] for name, each in plan.facts["treatments"].items()}
    texts = pa.array([usual.get(name) for name in rows["treatment"].to_pylist()], pa.string())
    place = rows.column_names.index("text")
    return rows.set_column(place, "text", pc.coalesce(rows["text"], texts))


def shown(plan: Plan, totals: Sequence[Mapping[str, Any]], *, currency: str) -> list[Table]:
    """Lay a plan out for a terminal: a line per treatment, and how far each limit is used.

    ``customers`` get it, some of them ``at random``; ``held out`` are others. ``measured`` is the weight of
    what was measured of the effect; the rest is assumed.

    Parameters
    ----------
    totals
        As of `serving.plans.Plans.totals`.
    """
    planned = pd.DataFrame(totals, columns=["treatment", *COUNTS, *AMOUNTS]).set_index("treatment")
    planned = planned.astype(float).fillna(0.0)
    heads = ("customers", "held out", "at random", f"cost ({currency})", "gain (80% interval)", "measured")
    table = _columns("treatment", *heads)
    treated = planned.drop(index=NOTHING, errors="ignore")
    for name, each in treated.iterrows():
        trust = plan.facts["treatments"][name]["trust"]
        table.add_row(escape(str(name)), *_figures(each), f"{trust:.0%}")
    table.add_section()
    table.add_row("together", *_figures(treated.sum()))
    table.add_row(NOTHING, f"{planned['customers'].sum() - treated['customers'].sum():,.0f}")
    uses = plan.facts.get("limits", {})
    limits = _columns("limit", "used", "there is", f"one more would gain ({currency})")
    for name, use in uses.items():
        limits.add_row(escape(name), f"{use['used']:,.0f}", f"{use['most']:,.0f}", f"{use['price']:,.2f}")
    return [table, limits] if uses else [table]


def _columns(name: str, *numbers: str) -> Table:
    """Begin a table without lines between its columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(name, no_wrap=True)
    for number in numbers:
        table.add_column(number, justify="right")
    return table


def _figures(total: "pd.Series[float]") -> list[str]:
    """Write how many get a treatment, are held out and explore, and what it costs and gains in all."""
    cost, gain, low, high = total[list(AMOUNTS)] + 0.0
    counts = (f"{total[name]:,.0f}" for name in COUNTS)
    return [*counts, f"{cost:,.0f}", f"{gain:,.0f} ({low:,.0f} to {high:,.0f})"]


def remarks(plan: Plan) -> list[str]:
    """Say in sentences what the plan rests on, and what it does without."""
    found: dict[str, Any] = plan.facts["treatments"]
    told = [SHIPPED] if plan.facts["is_shipped"] else []
    told += [
        f"{name} was measured, and no treatment of this name is planned" for name in plan.facts["unplanned"]
    ]
    losing = [name for name, each in found.items() if each["is_losing"]]
    told += [f"{name} does not pay, as its outcomes show, and is planned no more" for name in losing]
    told += [f"{name} is open to nobody" for name, each in found.items() if not each["open"]]
    lacking = plan.facts["left_out"].items()
    return told + [
        f"{name} is left out: the records do not tell {', '.join(needs)}" for name, needs in lacking
    ]
