"""The command line as its users run it."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as pq
import pytest

import tierwise
from serving.store import Store
from training.registry import Registry
from training.shop import simulate_shop

ROOT = Path(__file__).parents[1]
END, BEFORE, LONG_AFTER = "2024-02-05", "2024-01-25", "2025-01-01"
CONFIGURATION = """\
[project]
name = "corner shop"
[sources.orders]
path = "orders.csv"
[forecast]
horizon_days = 120
"""


class Outcome(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def scored_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated shop with a champion and one published run."""
    folder = tmp_path_factory.mktemp("corner") / "shop"
    folder.mkdir()
    simulate_shop(customers=80, days=400).orders.to_csv(folder / "orders.csv", index=False)
    (folder / "tierwise.toml").write_text(CONFIGURATION)
    tierwise.train(folder / "tierwise.toml", as_of=END)
    tierwise.score(folder / "tierwise.toml", as_of=END)
    return folder


@pytest.fixture
def shop(scored_shop: Path, tmp_path: Path) -> Path:
    """A copy of the shop to spoil."""
    return shutil.copytree(scored_shop, tmp_path / "shop")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def run(*args: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["tierwise", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            tierwise.main()
        code = ended.value.code or 0
        assert isinstance(code, int)
        return Outcome(code, *capsys.readouterr())

    return run


def child(*args: object, before: str = "") -> Outcome:
    """Run a command in a process of its own, after some lines that set its stage."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", f"{before}\nimport tierwise; tierwise.main()", *map(str, args)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def orders(shop: Path) -> pd.DataFrame:
    return pd.read_csv(shop / "orders.csv", dtype=str)


def append(file: Path, text: str) -> None:
    with file.open("a") as end:
        end.write(text)


def published(shop: Path) -> list[tuple[object, ...]]:
    """All that the store holds of runs and scores."""
    with sqlite3.connect(shop / ".tierwise" / "store.db") as connection:
        rows = connection.execute("SELECT * FROM runs").fetchall()
        rows += connection.execute("SELECT * FROM scores ORDER BY 1, 2").fetchall()
    connection.close()
    return rows


def assert_refused(done: Outcome, says: str, *, code: int = 2) -> None:
    """The command ended with one sentence that names the trouble."""
    assert says in done.err, done
    assert done.err.startswith("tierwise: ")
    assert done.err.count("\n") == 1
    assert (done.code, done.out) == (code, "")


def lack_a_column(shop: Path) -> None:
    orders(shop).rename(columns={"ordered_at": "order_date"}).to_csv(shop / "orders.csv", index=False)


def hold_wrong_types(shop: Path) -> None:
    orders(shop).assign(ordered_at="soon").to_csv(shop / "orders.csv", index=False)


def hold_nothing(shop: Path) -> None:
    orders(shop)[:0].to_csv(shop / "orders.csv", index=False)


def be_unreadable(shop: Path) -> None:
    (shop / "orders.csv").write_bytes(b"customer_id,ordered_at,amount\nRen\xe9,2024-01-01,1\n")


def be_truncated(shop: Path) -> None:
    orders(shop).to_parquet(shop / "orders.parquet")
    whole = (shop / "orders.parquet").read_bytes()
    (shop / "orders.parquet").write_bytes(whole[: len(whole) // 2])
    file = shop / "tierwise.toml"
    file.write_text(file.read_text().replace("orders.csv", "orders.parquet"))


def be_missing(shop: Path) -> None:
    (shop / "orders.csv").unlink()


def have_an_unknown_key(shop: Path) -> None:
    append(shop / "tierwise.toml", "clv_day = 300\n")


def flip_a_byte_of_the_bundle(shop: Path) -> None:
    (file,) = (shop / ".tierwise" / "artifacts").glob("*/artifacts/bundle/forecaster.json")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def forget_the_model(shop: Path) -> None:
    (shop / ".tierwise" / "mlflow.db").unlink()


def change_the_currency(shop: Path) -> None:
    file = shop / "tierwise.toml"
    file.write_text(file.read_text().replace("[project]", '[project]\ncurrency = "USD"'))


def lose_the_products(shop: Path) -> None:
    orders(shop).drop(columns="product_id").to_csv(shop / "orders.csv", index=False)


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
    shop: Path, run: Run, spoil: Callable[[Path], None], says: str
) -> None:
    before = published(shop)
    spoil(shop)
    out = shop / "scores.parquet"
    assert_refused(run("score", "-c", shop / "tierwise.toml", "--as-of", END, "--out", out), says)
    assert published(shop) == before
    assert not out.exists()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["score", "--as-of", "2020-01-01"], "nobody is known before this as_of"),
        (["train", "--as-of", "2020-01-01"], "nobody ordered before 2020-01-01"),
        (["score", "--as-of", "yesterday"], "as_of 'yesterday' is no date or time"),
        (["score", "--as-of", END, "--out", "missing/scores.parquet"], "there is no missing; name a file in"),
        (["score", "--as-of", END, "--out", "."], "--out . is a folder"),
        (["score", "--as-of", LONG_AFTER], "the orders look incomplete before 2025-01-01"),
        (["score", "--set", "project.time_zone=Mars"], "is not a time zone"),
        (["score", "--set", "forecast.horizon_days=60"], "trained with forecast.horizon_days = 120, and the"),
        (["score", "--set", "forecast.clv_days=300"], "trained with forecast.clv_days = 365, and the"),
        (["check", "--set", "forecast"], "is not table.key=value"),
        (["models", "promote", "9"], "has no model '9'"),
        (["models", "rollback"], "has no previous champion"),
    ],
)
def test_a_wrong_request_is_refused_in_a_sentence_and_the_run_stays(
    scored_shop: Path, run: Run, command: list[str], says: str
) -> None:
    before = published(scored_shop)
    assert_refused(run(*command, "-c", scored_shop / "tierwise.toml"), says)
    assert published(scored_shop) == before


def test_stale_data_are_scored_when_allowed(shop: Path, run: Run) -> None:
    done = run("score", "-c", shop / "tierwise.toml", "--as-of", LONG_AFTER, "--allow-stale")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("run 20250101-")


def test_an_unknown_option_is_named_without_a_traceback(run: Run) -> None:
    done = run("score", "--alow-stale")
    assert done.code == 2
    assert "--alow-stale" in done.err
    assert "Traceback" not in done.err


def test_a_missing_configuration_ends_the_process_with_2(tmp_path: Path) -> None:
    assert_refused(child("check", "-c", tmp_path / "tierwise.toml"), "there is no configuration file")


def test_an_unexpected_failure_is_a_sentence_too_and_shown_on_request(
    scored_shop: Path, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("features.staging.stage", lambda *_: 1 // 0)
    check = "check", "-c", scored_shop / "tierwise.toml"
    assert_refused(run(*check), "an unexpected ZeroDivisionError", code=1)
    assert not caplog.records
    run("--debug", *check)
    assert caplog.records[0].exc_info


def test_a_locked_store_is_named_and_keeps_its_run(
    shop: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "open", partial(Store.open, wait_seconds=0.1))
    before = published(shop)
    writer = sqlite3.connect(shop / ".tierwise" / "store.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    done = run("score", "-c", shop / "tierwise.toml", "--as-of", BEFORE)
    writer.close()
    assert_refused(done, "is locked by another process")
    assert published(shop) == before


FULL_DISK = """
import resource
from serving.store import Store
publish = Store.publish
def limited(*args, **kwargs):
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
    publish(*args, **kwargs)
Store.publish = limited
"""


def test_a_full_disk_while_publishing_is_named_and_the_run_stays(shop: Path) -> None:
    before = published(shop)
    done = child("score", "-c", shop / "tierwise.toml", "--as-of", BEFORE, before=FULL_DISK)
    assert_refused(done, "store.db' cannot be read or written")
    assert published(shop) == before


def test_a_disk_too_small_for_the_data_is_a_failure_of_its_own(scored_shop: Path, tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))"
    place = "-c", scored_shop / "tierwise.toml", "--set", f"project.workspace={tmp_path / 'small'}"
    done = child("check", *place, before=limit)
    assert_refused(done, "check memory and disk, then run again", code=1)


KILLED = """
import os, signal
import serving.store
insert = serving.store._insert
def killed(*args):
    insert(*args)
    os.kill(os.getpid(), signal.SIGKILL)
serving.store._insert = killed
"""


def test_a_killed_run_leaves_the_last_one_and_the_next_completes_it(shop: Path, run: Run) -> None:
    before, command = published(shop), ("score", "-c", shop / "tierwise.toml", "--as-of", BEFORE)
    files = set((shop / ".tierwise").iterdir())
    assert child(*command, before=KILLED).code == -signal.SIGKILL
    assert published(shop) == before
    assert set((shop / ".tierwise").iterdir()) > files
    assert run(*command).code == 0
    assert len(published(shop)) > len(before)
    assert set((shop / ".tierwise").iterdir()) == files


def test_scoring_twice_changes_nothing(shop: Path, run: Run) -> None:
    before, file = published(shop), shop / "scores.parquet"
    done = run("score", "-c", shop / "tierwise.toml", "--as-of", END, "--out", file)
    assert done.code == 0
    assert published(shop) == before
    table = pq.read_table(file).to_pandas()
    assert table["run_id"].unique().tolist() == [done.out.split()[1].rstrip(":")]
    assert table["customer_id"].is_unique
    assert table["churn_risk"].dropna().between(0, 1).all()


def test_a_run_of_the_past_is_written_though_the_store_keeps_only_later_ones(shop: Path, run: Run) -> None:
    file = shop / "past.parquet"
    command = "score", "-c", shop / "tierwise.toml", "--as-of", BEFORE, "--set", "serving.keep_runs=1"
    assert run(*command, "--out", file).code == 0
    assert pq.read_table(file)["customer_id"].to_pylist()
    assert_refused(run(*command, "--out", file), "never published, or pruned; raise serving.keep_runs")


def test_the_same_data_and_seed_give_the_same_bundle(scored_shop: Path, run: Run, tmp_path: Path) -> None:
    again = run(
        *("train", "-c", scored_shop / "tierwise.toml", "--as-of", END),
        *("--set", f"project.workspace={tmp_path}"),
    )
    assert again.code == 0
    digests = {
        Registry.open(workspace, project="corner shop").find("champion").digest
        for workspace in (scored_shop / ".tierwise", tmp_path)
    }
    assert len(digests) == 1


@pytest.mark.parametrize("spoil", [change_the_currency, lose_the_products])
def test_training_again_is_the_remedy_where_the_champion_fits_no_more(
    shop: Path, run: Run, spoil: Callable[[Path], None]
) -> None:
    spoil(shop)
    trained = run("train", "-c", shop / "tierwise.toml", "--as-of", END)
    assert "is champion: the champion so far " in trained.out
    assert run("score", "-c", shop / "tierwise.toml", "--as-of", END).code == 0


def test_two_jobs_may_keep_what_they_cannot_use_at_once(shop: Path) -> None:
    orders(shop).assign(ordered_at=lambda t: t["ordered_at"].where(t.index % 2 == 0)).to_csv(
        shop / "orders.csv", index=False
    )
    with ThreadPoolExecutor() as both:
        done = list(both.map(lambda _: child("check", "-c", shop / "tierwise.toml"), range(2)))
    assert [each.code for each in done] == [0, 0], done
    assert [file.name for file in (shop / ".tierwise" / "quarantine").iterdir()] == ["orders.parquet"]


def test_the_registered_models_are_listed(scored_shop: Path, run: Run) -> None:
    done = run("models", "list", "-c", scored_shop / "tierwise.toml")
    assert done.code == 0
    assert "champion" in done.out


def test_a_shop_with_one_customer_and_few_orders_is_checked_trained_and_scored(
    tmp_path: Path, run: Run
) -> None:
    (tmp_path / "orders.csv").write_text("customer_id,ordered_at,amount\na,2024-01-01,10\na,2024-02-01,20\n")
    (tmp_path / "tierwise.toml").write_text(CONFIGURATION)
    place = "-c", tmp_path / "tierwise.toml"
    assert run("check", *place).code == 0
    trained = run("train", *place)
    assert (trained.code, trained.out.count("note: ParetoNbd: too few customers (1)")) == (0, 1)
    done = run("score", *place, "--as-of", "2024-02-10", "--out", tmp_path / "scores.parquet")
    assert done.code == 0
    (row,) = pq.read_table(tmp_path / "scores.parquet").to_pylist()
    assert (row["customer_id"], row["confidence"]) == ("a", "C")
    assert 0 < row["churn_risk"] < 1


def test_a_customer_given_twice_is_scored_once(shop: Path, run: Run) -> None:
    first = orders(shop)["customer_id"][0]
    (shop / "customers.csv").write_text(f"customer_id,region\n{first},north\n{first},south\n")
    append(shop / "tierwise.toml", '[sources.customers]\npath = "customers.csv"\n')
    checked = run("check", "-c", shop / "tierwise.toml")
    assert checked.code == 0
    assert "1 used, 0 quarantined, 1 merged" in " ".join(checked.out.replace("│", " ").split())
    file = shop / "scores.parquet"
    assert run("score", "-c", shop / "tierwise.toml", "--as-of", END, "--out", file).code == 0
    assert pq.read_table(file)["customer_id"].to_pylist().count(first) == 1


def test_a_new_project_begins_with_a_configuration_that_works(
    scored_shop: Path, run: Run, tmp_path: Path
) -> None:
    done = run("init", tmp_path / "new", scored_shop / "orders.csv")
    file = tmp_path / "new" / "tierwise.toml"
    assert (done.code, done.out.strip().endswith(f"tierwise check -c {file}")) == (0, True)
    assert "recommended horizon" in run("check", "-c", file).out
    assert_refused(run("init", tmp_path / "new"), "exists already")
