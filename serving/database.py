"""The database under the store: SQLite or PostgreSQL, its schema, and its faults in plain words."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from json import dumps
from pathlib import Path
from typing import Any, Self

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from features.errors import InputError
from features.faults import FULL, LOCKED, READ_ONLY, Fault, fault_of

VERSION_TABLE = "store_version"
_MIGRATING = threading.Lock()  # Alembic's environment is one per process
_WRITER = 0x7469657277697365  # the advisory lock by which PostgreSQL, too, has one writer at a time

_FAULTS = {"55P03": LOCKED, "53100": FULL, "25006": READ_ONLY, "42501": READ_ONLY}
"""PostgreSQL's, by its states."""
_UNREACHABLE = Fault("cannot be reached", "check its url, user and password, and that the server runs")
_CONNECTION_STATES = {"08", "28", "3D", "53", "57"}


class StoreError(InputError):
    """The store cannot be used: unreachable, locked, full, read-only or of another version."""


class Database:
    """A connection pool in autocommit mode: a read is one statement, a write says ``BEGIN`` itself.

    Parameters
    ----------
    url
        ``sqlite:///PATH`` or ``postgresql://...``.
    wait_seconds
        How long to wait for a server to answer, or for another process that writes.

    Raises
    ------
    StoreError
        The url is of another kind.
    """

    def __init__(self, url: sa.URL, *, wait_seconds: float) -> None:
        self._url = url
        self._wait_seconds = wait_seconds
        backend = url.get_backend_name()
        if backend == "sqlite" and url.database not in {None, "", ":memory:"}:
            self._engine = self._create("sqlite", timeout=wait_seconds)
            sa.event.listen(self._engine, "connect", _tune)
        elif backend == "postgresql":
            self._engine = self._create("postgresql+psycopg", connect_timeout=max(2, round(wait_seconds)))
        else:
            raise StoreError(
                f"store '{self.name}': only a file, sqlite:///PATH and postgresql://... can hold the store; "
                "name one of these"
            )

    def _create(self, driver: str, **connect_args: float) -> sa.Engine:
        return sa.create_engine(
            self._url.set(drivername=driver),
            connect_args=connect_args,
            isolation_level="AUTOCOMMIT",
            pool_pre_ping=driver != "sqlite",
            json_serializer=partial(dumps, allow_nan=False, ensure_ascii=False),
        )

    @classmethod
    def open(cls, where: Path | str, *, wait_seconds: float) -> Self:
        """Connect, and bring the schema up to date; any number of processes may do so at once.

        Raises
        ------
        StoreError
            Unreadable url, no connection, locked, or a schema newer than this version or not its own.
        """
        database = cls(_parse(where), wait_seconds=wait_seconds)
        with ExitStack() as on_failure:
            on_failure.callback(database.close)
            database._migrate()
            on_failure.pop_all()
        return database

    @property
    def name(self) -> str:
        """Where it is, without user, password or options."""
        if self._url.get_backend_name() == "sqlite":
            return str(self._url.database)
        url = self._url
        plain = sa.URL.create(url.drivername, host=url.host, port=url.port, database=url.database)
        return plain.render_as_string()

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a SQLite file."""
        return self._engine.dialect.name == "sqlite"

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Lend a connection; each statement sees whole transactions only."""
        with self._plainly(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Lend the only writing connection: all that is done with it counts, or, on any error, nothing."""
        with self.reading() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("PRAGMA cache_size = -65536")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql("BEGIN")
                wait = max(1, round(self._wait_seconds * 1000))  # 0 would mean for ever
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {wait}")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER})")
            yield connection
            connection.commit()

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", "serving:migrations")
        scripts = ScriptDirectory.from_config(config)
        with self.reading() as connection:
            if self._revision(connection, scripts) == scripts.get_current_head():
                return
            if self.is_sqlite:
                self._write_ahead(connection)
        with _MIGRATING, self.writing() as connection:
            if self._revision(connection, scripts) != scripts.get_current_head():
                config.attributes["connection"] = connection
                command.upgrade(config, "head")

    def _write_ahead(self, connection: sa.Connection) -> None:
        end = time.monotonic() + self._wait_seconds
        while True:
            try:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            except sa.exc.OperationalError as error:  # SQLite waits for a lock everywhere but here
                if _fault(error.orig) is not LOCKED or time.monotonic() > end:
                    raise
                time.sleep(0.01)
            else:
                return

    def _revision(self, connection: sa.Connection, scripts: ScriptDirectory) -> str | None:
        taken = sa.inspect(connection).has_table("runs")  # asked first: another process may be making both
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        revision = context.get_current_revision()
        if revision is None and taken:
            raise StoreError(
                f"store '{self.name}': its table 'runs' belongs to another program; "
                "give the store a database of its own"
            )
        if revision is not None and revision not in {known.revision for known in scripts.walk_revisions()}:
            raise StoreError(
                f"store '{self.name}': written by a newer version of Tierwise (schema '{revision}'); "
                "upgrade Tierwise, or name another store"
            )
        return revision

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DBAPIError, sqlite3.Error, psycopg.Error) as error:
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            fault = _fault(cause)
            if fault is None:
                raise
            reason = " ".join(str(cause).split())
            raise StoreError(f"store '{self.name}' {fault.what} ({reason}); {fault.remedy}") from error


def _parse(where: Path | str) -> sa.URL:
    if isinstance(where, Path):
        return sa.URL.create("sqlite", database=str(where))
    try:
        return sa.make_url(where)
    except (sa.exc.ArgumentError, ValueError):
        # The text may hold a password, so neither it nor its cause is shown.
        raise StoreError(
            "the store's url cannot be read; write it as sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from None


def _tune(connection: Any, _: object) -> None:  # noqa: ANN401 - a connection of any driver
    connection.execute("PRAGMA synchronous = FULL")  # one commit a run: it must survive a power cut
    connection.execute("PRAGMA journal_size_limit = 67108864")


def _fault(cause: BaseException | None) -> Fault | None:
    if isinstance(cause, sqlite3.Error):
        return fault_of(cause)
    if isinstance(cause, psycopg.Error):
        state = cause.sqlstate
        lost = isinstance(cause, psycopg.OperationalError) and (state or "08")[:2] in _CONNECTION_STATES
        return _FAULTS.get(state or "") or (_UNREACHABLE if lost else None)
    return None
