from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from serving.database import StoreError
from serving.peers import Peers
from serving.published import Published
from serving.store import Store
from serving.tables import SCHEMA
from tests.serving.runs import a_run

HALF = Peers.of({"churn_risk_grid": [0.5]})


def publish(store: Store, run_id: str, *, day: int, grid: list[float]) -> None:
    run = a_run(run_id, as_of=datetime(2024, 3, day, tzinfo=UTC), customers=1)
    reasons = '{"churn_risk":[["recency_days",9,-0.5]]}'
    row = dict.fromkeys(SCHEMA.names) | {"customer_id": "Ada", "reasons": reasons}
    store.publish(run, [pa.Table.from_pylist([row], SCHEMA)], facts={"churn_risk_grid": grid})


def test_the_grid_follows_the_latest_run(tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path / 'store.db'}"
    published = Published(where, peers=HALF)
    published.refresh()
    assert published.peers.grid == [0.5]
    with Store.open(where) as store:
        for day, grid in ((1, [0.1]), (2, [0.2])):
            publish(store, f"run {day}", day=day, grid=grid)
            published.refresh()
            assert published.peers.grid == grid
    row = published.customer("Ada")
    assert row is not None
    assert (row["run_id"], row["plan"]) == ("run 2", None)


def test_a_store_that_fails_leaves_the_grid(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("no database at all, only words")
    published = Published(f"sqlite:///{tmp_path / 'store.db'}", peers=HALF)
    with pytest.raises(StoreError):
        published.refresh()
    assert published.peers.grid == [0.5]


def test_a_run_of_another_version_leaves_the_peers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    where = f"sqlite:///{tmp_path / 'store.db'}"
    published = Published(where, peers=HALF)
    with Store.open(where) as store:
        store.publish(a_run(customers=0), [], facts={"grid": [0.1]})
    published.refresh()
    assert published.peers.grid == [0.5]
    assert "run first cannot be followed (KeyError: 'churn_risk_grid')" in caplog.text


@pytest.mark.parametrize(("language", "word"), [("en", "lowers the churn risk"), ("zh", "降低流失风险")])
def test_reasons_are_told_in_the_language_of_the_service(tmp_path: Path, language: str, word: str) -> None:
    where = f"sqlite:///{tmp_path / 'store.db'}"
    with Store.open(where) as store:
        publish(store, "run", day=1, grid=[0.5])
    row = Published(where, peers=HALF, language=language).customer("Ada")
    assert row is not None
    assert word in row["reasons"][0]["text"]
