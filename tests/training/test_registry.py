import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from features.errors import InputError
from training.registry import Registry
from training.versions import TrainingRun, Version

ROOT = Path(__file__).parents[2]
SEPTEMBER = datetime(2011, 9, 1, tzinfo=UTC)


def bundle_of(folder: Path, text: str) -> Path:
    (folder / "trees").mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(text)
    (folder / "trees" / "churn.txt").write_text("tree")
    return folder


def training(kind: str = "trees", auc: float = 0.81) -> TrainingRun:
    figure = Figure()
    figure.subplots().plot([0, 1])
    return TrainingRun(
        name=f"{kind} of September",
        kind=kind,
        as_of=SEPTEMBER,
        params={f"feature_{number}": number for number in range(120)},
        metrics={"auc": auc},
        figures={"calibration.png": figure},
        texts={"evaluation.md": "| trees | 0.81 |"},
    )


def log(registry: Registry, tmp_path: Path, digest: str) -> Version:
    return registry.log(training(), bundle=bundle_of(tmp_path / f"made-{digest}", digest), digest=digest)


def registry_in(workspace: Path, *, wait_seconds: float = 60.0) -> Registry:
    return Registry.open(workspace, project="Käse & 客户/uk's", wait_seconds=wait_seconds)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one version, to copy: making MLflow's tables takes seconds."""
    folder = tmp_path_factory.mktemp("trained")
    log(registry_in(folder / "my shop"), folder, "first")
    return folder / "my shop"


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Path:
    """A workspace with version 1, digest 'first', no alias."""
    return shutil.copytree(trained, tmp_path / "workspace")


def aliases(registry: Registry) -> dict[int, tuple[str, ...]]:
    return {version.version: version.aliases for version in registry.versions()}


def test_a_version_tells_what_its_training_told(workspace: Path) -> None:
    (version,) = registry_in(workspace).versions()
    assert (version.version, version.digest, version.kind) == (1, "first", "trees")
    assert (version.as_of, version.metrics, version.aliases) == (SEPTEMBER, {"auc": 0.81}, ())
    assert version.created.tzinfo is UTC


def test_a_run_keeps_parameters_plots_and_texts_beside_the_bundle(workspace: Path) -> None:
    files = registry_in(workspace).fetch(1).parent
    assert (files / "figures" / "calibration.png").read_bytes()[:4] == b"\x89PNG"
    assert (files / "texts" / "evaluation.md").read_text() == "| trees | 0.81 |"
    with closing(sqlite3.connect(workspace / "mlflow.db")) as database:
        assert database.execute("SELECT count(*) FROM params").fetchone() == (120,)
        assert database.execute("SELECT key, value FROM metrics").fetchall() == [("auc", 0.81)]


def test_fetching_lends_the_folder_itself_wherever_the_workspace_was_moved(workspace: Path) -> None:
    bundle = registry_in(workspace).fetch("1")
    assert bundle.is_relative_to(workspace)
    assert (bundle / "manifest.json").read_text() == "first"
    assert (bundle / "trees" / "churn.txt").read_text() == "tree"


def test_a_moved_workspace_keeps_new_files_to_itself(workspace: Path, trained: Path, tmp_path: Path) -> None:
    before = sorted(trained.rglob("*"))
    registry = registry_in(workspace)
    assert log(registry, tmp_path, "second").version == 2
    assert (registry.fetch(2) / "manifest.json").read_text() == "second"
    assert sorted(trained.rglob("*")) == before


def test_registering_the_same_digest_again_changes_nothing(workspace: Path, tmp_path: Path) -> None:
    registry = registry_in(workspace)
    files = sorted(workspace.rglob("*"))
    (version,) = registry.versions()
    assert log(registry, tmp_path, "first") == version
    assert registry.versions() == [version]
    assert sorted(workspace.rglob("*")) == files


def test_the_way_of_the_champion(workspace: Path, tmp_path: Path) -> None:
    registry = registry_in(workspace)
    for digest in ("second", "third"):
        log(registry, tmp_path, digest)
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


def test_an_empty_workspace_has_no_version_and_stays_empty(tmp_path: Path) -> None:
    registry = registry_in(tmp_path)
    assert registry.versions() == []
    for act in (registry.rollback, lambda: registry.fetch("champion"), lambda: registry.promote(1)):
        with pytest.raises(InputError, match=r"has no model yet .*; train one with tierwise train$"):
            act()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["challenger", "2", "01", "first"])
def test_a_version_that_is_not_there(workspace: Path, name: str) -> None:
    registry = registry_in(workspace)
    registry.promote(1)
    with pytest.raises(InputError, match=rf"no model '{name}'; .* versions 1, or an alias: champion \(1\)$"):
        registry.fetch(name)


def test_no_rollback_without_a_previous_champion(workspace: Path) -> None:
    registry_in(workspace).promote(1)
    with pytest.raises(InputError, match="no previous champion to return to; put a version in use"):
        registry_in(workspace).rollback()


