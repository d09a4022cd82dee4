"""What was published of where customers stand, as plain values: a report is made of them."""

from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa

from features.errors import InputError
from serving.store import Run, Store

KINDS = ("value_tier", "lifecycle_stage")


def on_record(store: Store) -> dict[str, Any]:
    """Read the latest run with its scores, the periods of all tiers and stages, and the time of every run.

    Returns
    -------
    ``run_id``, ``as_of``, ``model_version``, ``placement`` (the rules of the run; null for one that placed
    nobody), ``expected`` (the transitions expected of it; null where nothing tells), ``scores`` and
    ``periods`` (frames with the columns of the store), ``runs``; and, of the latest run whose horizon is over
    and whose scores are kept, ``judged_as_of``, and ``judged``, the churn risk by customer_id; and the latest
    ``plan`` (null without one): ``plan_id``, ``run_id``, ``as_of``, ``totals`` (as of `Plans.totals`), by
    treatment the ``trust`` in what was measured, whether the treatments are the shipped ones, ``is_shipped``,
    ``left_alone`` and ``limits`` (as of `serving.plan_rows`; in a plan of an older version false and null).

    Raises
    ------
    InputError
        No run is published.
    """
    runs = store.runs()
    if not runs:
        raise InputError("no run is published yet; a report needs one: tierwise score")
    run = runs[-1]
    facts = store.facts(run.run_id) or {}
    judged_as_of, judged = _judged(store, runs)
    return {
        "run_id": run.run_id,
        "as_of": run.as_of,
        "model_version": run.model_version,
        "placement": facts.get("placement"),
        "expected": facts.get("expected_transitions"),
        "scores": pa.Table.from_batches(store.scores(run.run_id)).to_pandas(),
        "periods": pd.concat([store.periods(kind=kind).to_pandas() for kind in KINDS], ignore_index=True),
        "runs": [each.as_of for each in runs],
        "judged_as_of": judged_as_of,
        "judged": judged,
        "plan": _planned(store),
    }


def on_treatments(store: Store) -> dict[str, pa.Table]:
    """Read what all plans assigned, ``planned``, what they left to chance, ``drawn``, and ``standings``."""
    return {
        "planned": store.plans.log(),
        "drawn": store.plans.drawn(),
        "standings": pa.concat_tables([store.periods(kind=kind) for kind in KINDS]),
    }


def _planned(store: Store) -> dict[str, Any] | None:
    plan = store.plans.latest()
    if plan is None:
        return None
    return {
        "plan_id": plan.plan_id,
        "run_id": plan.run_id,
        "as_of": plan.as_of,
        "totals": store.plans.totals(plan.plan_id),
        "trust": {name: each["trust"] for name, each in plan.facts["treatments"].items()},
        "is_shipped": plan.facts.get("is_shipped", False),
        "left_alone": plan.facts.get("left_alone"),
        "limits": plan.facts.get("limits"),
    }


def _judged(store: Store, runs: list[Run]) -> tuple[datetime | None, "pd.Series[float] | None"]:
    """Read the churn risk of the latest run whose horizon is over at the last of them."""
    end = runs[-1].as_of
    over = [run for run in runs if run.as_of + timedelta(days=run.horizon_days) <= end]
    try:
        scores = pa.Table.from_batches(store.scores(over[-1].run_id)).select(["customer_id", "churn_risk"])
    except (IndexError, LookupError):
        return None, None
    return over[-1].as_of, scores.to_pandas().set_index("customer_id")["churn_risk"]
