from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_a_missing_configuration_ends_the_process_with_2(tmp_path: Path, run_apart: Run) -> None:
    run_apart("check", "-c", tmp_path / "tierwise.toml").assert_refused("there is no configuration file")


def test_a_disk_too_small_for_the_data_is_a_failure_of_its_own(
    scored_shop: Any, run_apart: Run, tmp_path: Path
) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))"
    place = "-c", scored_shop.file, "--set", f"project.workspace={tmp_path / 'small'}"
    done = run_apart("check", *place, before=limit)
    done.assert_refused("check memory and disk, then run again", code=1)


def test_two_jobs_may_keep_what_they_cannot_use_at_once(shop: Any, run_apart: Run) -> None:
    shop.deliver(shop.orders().assign(ordered_at=lambda t: t["ordered_at"].where(t.index % 2 == 0)))
    with ThreadPoolExecutor() as both:
        done = list(both.map(lambda _: run_apart("check", "-c", shop.file), range(2)))
    assert [each.code for each in done] == [0, 0], done
    assert [file.name for file in (shop.workspace / "quarantine").iterdir()] == ["orders.parquet"]


def test_a_new_project_begins_with_a_configuration_that_works(
    scored_shop: Any, run: Run, tmp_path: Path
) -> None:
    done = run("init", tmp_path / "new", scored_shop.folder / "orders.csv")
    file = tmp_path / "new" / "tierwise.toml"
    assert (done.code, done.out.strip().endswith(f"tierwise check -c {file}")) == (0, True)
    assert "recommended horizon" in run("check", "-c", file).out
    run("init", tmp_path / "new").assert_refused("exists already")
