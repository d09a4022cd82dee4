"""A published run as a Parquet file."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.table import Table

from features.errors import InputError
from features.scratch import whole_file
from models.wording import told, told_move
from serving.store import Run, Store
from serving.tables import COLUMNS, SCHEMA

TYPES = {"as_of": pa.timestamp("us", "UTC"), "horizon_days": pa.int32()}
"""Of the columns of a run that hold no text."""
REASON = pa.struct(
    [
        ("target", pa.string()),
        ("theme", pa.string()),
        ("feature", pa.string()),
        ("value", pa.float64()),
        ("effect", pa.float64()),
        ("text", pa.string()),
        ("actionable", pa.bool_()),
    ]
)

HEAD = [
    *("customer_id", "churn_risk", "expected_orders", "expected_value", "value_low", "value_high"),
    *("clv", "next_order_date", "confidence"),
]
"""The columns of a glance."""


def write_scores(store: Store, run: Run, file: Path, *, language: str) -> None:
    """Write a published run as Parquet, one row per customer, in the columns of the output table.

    The file appears whole or not at all.

    Parameters
    ----------
    language
        Of the reasons, for forecasts and for moves.

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
    types = {field.name: field.type for field in SCHEMA} | {"reasons": pa.list_(REASON)}
    types |= {name: value.type for name, value in common.items()}
    fields = [(name, types[name]) for name in COLUMNS]
    try:
        with whole_file(file) as unfinished, pq.ParquetWriter(unfinished, pa.schema(fields)) as writer:
            for batch in store.scores(run.run_id):
                columns = {name: pa.repeat(value, batch.num_rows) for name, value in common.items()}
                columns |= {name: batch[name] for name in SCHEMA.names}
                columns["reasons"] = _reasons(columns["reasons"], language)
                columns["transition_reason"] = _sentences(columns["transition_reason"], language)
                writer.write_table(pa.table({name: columns[name] for name in COLUMNS}))
    except LookupError as error:
        raise InputError(
            f"{file} cannot be written: {error}; raise serving.keep_runs, or give --out when a run is "
            "first scored"
        ) from None


def _sentences(compact: pa.Array, language: str) -> pa.Array:
    told = [None if text is None else told_move(text, language) for text in compact.to_pylist()]
    return pa.array(told, pa.string())


def _reasons(compact: pa.Array, language: str) -> pa.Array:
    """Put reasons into words, column by column: a million of them are too many rows."""
    rows = [None if text is None else told(text, language) for text in compact.to_pylist()]
    ends = np.cumsum([0, *(len(row or ()) for row in rows)])
    offsets = pa.array(ends, pa.int32(), mask=np.array([*(row is None for row in rows), False]))
    flat = [reason for row in rows for reason in row or ()]
    parts = [pa.array([reason[field.name] for reason in flat], field.type) for field in REASON]
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(parts, fields=list(REASON)))


def head(file: Path) -> Table:
    """Lay out the first rows of a file of scores."""
    table = Table(*HEAD)
    for row in pq.read_table(file, columns=HEAD).slice(0, 5).to_pylist():
        table.add_row(
            *("" if v is None else f"{v:,.2f}" if isinstance(v, float) else str(v) for v in row.values())
        )
    return table
