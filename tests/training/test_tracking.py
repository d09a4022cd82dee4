import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from features.errors import InputError
from training.registry import Registry
from training.versions import Version

Open = Callable[..., Registry]
Log = Callable[..., Version]
ROOT = Path(__file__).parents[2]


def test_a_database_by_its_address_serves_as_well(tmp_path: Path, log: Log) -> None:
    uri = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    registry = Registry.open(tmp_path / "workspace", project="shop", tracking_uri=uri)
    log(registry, "one")
    assert registry.fetch(registry.promote(1).version).is_relative_to(tmp_path / "workspace")
    assert not (tmp_path / "workspace" / "mlflow.db").exists()


def test_a_locked_registry(workspace: Path, registry_in: Open) -> None:
    registry = registry_in(workspace, wait_seconds=0)
    with closing(sqlite3.connect(workspace / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for act in (registry.versions, lambda: registry.promote(1)):
            with pytest.raises(InputError, match=r"mlflow.db' is locked by another process; wait"):
                act()
    assert registry.promote(1).aliases == ("champion",)


def test_another_process_that_registers_is_waited_for_no_longer_than_told(
    workspace: Path, registry_in: Open
) -> None:
    with closing(sqlite3.connect(workspace / "mlflow.lock", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match="is locked by another process"):
            registry_in(workspace, wait_seconds=0).promote(1)
        assert len(registry_in(workspace).versions()) == 1


def test_a_file_that_is_no_database(workspace: Path, registry_in: Open) -> None:
    (workspace / "mlflow.db").write_text("version,digest\n" * 1000)
    with pytest.raises(InputError, match=r"mlflow.db' is no SQLite database; move it away, or name"):
        registry_in(workspace).versions()
    with pytest.raises(InputError, match="is no SQLite database"):
        registry_in(workspace, wait_seconds=0).promote(1)


def test_a_damaged_database(workspace: Path, registry_in: Open) -> None:
    path = workspace / "mlflow.db"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 3)
    with pytest.raises(InputError, match=r"mlflow.db' is damaged; restore it from a copy"):
        registry_in(workspace).versions()


def test_a_database_of_another_version_of_mlflow(workspace: Path, registry_in: Open) -> None:
    with closing(sqlite3.connect(workspace / "mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0a8213491aaa'")
    with pytest.raises(InputError, match=r"is of another version of MLflow; .* mlflow db upgrade 'sqlite:"):
        registry_in(workspace).versions()


def test_a_read_only_database_is_read_but_not_written_to(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, registry_in: Open
) -> None:
    connect = sqlite3.connect

    def guarded(path: object, **settings: object) -> sqlite3.Connection:
        return connect(str(path).replace("?mode=rw", "?mode=ro"), **settings)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr("training.tracking.sqlite3.connect", guarded)
    assert len(registry_in(workspace).versions()) == 1
    with pytest.raises(InputError, match=r"mlflow.db' may only be read; let this user write to it"):
        registry_in(workspace, wait_seconds=0).promote(1)


def test_a_path_that_mlflow_cannot_open(tmp_path: Path, registry_in: Open) -> None:
    with pytest.raises(InputError, match=r"100%': MLflow opens no path with %, \? or #; name another"):
        registry_in(tmp_path / "100%")


def test_importing_the_registry_imports_no_mlflow() -> None:
    code = "import sys, training.registry; sys.exit('mlflow' in sys.modules or 'matplotlib' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)  # noqa: S603
