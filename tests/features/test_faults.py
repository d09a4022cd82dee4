"""Faults of SQLite files, told by errors that SQLite itself raises."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from features.errors import InputError
from features.faults import LOCKED, READ_ONLY, check_writable, fault_of, sentence


def write(file: Path, *, mode: str = "rwc") -> None:
    with closing(sqlite3.connect(f"file:{file}?mode={mode}", uri=True, timeout=0)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS runs (run_id TEXT PRIMARY KEY)")
        connection.execute("INSERT INTO runs VALUES ('first')")
        connection.commit()


def write_while_another_does(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        write(file)


def write_without_permission(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE runs (run_id TEXT)")
    write(file, mode="ro")


def write_to_a_text(file: Path) -> None:
    file.write_text("customer_id,churn_risk\n" * 100)
    write(file)


def write_into_a_missing_folder(file: Path) -> None:
    write(file.parent / "missing" / file.name)


def write_twice(file: Path) -> None:
    write(file)
    write(file)


@pytest.mark.parametrize(
    ("act", "what"),
    [
        (write_while_another_does, LOCKED.what),
        (write_without_permission, READ_ONLY.what),
        (write_to_a_text, "is no SQLite database"),
        (write_into_a_missing_folder, "cannot be opened"),
    ],
)
def test_a_fault_of_the_file_is_told(act: Callable[[Path], None], what: str, tmp_path: Path) -> None:
    with pytest.raises(sqlite3.Error) as raised:
        act(tmp_path / "store.db")
    fault = fault_of(raised.value)
    assert fault is not None
    assert fault.what == what


def test_what_is_no_fault_of_the_file_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.IntegrityError) as raised:
        write_twice(tmp_path / "store.db")
    assert fault_of(raised.value) is None


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("", "is a folder"),
        ("none/plan.parquet", "lies in no folder"),
        (f"{'x' * 250}.parquet", "has a name of more than 240 bytes"),
        ("shut/plan.parquet", "may only be read"),
    ],
)
def test_a_file_that_cannot_be_written_is_told(
    file: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shut").mkdir()
    monkeypatch.setattr("os.access", lambda folder, _: folder.name != "shut")  # root may write anywhere
    with pytest.raises(InputError, match=what):
        check_writable("--out", tmp_path / file)
    check_writable("--out", tmp_path / "plan.parquet")


def test_what_is_said_is_one_line_whatever_it_repeats() -> None:
    assert (
        sentence(InputError("there is no channel 'a\nb'; name one")) == "there is no channel 'a b'; name one"
    )
