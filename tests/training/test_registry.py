import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.errors import InputError
from training.registry import Registry
from training.versions import TrainingRun, Version

Open = Callable[..., Registry]
Log = Callable[..., Version]
ROOT = Path(__file__).parents[2]
SEPTEMBER = datetime(2011, 9, 1, tzinfo=UTC)


def aliases(registry: Registry) -> dict[int, tuple[str, ...]]:
    return {version.version: version.aliases for version in registry.versions()}


def a_bundle(folder: Path) -> Path:
    folder.mkdir()
    (folder / "manifest.json").write_text("any")
    return folder


def test_a_version_tells_what_its_training_told(workspace: Path, registry_in: Open) -> None:
    (version,) = registry_in(workspace).versions()
    assert (version.version, version.digest, version.kind) == (1, "first", "trees")
    assert (version.as_of, version.metrics, version.aliases) == (SEPTEMBER, {"auc": 0.81}, ())
    assert version.created.tzinfo is UTC


def test_a_run_keeps_parameters_plots_and_texts_beside_the_bundle(workspace: Path, registry_in: Open) -> None:
    files = registry_in(workspace).fetch(1).parent
    assert (files / "figures" / "calibration.png").read_bytes()[:4] == b"\x89PNG"
    assert (files / "texts" / "evaluation.md").read_text() == "| trees | 0.81 |"
    with closing(sqlite3.connect(workspace / "mlflow.db")) as database:
        assert database.execute("SELECT count(*) FROM params").fetchone() == (120,)
        assert database.execute("SELECT key, value FROM metrics").fetchall() == [("auc", 0.81)]


def test_fetching_lends_the_folder_itself_wherever_the_workspace_was_moved(
    workspace: Path, registry_in: Open
) -> None:
    bundle = registry_in(workspace).fetch("1")
    assert bundle.is_relative_to(workspace)
    assert (bundle / "manifest.json").read_text() == "first"
    assert (bundle / "trees" / "churn.txt").read_text() == "tree"


def test_a_moved_workspace_keeps_new_files_to_itself(
    workspace: Path, trained: Path, registry_in: Open, log: Log
) -> None:
    before = sorted(trained.rglob("*"))
    registry = registry_in(workspace)
    assert log(registry, "second").version == 2
    assert (registry.fetch(2) / "manifest.json").read_text() == "second"
    assert sorted(trained.rglob("*")) == before


def test_registering_the_same_digest_again_changes_nothing(
    workspace: Path, registry_in: Open, log: Log
) -> None:
    registry = registry_in(workspace)
    files = sorted(workspace.rglob("*"))
    (version,) = registry.versions()
    assert log(registry, "first") == version
    assert registry.versions() == [version]
    assert sorted(workspace.rglob("*")) == files


def test_the_way_of_the_champion(workspace: Path, registry_in: Open, log: Log) -> None:
    registry = registry_in(workspace)
    for digest in ("second", "third"):
        log(registry, digest)
    assert registry.promote(1).aliases == ("champion",)
    assert registry.challenge("2").aliases == ("challenger",)
    assert aliases(registry) == {3: (), 2: ("challenger",), 1: ("champion",)}
    assert registry.promote("challenger").version == 2
    assert aliases(registry) == {3: (), 2: ("champion",), 1: ("previous",)}
    assert registry.promote(2).version == registry.challenge(2).version == 2
    assert aliases(registry) == {3: (), 2: ("champion",), 1: ("previous",)}
    assert registry.rollback().version == registry.find("champion").version == 1
    assert aliases(registry) == {3: (), 2: ("previous",), 1: ("champion",)}
    assert registry.fetch("champion") == registry.fetch(1)
    assert registry.rollback().version == 2


def test_an_empty_workspace_has_no_version_and_stays_empty(tmp_path: Path, registry_in: Open) -> None:
    registry = registry_in(tmp_path)
    assert registry.versions() == []
    for act in (registry.rollback, lambda: registry.fetch("champion"), lambda: registry.promote(1)):
        with pytest.raises(InputError, match=r"has no model yet .*; train one with tierwise train$"):
            act()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["challenger", "2", "01", "first"])
