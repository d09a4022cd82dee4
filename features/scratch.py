"""Scratch folders in the workspace: those of a process that was killed go with the next job."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from features.errors import InputError

PREFIX = "scratch-"


@contextmanager
def scratch_folder(workspace: Path) -> Iterator[Path]:
    """Lend an empty folder that is removed at the end; remove first what dead processes left.

    Each folder is locked by the process that uses it. The system opens that lock when the process ends,
    however it ends, so that no process ever takes away a folder in use, even from another container.

    Raises
    ------
    InputError
        The workspace cannot be made or written to.
    """
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        for left in workspace.glob(f"{PREFIX}*"):
            _remove_if_abandoned(left)
        folder, lock = _locked_folder(workspace)
    except OSError as error:
        raise InputError(
            f"the workspace {workspace} cannot be used: {error.strerror}; set project.workspace, or let this "
            "user write to it"
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """Lend a path to write to, beside a file that is replaced when all is written; on any error it stays."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        yield unfinished
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def in_turn(folder: Path) -> Iterator[None]:
    """Let one process at a time work in a folder, which is made where there is none; others wait.

    The system opens the lock when the process ends, however it ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _locked_folder(workspace: Path) -> tuple[Path, int]:
    """Make a folder and lock it; again if another process swept it in between."""
    while True:
        folder = Path(mkdtemp(prefix=PREFIX, dir=workspace))
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY)
    except OSError:  # gone meanwhile, or another user's
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(lock)
