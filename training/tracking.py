"""The way to MLflow: quiet, without telemetry, one writer at a time, its faults in plain words."""

import os
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import uuid4

from features.errors import InputError
from features.faults import fault_of

if TYPE_CHECKING:
    from mlflow import MlflowClient


class Tracking:
    """MLflow's tracking and registry for one workspace.

    Parameters
    ----------
    workspace
        The folder that holds ``mlflow.db`` and ``artifacts``.
    tracking_uri
        Where MLflow keeps its records; without one, in ``mlflow.db``.
    wait_seconds
        How long to wait for another process that writes.

    Raises
    ------
    InputError
        The path of the workspace is one that MLflow cannot open.
    """

    def __init__(self, workspace: Path, tracking_uri: str | None, *, wait_seconds: float) -> None:
        self._workspace = workspace.absolute()
        self._database = self._workspace / "mlflow.db"
        self._wait_seconds = wait_seconds
        self._is_local = tracking_uri is None
        self._uri = tracking_uri or f"sqlite:///{self._database}"
        if self._is_local and not {"%", "?", "#"}.isdisjoint(str(self._workspace)):
            raise InputError(
                f"workspace '{self._workspace}': MLflow opens no path with %, ? or #; name another workspace"
            )

    @property
    def name(self) -> str:
        """Where the records are, for people; without user and password."""
        if self._is_local:
            return str(self._database)
        scheme, _, rest = self._uri.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    @property
    def is_local(self) -> bool:
        """Whether the records are in the workspace, where nobody else writes to them."""
        return self._is_local

    @property
    def artifacts(self) -> Path | None:
        """Where runs put their files; ``None`` if a server decides it."""
        return None if self._uri.startswith(("http", "databricks")) else self._workspace / "artifacts"

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever recorded in the workspace; a server may always hold something."""
        return self._is_local and not self._has_database()

    @contextmanager
    def reading(self) -> Iterator["MlflowClient"]:
        """Lend a client that reads.

        Raises
        ------
        InputError
            The records are unreachable, locked, damaged, or of another version of MLflow.
        """
        with self._plainly():
            if self._is_local:
                self._probe("SELECT count(*) FROM sqlite_master")
            with _quiet():
                yield _client(self._uri)

    @contextmanager
    def writing(self) -> Iterator["MlflowClient"]:
        """Lend a client that writes, to one process of this workspace at a time.

        A process that dies leaves no lock behind.

        Raises
        ------
        InputError
            As for `reading`; or the records are read-only, or their disk is full.
        """
        with self._plainly(), self._alone():
            if self._is_local:
                self._create_database()
                self._probe("BEGIN IMMEDIATE", "PRAGMA user_version = 1")
            with _quiet():
                yield _client(self._uri)

    def _has_database(self) -> bool:
        return self._database.exists() and self._database.stat().st_size > 0

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._workspace.mkdir(parents=True, exist_ok=True)
        lock = self._workspace / "mlflow.lock"
        with closing(sqlite3.connect(lock, timeout=self._wait_seconds, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield

    def _create_database(self) -> None:
        """Let MLflow make its tables elsewhere, because its migrations survive no interruption."""
        if self._has_database():
            return
        for unfinished in self._workspace.glob("mlflow.db[.-]*"):
            unfinished.unlink()
        fresh = self._database.with_name(f"mlflow.db.{uuid4().hex}")
        with _quiet():
            _client(f"sqlite:///{fresh}")
        fresh.replace(self._database)

    def _probe(self, *statements: str) -> None:
        """Meet a fault at once, and change nothing: MLflow itself tries to connect for 100 s."""
        url = f"file:{quote(str(self._database))}?mode=rw"
        connection = sqlite3.connect(url, uri=True, timeout=self._wait_seconds, isolation_level=None)
        with closing(connection):
            for statement in statements:
                connection.execute(statement)

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            sentence = self._sentence(error)
            if sentence is None:
                raise
            raise InputError(f"registry '{self.name}' {sentence}") from error

    def _sentence(self, error: BaseException) -> str | None:
        said = str(error) if type(error).__module__ == "mlflow.exceptions" else ""
        if "Max retries exceeded" in said:
            return "cannot be reached; check its address, and that the server runs"
        if "out-of-date database schema" in said:
            return f"is of another version of MLflow; copy it, then run: mlflow db upgrade '{self._uri}'"
        for cause in _causes(error):
            if isinstance(cause, sqlite3.Error) and (fault := fault_of(cause)):
                return f"{fault.what}; {fault.remedy}"
            if isinstance(cause, OSError) and cause.filename is not None:
                return f"cannot use '{cause.filename}' ({cause.strerror}); check disk and permissions"
        return f"refused: {said.splitlines()[0]}" if said else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _client(uri: str) -> "MlflowClient":
    from mlflow import MlflowClient  # noqa: PLC0415 - it takes seconds

    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence MLflow while it works for us; a notebook that uses it as well keeps its log."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    with warnings.catch_warnings():
        # Its models use a loader that SQLAlchemy 2.1 deprecates; nobody here can change that.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings(
            "ignore", "IProgress not found"
        )  # its progress bars want a notebook's widgets
        from mlflow.utils.logging_utils import MLFLOW_LOGGING_STREAM as LOG  # noqa: PLC0415

        was_enabled, LOG.enabled = LOG.enabled, False
        try:
            yield
        finally:
            LOG.enabled = was_enabled
