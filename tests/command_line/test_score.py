import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

Run = Callable[..., Any]
BEFORE, LONG_AFTER = "2024-01-25", "2025-01-01"
YOUNG = "2023-04-11"


def lack_a_column(shop: Any) -> None:
    shop.deliver(shop.orders().rename(columns={"ordered_at": "order_date"}))


def hold_wrong_types(shop: Any) -> None:
    shop.deliver(shop.orders().assign(ordered_at="soon"))


def hold_nothing(shop: Any) -> None:
    shop.deliver(shop.orders()[:0])


def be_unreadable(shop: Any) -> None:
    (shop.folder / "orders.csv").write_bytes(b"customer_id,ordered_at,amount\nRen\xe9,2024-01-01,1\n")


def be_truncated(shop: Any) -> None:
    parquet = shop.folder / "orders.parquet"
    shop.orders().to_parquet(parquet)
    whole = parquet.read_bytes()
    parquet.write_bytes(whole[: len(whole) // 2])
    shop.configure(lambda text: text.replace("orders.csv", "orders.parquet"))


def be_missing(shop: Any) -> None:
    (shop.folder / "orders.csv").unlink()


def have_an_unknown_key(shop: Any) -> None:
    shop.configure(lambda text: text + "clv_day = 300\n")


def flip_a_byte_of_the_bundle(shop: Any) -> None:
    (file,) = (shop.workspace / "artifacts").glob("*/artifacts/bundle/forecaster.json")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def age_the_bundle(shop: Any) -> None:
    (file,) = (shop.workspace / "artifacts").glob("*/artifacts/bundle/manifest.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format_version": 2}))
    registry = sqlite3.connect(shop.workspace / "mlflow.db")
    with closing(registry), registry:
        registry.execute("UPDATE model_version_tags SET value = 'of old' WHERE key = 'digest'")


def forget_the_model(shop: Any) -> None:
    (shop.workspace / "mlflow.db").unlink()


def change_the_currency(shop: Any) -> None:
    shop.configure(lambda text: text.replace("[project]", '[project]\ncurrency = "USD"'))


def lose_the_products(shop: Any) -> None:
    shop.deliver(shop.orders().drop(columns="product_id"))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lack_a_column, "has no column 'ordered_at'; did you mean 'order_date'?"),
        (hold_wrong_types, "no row can be used"),
        (hold_nothing, "sources.orders has no rows"),
        (be_unreadable, "is not utf-8"),
        (be_truncated, "orders.parquet cannot be read"),
        (be_missing, "no file matches"),
        (have_an_unknown_key, "there is no key forecast.clv_day; did you mean 'clv_days'?"),
        (flip_a_byte_of_the_bundle, "is not what was written"),
        (forget_the_model, "has no model yet"),
        (change_the_currency, "trained with project.currency = 'EUR'"),
        (lose_the_products, "trained with the column orders.product_id, which no source gives any more"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence_and_the_run_stays(
    shop: Any, run: Run, end: str, spoil: Callable[[Any], None], says: str
) -> None:
    before = shop.published()
    spoil(shop)
    out = shop.folder / "scores.parquet"
    run("score", "-c", shop.file, "--as-of", end, "--out", out).assert_refused(says)
    assert shop.published() == before
    assert not out.exists()


@pytest.mark.parametrize("spoil", [change_the_currency, lose_the_products, age_the_bundle])
def test_training_again_is_the_remedy_where_the_champion_fits_no_more(
    young_shop: Any, run: Run, spoil: Callable[[Any], None], tmp_path: Path
) -> None:
    shop = replace(young_shop, folder=shutil.copytree(young_shop.folder, tmp_path / "shop"))
    spoil(shop)
    trained = run("train", "-c", shop.file)
    assert "is champion: the champion so far " in trained.out
    assert run("score", "-c", shop.file, "--as-of", YOUNG).code == 0


def test_stale_data_are_scored_when_allowed(shop: Any, run: Run) -> None:
    done = run("score", "-c", shop.file, "--as-of", LONG_AFTER, "--allow-stale")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("run 20250101-")


def test_scoring_twice_changes_nothing(shop: Any, run: Run, end: str) -> None:
    before, file = shop.published(), shop.folder / "scores.parquet"
    done = run("score", "-c", shop.file, "--as-of", end, "--out", file)
    assert done.code == 0
    assert shop.published() == before
    table = pq.read_table(file).to_pandas()
    assert table["run_id"].unique().tolist() == [done.out.split()[1].rstrip(":")]
    assert table["customer_id"].is_unique
    assert table["churn_risk"].dropna().between(0, 1).all()


def test_a_run_of_the_past_is_written_though_the_store_keeps_only_later_ones(shop: Any, run: Run) -> None:
    file = shop.folder / "past.parquet"
    command = "score", "-c", shop.file, "--as-of", BEFORE, "--set", "serving.keep_runs=1"
    assert run(*command, "--out", file).code == 0
    assert pq.read_table(file)["customer_id"].to_pylist()
    run(*command, "--out", file).assert_refused("never published, or pruned; raise serving.keep_runs")


def test_a_customer_given_twice_is_scored_once(shop: Any, run: Run, end: str) -> None:
    first = shop.orders()["customer_id"][0]
    (shop.folder / "customers.csv").write_text(f"customer_id,region\n{first},north\n{first},south\n")
    shop.configure(lambda text: text + '[sources.customers]\npath = "customers.csv"\n')
    checked = run("check", "-c", shop.file)
    assert checked.code == 0
    assert "1 used, 0 quarantined, 1 merged" in " ".join(checked.out.replace("│", " ").split())
    file = shop.folder / "scores.parquet"
    assert run("score", "-c", shop.file, "--as-of", end, "--out", file).code == 0
    assert pq.read_table(file)["customer_id"].to_pylist().count(first) == 1
