"""The third output: the customers who left, whom to win back first, as Parquet."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from features.instants import Cutoff
from features.scratch import whole_file
from models.bundle import Bundle
from models.lost import EVERYBODY, lost_table
from serving.store import Run, Store


def write_lost(
    connection: duckdb.DuckDBPyConnection, store: Store, run: Run, bundle: Bundle, file: Path
) -> None:
    """Write those who left by a published run; columns as of `models.lost.lost_table`.

    The file appears whole or not at all.

    Parameters
    ----------
    connection
        With the table ``features`` of everybody in the run.
    """
    training, facts = bundle.training, store.facts(run.run_id) or {}
    scored = pa.Table.from_batches(store.scores(run.run_id))
    connection.register("scored", scored)
    table = lost_table(
        connection,
        EVERYBODY,
        cutoff=Cutoff.at(run.as_of, training["time_zone"]),
        clv_days=training["clv_days"],
        lapsing_days=facts["placement"]["rhythm"]["lapsing_days"],
    )
    connection.unregister("scored")
    with whole_file(file) as unfinished:
        pq.write_table(table, unfinished)
