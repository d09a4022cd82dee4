"""A published run as a Parquet file."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import InputError
from serving.store import Run, Store
from serving.tables import COLUMNS, SCHEMA

TYPES = {"as_of": pa.timestamp("us", "UTC"), "horizon_days": pa.int32()}
"""Of the columns of a run that hold no text."""


def write_scores(store: Store, run: Run, file: Path) -> None:
    """Write a published run as Parquet, one row per customer, in the columns of the output table.

    The file appears whole or not at all.

    Raises
    ------
    InputError
        The store no longer keeps the scores of this run.
    """
    common = {
        name: pa.scalar(getattr(run, name), TYPES.get(name, pa.string()))
        for name in COLUMNS
        if name not in SCHEMA.names
    }
    fields = [(name, common[name].type if name in common else SCHEMA.field(name).type) for name in COLUMNS]
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        with pq.ParquetWriter(unfinished, pa.schema(fields)) as writer:
            for batch in store.scores(run.run_id):
                columns = {name: pa.repeat(value, batch.num_rows) for name, value in common.items()}
                columns |= {name: batch[name] for name in SCHEMA.names}
                writer.write_table(pa.table({name: columns[name] for name in COLUMNS}))
        unfinished.replace(file)
    except LookupError as error:
        raise InputError(
            f"{file} cannot be written: {error}; raise serving.keep_runs, or give --out when a run is "
            "first scored"
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)
