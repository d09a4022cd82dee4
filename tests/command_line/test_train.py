from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from training.registry import Registry

Run = Callable[..., Any]


def test_the_same_data_and_seed_give_the_same_bundle_in_another_process(
    young_shop: Any, run_apart: Run, tmp_path: Path
) -> None:
    again = run_apart("train", "-c", young_shop.file, "--set", f"project.workspace={tmp_path}")
    assert again.code == 0, again
    digests = {
        Registry.open(workspace, project="corner shop").find("champion").digest
        for workspace in (young_shop.workspace, tmp_path)
    }
    assert len(digests) == 1
    assert "Who comes back" in again.out


def test_a_shop_with_one_customer_and_few_orders_is_checked_trained_and_scored(
    tmp_path: Path, run: Run, configuration: str
) -> None:
    (tmp_path / "orders.csv").write_text("customer_id,ordered_at,amount\na,2024-01-01,10\na,2024-02-01,20\n")
    (tmp_path / "tierwise.toml").write_text(configuration)
    place = "-c", tmp_path / "tierwise.toml"
    assert run("check", *place).code == 0
    trained = run("train", *place)
    assert (trained.code, trained.out.count("note: ParetoNbd: too few customers (1)")) == (0, 1)
    done = run("score", *place, "--as-of", "2024-02-10", "--out", tmp_path / "scores.parquet")
    assert done.code == 0
    (row,) = pq.read_table(tmp_path / "scores.parquet").to_pylist()
    assert (row["customer_id"], row["confidence"]) == ("a", "C")
    assert 0 < row["churn_risk"] < 1
