"""What is wrong with a file, a database or a whole command, in plain words."""

import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

import duckdb

from features.errors import InputError


class Fault(NamedTuple):
    """What is wrong, to follow the name of the file, and what to do about it."""

    what: str
    remedy: str


LONGEST = 240
"""Bytes of a file's name that all systems take, less what is put around it while it is written."""
LOCKED = Fault("is locked by another process", "wait until that one has ended, then run again")
FULL = Fault("cannot grow, its disk is full", "free some space, then run again")
READ_ONLY = Fault("may only be read", "let this user write to it, or name another place")

_BY_CODE = {
    sqlite3.SQLITE_BUSY: LOCKED,
    sqlite3.SQLITE_LOCKED: LOCKED,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_PERM: READ_ONLY,
    sqlite3.SQLITE_IOERR: Fault(
        "cannot be read or written", "check its disk and the space left, then run again"
    ),
    sqlite3.SQLITE_CANTOPEN: Fault("cannot be opened", "create its folder, or let this user write to it"),
    sqlite3.SQLITE_NOTADB: Fault(
        "is no SQLite database", "move it away, or name another place, then run again"
    ),
    sqlite3.SQLITE_CORRUPT: Fault("is damaged", "restore it from a copy, or move it away and run again"),
}


def fault_of(error: sqlite3.Error) -> Fault | None:
    """Tell what SQLite complains of; null for what is no fault of the file."""
    # The low byte is the kind of the fault; the rest is its details.
    return _BY_CODE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)


def sentence(error: Exception) -> str:
    """Say in one sentence what failed, and what to do."""
    if isinstance(error, InputError):
        return " ".join(str(error).splitlines())
    said = str(error).strip().partition("\n")[0]
    if isinstance(error, OSError):
        place = error.filename or "a file"
        return (
            f"{place} cannot be used ({error.strerror or said}); check disk and permissions, then run again"
        )
    if isinstance(error, duckdb.Error):
        return f"the data cannot be worked through ({said}); check memory and disk, then run again"
    return f"an unexpected {type(error).__name__} ({said}); tierwise --debug shows where"


def check_writable(option: str, file: Path | None) -> None:
    """Refuse, before hours of work, a file that cannot be written."""
    if file is None:
        return
    what = None
    if len(os.fsencode(file.name)) > LONGEST:
        what = f"has a name of more than {LONGEST} bytes"
    elif file.is_dir():
        what = "is a folder"
    elif not file.parent.is_dir():
        what = f"lies in no folder: there is no {file.parent}"
    elif not os.access(file.parent, os.W_OK):
        what = f"cannot be written: {file.parent} may only be read"
    if what:
        raise InputError(f"{option} {file} {what}; name a file in an existing folder")
