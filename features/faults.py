"""What is wrong with a database file, in plain words: the same for every SQLite file that we keep."""

import sqlite3
from typing import NamedTuple


class Fault(NamedTuple):
    """What is wrong, to follow the name of the file, and what to do about it."""

    what: str
    remedy: str


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
