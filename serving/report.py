"""What was published of where customers stand, as plain values: a report is made of them."""

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
    nobody), ``scores`` and ``periods`` (frames with the columns of the store), and ``runs``.

    Raises
    ------
    InputError
        No run is published.
    """
    run = store.latest()
    if run is None:
        raise InputError("no run is published yet; a report needs one: tierwise score")
    return {
        "run_id": run.run_id,
        "as_of": run.as_of,
        "model_version": run.model_version,
        "placement": (store.facts(run.run_id) or {}).get("placement"),
        "scores": pa.Table.from_batches(store.scores(run.run_id)).to_pandas(),
        "periods": pd.concat([store.periods(kind=kind).to_pandas() for kind in KINDS], ignore_index=True),
        "runs": [each.as_of for each in _runs(store, run)],
    }


def _runs(store: Store, latest: Run) -> list[Run]:
    """Return the latest run and all before it, the oldest first; of runs at one time the last counts."""
    runs = [latest]
    while (before := store.latest(before=runs[-1].as_of)) is not None:
        runs.append(before)
    return runs[::-1]
