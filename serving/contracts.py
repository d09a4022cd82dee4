"""Scores of the contractual setting: when contracts end, and the fees until then."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from features.contracts import RUNS
from models.bundle import Bundle
from models.likelihood import Vector
from models.reasons import ReasonWriter
from models.standing import confidence_by_age, rank
from serving.feature_rows import columns_of, texts_at
from serving.tables import SCHEMA


def contract_scores(bundle: Bundle, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Forecast batches of feature rows: what applies of the scores, but the percentile.

    A customer who has left has a risk of 1, nothing to expect and no reasons; one without a contract only
    nulls.
    """
    estimator, training = bundle.estimator(), bundle.training
    writer = ReasonWriter(estimator, bundle.plan().attributes)
    for batch in batches:
        columns = columns_of(batch, bundle.feature_names)
        grades = confidence_by_age(
            columns[RUNS],
            columns["contract_age_days"],
            horizon_days=training["horizon_days"],
            was_judged=training["was_judged"],
        )
        outputs, runs = estimator.forecast(columns), columns[RUNS] == 1
        of_running = {name: values[runs] for name, values in columns.items()}
        yield pa.record_batch(
            {
                "customer_id": batch["customer_id"],
                **{
                    name: pa.array(values, from_pandas=True)
                    for name, values in outputs.items()
                    if name in SCHEMA.names
                },
                "historic_value": pa.array(columns["fees_all"], from_pandas=True),
                "confidence": pa.array(grades, pa.string()),
                "reasons": texts_at(runs, writer.write(of_running)),
            }
        )


def contract_standing(
    forecast: Mapping[str, float | None], grid: Vector, *, horizon_days: int, was_judged: bool
) -> dict[str, Any]:
    """Return the percentile of a risk, and the grade of a forecast."""
    runs, age = (np.array([forecast[name]], dtype=float) for name in ("runs", "age_days"))
    grades = confidence_by_age(runs, age, horizon_days=horizon_days, was_judged=was_judged)
    return {"churn_risk_percentile": rank(grid, forecast["churn_risk"]), "confidence": grades[0]}