def test_a_version_that_is_not_there(workspace: Path, name: str, registry_in: Open) -> None:
    registry = registry_in(workspace)
    registry.promote(1)
    with pytest.raises(InputError, match=rf"no model '{name}'; .* versions 1, or an alias: champion \(1\)$"):
        registry.fetch(name)


def test_no_rollback_without_a_previous_champion(workspace: Path, registry_in: Open) -> None:
    registry_in(workspace).promote(1)
    with pytest.raises(InputError, match="no previous champion to return to; put a version in use"):
        registry_in(workspace).rollback()


def test_another_project_in_the_same_workspace_is_another_registry(workspace: Path) -> None:
    other = Registry.open(workspace, project="other")
    assert other.versions() == []
    with pytest.raises(InputError, match="train one with tierwise train"):
        other.fetch("champion")


def test_files_that_are_gone(workspace: Path, trained: Path, registry_in: Open) -> None:
    with closing(sqlite3.connect(workspace / "mlflow.db")) as database, database:
        database.execute("UPDATE model_versions SET source = '/gone', storage_location = '/gone'")
    shutil.rmtree(workspace / "artifacts")
    assert trained.exists()
    with pytest.raises(InputError, match=r"files of version 1 .* are gone from '/gone'; restore them"):
        registry_in(workspace).fetch(1)


CHILD = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from training.registry import Registry
from training.versions import TrainingRun
workspace, bundle, *digests = sys.argv[1:]
if "die" in digests:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient
    MlflowClient.create_model_version = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
training = TrainingRun(name="child", kind="trees", as_of=datetime(2011, 9, 1, tzinfo=UTC))
sys.stdin.read()
for digest in digests:
    registry = Registry.open(Path(workspace), project="shop", wait_seconds=300)
    registry.log(training, bundle=Path(bundle), digest=digest)
"""


def start(workspace: Path, bundle: Path, *digests: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", CHILD, os.fspath(workspace), os.fspath(bundle), *digests]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)  # noqa: S603


def test_two_processes_at_once_make_one_registry_without_a_word(tmp_path: Path) -> None:
    bundle = a_bundle(tmp_path / "bundle")
    children = [start(tmp_path / "new", bundle, "both", f"own-{number}") for number in range(2)]
    for child in children:
        assert child.stdin is not None
        child.stdin.close()
        child.stdin = None
    assert [(*child.communicate(), child.returncode) for child in children] == [(b"", b"", 0)] * 2
    versions = Registry.open(tmp_path / "new", project="shop").versions()
    assert {version.digest for version in versions} == {"both", "own-0", "own-1"}
    assert [version.version for version in versions] == [3, 2, 1]


def test_a_process_killed_before_it_registers_leaves_the_registry_usable(
    workspace: Path, tmp_path: Path, training: TrainingRun
) -> None:
    bundle = a_bundle(tmp_path / "bundle")
    child = start(workspace, bundle, "die")
    assert child.communicate()[1] == b""
    assert child.returncode == -signal.SIGKILL
    registry = Registry.open(workspace, project="shop", wait_seconds=0)
    assert registry.versions() == []
    assert registry.log(training, bundle=bundle, digest="die").version == 1
    assert (registry.fetch(1) / "manifest.json").read_text() == "any"


def test_a_run_that_was_abandoned_is_ended_by_the_next(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, registry_in: Open, log: Log
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "trees.txt")

    registry = registry_in(workspace)
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_artifacts", fail)
        with pytest.raises(InputError, match=r"cannot use 'trees.txt' \(No space left on device\); check"):
            log(registry, "second")
    assert log(registry, "second").version == 2
    with closing(sqlite3.connect(workspace / "mlflow.db")) as database:
        found = database.execute("SELECT status FROM runs ORDER BY start_time").fetchall()
    assert found == [("FINISHED",), ("KILLED",), ("FINISHED",)]
