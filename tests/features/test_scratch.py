import signal
import subprocess
import sys
from pathlib import Path

import pytest

from features.errors import InputError
from features.scratch import scratch_folder, whole_file

KILLED = """
import os, pathlib, signal, sys
from features.scratch import scratch_folder
with scratch_folder(pathlib.Path(sys.argv[1])) as folder:
    (folder / "spilled").write_text("much")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_scratch_folder_ends_with_its_job_be_it_in_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with scratch_folder(tmp_path / "new") as folder:
            (folder / "file").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_killed_process_leaves_goes_with_the_next_job_and_nothing_else(tmp_path: Path) -> None:
    with scratch_folder(tmp_path) as in_use:
        killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)  # noqa: S603
        assert killed.returncode == -signal.SIGKILL
        (left,) = set(tmp_path.iterdir()) - {in_use}
        assert (left / "spilled").exists()
        with scratch_folder(tmp_path) as folder:
            assert set(tmp_path.iterdir()) == {in_use, folder}


def test_a_workspace_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(InputError, match=r"workspace .*file/workspace cannot be used: Not a directory"),
        scratch_folder(tmp_path / "file" / "workspace"),
    ):
        pass


def test_a_file_is_replaced_when_all_is_written_and_not_by_half_of_it(tmp_path: Path) -> None:
    file = tmp_path / "scores.parquet"
    for text in ("first", "second"):
        with whole_file(file) as unfinished:
            unfinished.write_text(text)
    with pytest.raises(ZeroDivisionError), whole_file(file) as unfinished:  # noqa: PT012 - it fails halfway
        unfinished.write_text("half")
        assert 1 / 0
    assert [left.read_text() for left in tmp_path.iterdir()] == ["second"]