def test_another_project_in_the_same_workspace_is_another_registry(workspace: Path) -> None:
    other = Registry.open(workspace, project="other")
    assert other.versions() == []
    with pytest.raises(InputError, match="train one with tierwise train"):
        other.fetch("champion")


def test_a_database_by_its_address_serves_as_well(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    registry = Registry.open(tmp_path / "workspace", project="shop", tracking_uri=uri)
    log(registry, tmp_path, "one")
    assert registry.fetch(registry.promote(1).version).is_relative_to(tmp_path / "workspace")
    assert not (tmp_path / "workspace" / "mlflow.db").exists()


def test_files_that_are_gone(workspace: Path, trained: Path) -> None:
    with closing(sqlite3.connect(workspace / "mlflow.db")) as database, database:
        database.execute("UPDATE model_versions SET source = '/gone', storage_location = '/gone'")
    shutil.rmtree(workspace / "artifacts")
    assert trained.exists()
    with pytest.raises(InputError, match=r"files of version 1 .* are gone from '/gone'; restore them"):
        registry_in(workspace).fetch(1)


def test_a_locked_registry(workspace: Path) -> None:
    with closing(sqlite3.connect(workspace / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for act in (registry_in(workspace, wait_seconds=0).versions, lambda: promote(workspace)):
            with pytest.raises(InputError, match=r"mlflow.db' is locked by another process; wait"):
                act()
    assert promote(workspace).aliases == ("champion",)


def promote(workspace: Path) -> Version:
    return registry_in(workspace, wait_seconds=0).promote(1)


def test_another_process_that_registers_is_waited_for_no_longer_than_told(workspace: Path) -> None:
    with closing(sqlite3.connect(workspace / "mlflow.lock", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match="is locked by another process"):
            promote(workspace)
        assert len(registry_in(workspace).versions()) == 1


def test_a_file_that_is_no_database(workspace: Path) -> None:
    (workspace / "mlflow.db").write_text("version,digest\n" * 1000)
    with pytest.raises(InputError, match=r"mlflow.db' is no SQLite database; move it away, or name"):
        registry_in(workspace).versions()
    with pytest.raises(InputError, match="is no SQLite database"):
        promote(workspace)


def test_a_damaged_database(workspace: Path) -> None:
    path = workspace / "mlflow.db"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 3)
    with pytest.raises(InputError, match=r"mlflow.db' is damaged; restore it from a copy"):
        registry_in(workspace).versions()


def test_a_database_of_another_version_of_mlflow(workspace: Path) -> None:
    with closing(sqlite3.connect(workspace / "mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0a8213491aaa'")
    with pytest.raises(InputError, match=r"is of another version of MLflow; .* mlflow db upgrade 'sqlite:"):
        registry_in(workspace).versions()


def test_a_read_only_database_is_read_but_not_written_to(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = sqlite3.connect

    def guarded(path: object, **settings: object) -> sqlite3.Connection:
        return connect(str(path).replace("?mode=rw", "?mode=ro"), **settings)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr("training.tracking.sqlite3.connect", guarded)
    assert len(registry_in(workspace).versions()) == 1
    with pytest.raises(InputError, match=r"mlflow.db' may only be read; let this user write to it"):
        promote(workspace)


def test_a_path_that_mlflow_cannot_open(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"100%': MLflow opens no path with %, \? or #; name another"):
        registry_in(tmp_path / "100%")


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
    Registry.open(Path(workspace), project="shop").log(training, bundle=Path(bundle), digest=digest)
"""


def start(workspace: Path, bundle: Path, *digests: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", CHILD, os.fspath(workspace), os.fspath(bundle), *digests]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)  # noqa: S603


def test_two_processes_at_once_make_one_registry_without_a_word(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "bundle", "any")
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
    workspace: Path, tmp_path: Path
) -> None:
    bundle = bundle_of(tmp_path / "bundle", "any")
    child = start(workspace, bundle, "die")
    assert child.communicate()[1] == b""
    assert child.returncode == -signal.SIGKILL
    registry = Registry.open(workspace, project="shop", wait_seconds=0)
    assert registry.versions() == []
    assert registry.log(training(), bundle=bundle, digest="die").version == 1
    assert (registry.fetch(1) / "manifest.json").read_text() == "any"


def test_a_run_that_was_abandoned_is_ended_by_the_next(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "trees.txt")

    registry = registry_in(workspace)
    with monkeypatch.context() as patch:
        patch.setattr("mlflow.MlflowClient.log_artifacts", fail)
        with pytest.raises(InputError, match=r"cannot use 'trees.txt' \(No space left on device\); check"):
            log(registry, tmp_path, "second")
    assert log(registry, tmp_path, "second").version == 2
    with closing(sqlite3.connect(workspace / "mlflow.db")) as database:
        found = database.execute("SELECT status FROM runs ORDER BY start_time").fetchall()
    assert found == [("FINISHED",), ("KILLED",), ("FINISHED",)]


def test_importing_the_registry_imports_no_mlflow() -> None:
    code = "import sys, training.registry; sys.exit('mlflow' in sys.modules or 'matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)  # noqa: S603
