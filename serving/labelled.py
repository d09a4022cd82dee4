"""Scores of the labelled setting: the chance of the outcome, and nothing else."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from models.bundle import Bundle
from models.likelihood import Vector
from models.reasons import ReasonWriter
from models.standing import confidence_by_share, known_share, rank
from serving.feature_rows import columns_of


def labelled_scores(bundle: Bundle, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Forecast batches of feature rows: what applies of the scores, but the percentile."""
    estimator, training = bundle.estimator(), bundle.training
    writer = ReasonWriter(estimator, bundle.plan().attributes)
    for batch in batches:
        columns = columns_of(batch, bundle.feature_names)
        grades = confidence_by_share(
            known_share(columns, training["missing"]), was_judged=training["was_judged"]
        )
        yield pa.record_batch(
            {
                "customer_id": batch["customer_id"],
                **{name: pa.array(values) for name, values in estimator.forecast(columns).items()},
                "confidence": pa.array(grades, pa.string()),
                "reasons": pa.array(writer.write(columns), pa.string()),
            }
        )


def labelled_standing(
    forecast: Mapping[str, float | None], grid: Vector, *, was_judged: bool
) -> dict[str, Any]:
    """Return the percentile of a risk (null for a conversion), and the grade of a forecast."""
    grades = confidence_by_share(np.array([forecast["known_share"]], dtype=float), was_judged=was_judged)
    return {"churn_risk_percentile": rank(grid, forecast.get("churn_risk")), "confidence": grades[0]}
