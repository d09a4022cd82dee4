"""Scores of the transactional setting: who orders again, and what that is worth."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.instants import Cutoff
from models.bundle import Bundle
from models.estimator import OUTPUTS
from models.likelihood import Vector
from models.reasons import ReasonWriter
from models.standing import confidence, rank
from serving.feature_rows import columns_of, numbers_at, texts_at
from serving.tables import SCHEMA


def purchase_scores(
    bundle: Bundle, batches: Iterable[pa.RecordBatch], cutoff: Cutoff, *, cut: float | None
) -> Iterator[pa.RecordBatch]:
    """Forecast batches of feature rows: what applies of the scores, but the percentile.

    A customer without an order has nulls, but for the potential.

    Parameters
    ----------
    cut
        The cut point of the potential at the cutoff.
    """
    estimator, potential, training = bundle.estimator(), bundle.potential(), bundle.training
    writer = ReasonWriter(estimator, bundle.plan().attributes)
    for batch in batches:
        columns = columns_of(batch, bundle.feature_names)
        ordered = ~np.isnan(columns["orders_all"])
        of_ordered = {name: values[ordered] for name, values in columns.items()}
        outputs = estimator.forecast(of_ordered)
        score = np.full(batch.num_rows, np.nan)
        if potential is not None:
            score = potential.score(columns, outputs, cut=cut)
        grades = confidence(
            columns["orders_all"],
            columns["tenure_days"],
            horizon_days=training["horizon_days"],
            was_judged=training["was_judged"],
            skill=estimator.skill_.at(columns["orders_all"]),
        )
        yield pa.record_batch(
            {
                "customer_id": batch["customer_id"],
                **{name: numbers_at(ordered, outputs[name]) for name in OUTPUTS if name in SCHEMA.names},
                "next_order_date": _dates(numbers_at(ordered, outputs["next_order_days"]), cutoff),
                "potential_score": pa.array(score, pa.float64(), from_pandas=True),
                "historic_value": pa.array(columns["spend_all"], from_pandas=True),
                "confidence": pa.array(grades, pa.string()),
                "reasons": texts_at(ordered, writer.write(of_ordered)),
            }
        )


def purchase_standing(
    forecast: Mapping[str, float | None], grid: Vector, *, horizon_days: int, was_judged: bool
) -> dict[str, Any]:
    """Return the percentile of a risk, and the grade of a forecast."""
    orders, tenure, skill = (
        np.array([forecast[name]], dtype=float) for name in ("orders", "tenure_days", "skill")
    )
    grades = confidence(orders, tenure, horizon_days=horizon_days, was_judged=was_judged, skill=skill)
    return {"churn_risk_percentile": rank(grid, forecast["churn_risk"]), "confidence": grades[0]}


def _dates(days: pa.Array, cutoff: Cutoff) -> pa.Array:
    return pc.add(pc.floor(days).cast(pa.int32()), cutoff.day).cast(pa.int32()).cast(pa.date32())
