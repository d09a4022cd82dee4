"""A published run as a Parquet file."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from serving.store import Run, Store
from serving.tables import SCHEMA


def write_scores(store: Store, run: Run, file: Path) -> None:
    """Write a published run as Parquet, one row per customer, in the columns of the output table."""
    common = {
        "as_of": pa.scalar(run.as_of, pa.timestamp("us", "UTC")),
        "run_id": pa.scalar(run.run_id),
        "model_version": pa.scalar(run.model_version),
        "bundle_digest": pa.scalar(run.bundle_digest),
        "setting": pa.scalar(run.setting),
        "horizon_days": pa.scalar(run.horizon_days, pa.int32()),
        "currency": pa.scalar(run.currency),
    }
    order = [
        "customer_id",
        *common,
        *(name for name in SCHEMA.names if name not in {"customer_id", "confidence"}),
        "value_basis",
        "confidence",
    ]
    common["value_basis"] = pa.scalar(run.value_basis, pa.string())
    unfinished = file.with_name(f".{file.name}.unfinished")
    writer: pq.ParquetWriter | None = None
    for batch in store.scores(run.run_id):
        columns = {name: batch[name] for name in SCHEMA.names}
        columns |= {name: pa.repeat(value, batch.num_rows) for name, value in common.items()}
        part = pa.table({name: columns[name] for name in order})
        writer = writer or pq.ParquetWriter(unfinished, part.schema)
        writer.write_table(part)
    if writer is not None:
        writer.close()
        unfinished.replace(file)
