"""The second output: what each customer is expected to do by other days than the horizon, as Parquet."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.scratch import whole_file
from models.bundle import Bundle
from serving.feature_rows import columns_of

CURVES = pa.schema(
    [
        ("customer_id", pa.string()),
        ("days", pa.int32()),
        ("churn_risk", pa.float64()),
        ("expected_orders", pa.float64()),
        ("expected_value", pa.float64()),
    ]
)


def write_curves(bundle: Bundle, batches: Iterable[pa.RecordBatch], file: Path) -> None:
    """Forecast batches of feature rows by every knot, and write them as Parquet.

    The file appears whole or not at all. It has one row per customer with an order (or contract) and number
    of days after `as_of`; what is expected between two of them is the difference of their rows.
    """
    estimator, names, presence = bundle.estimator(), bundle.feature_names, bundle.plan().presence
    with whole_file(file) as unfinished, pq.ParquetWriter(unfinished, CURVES) as writer:
        for batch in batches:
            columns = columns_of(batch, names)
            ordered = ~np.isnan(columns[presence])
            curve = estimator.curve({name: values[ordered] for name, values in columns.items()})
            customers = batch["customer_id"].filter(pa.array(ordered))
            days = pa.array(np.tile(curve.days.astype(np.int32), len(customers)))
            repeated = customers.take(pa.array(np.repeat(np.arange(len(customers)), curve.days.size)))
            flows = [pa.array(flow.T.ravel(), from_pandas=True) for flow in curve[1:]]
            writer.write_table(pa.table([repeated, days, *flows], schema=CURVES))
