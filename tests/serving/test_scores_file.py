from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import InputError
from models.wording import told
from serving.scores_file import write_scores
from serving.store import Store
from serving.tables import COLUMNS, SCHEMA
from tests.serving.runs import a_run

RUN = a_run()
REASONS = '{"churn_risk":[["recency_days",143,0.5],["customer_region",1,-0.25,"south"]],"expected_value":[]}'
ADA = dict.fromkeys(SCHEMA.names) | {"customer_id": "Ada", "churn_risk": 0.25, "reasons": REASONS}
BOB = dict.fromkeys(SCHEMA.names) | {"customer_id": "Bob"}


def test_the_file_has_a_row_per_customer_as_the_store_tells_it(tmp_path: Path) -> None:
    file = tmp_path / "scores.parquet"
    with Store.open(tmp_path / "store.db") as store:
        store.publish(RUN, [pa.Table.from_pylist([BOB, ADA], SCHEMA)], facts={})
        write_scores(store, RUN, file, language="zh")
        kept = [store.customer("Ada"), store.customer("Bob")]
    table = pq.read_table(file)
    assert table.column_names == list(COLUMNS)
    assert kept[0] is not None
    assert table.to_pylist() == [kept[0] | {"reasons": told(REASONS, "zh")}, kept[1]]


def test_a_file_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "scores.parquet"
    file.write_text("of yesterday")
    with (
        Store.open(tmp_path / "store.db") as store,
        pytest.raises(InputError, match="never published, or pruned; raise serving"),
    ):
        write_scores(store, RUN, file, language="en")
    assert file.read_text() == "of yesterday"
    assert not list(tmp_path.glob(".*"))
