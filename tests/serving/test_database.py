import resource
import signal
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime
from itertools import islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from serving.database import VERSION_TABLE, Database, StoreError
from serving.store import Run, Store
from serving.tables import METADATA, SCHEMA
from tests.serving.runs import a_run

PARTS = 3
PART_ROWS = 1000


def run_of(day: int) -> Run:
    return a_run(f"day-{day}", as_of=datetime(2024, 3, day, tzinfo=UTC), customers=PARTS * PART_ROWS)


def parts() -> Iterator[pa.Table]:
    for part in range(PARTS):
        unknown = {field.name: pa.nulls(PART_ROWS, field.type) for field in SCHEMA}
        known = {
            "customer_id": [f"{part}-{row}" for row in range(PART_ROWS)],
            "churn_risk": [0.1] * PART_ROWS,
            "next_order_date": [date(2024, 3, 5)] * PART_ROWS,
            "is_base_customer": [True] * PART_ROWS,
            "tier_changed_at": [datetime(2024, 3, 1, tzinfo=UTC)] * PART_ROWS,
        }
        yield pa.table(unknown | known)


def publish(store: Store, day: int) -> None:
    store.publish(run_of(day), parts(), facts={})


def rows_of(store: Store, day: int) -> int:
    return pa.Table.from_batches(store.scores(f"day-{day}")).num_rows


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that begin with this module and all it imports."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def publish_up_to(places: int, url: str, ready: Connection) -> None:
    """Publish that many parts, say so, and wait to be killed."""

    def until_killed() -> Iterator[pa.Table]:
        yield from islice(parts(), places)
        ready.send("ready")
        ready.recv()

    with Store.open(url) as store:
        store.publish(run_of(2), until_killed(), facts={})


def open_when_told(url: str, told: Connection) -> None:
    told.recv()
    Store.open(url).close()


@pytest.mark.parametrize("places", [0, 1, PARTS])
def test_killed_while_publishing_the_last_run_stays_and_publishing_again_completes(
    url: str, places: int, processes: ForkServerContext
) -> None:
    with Store.open(url) as store:
        publish(store, 1)
    ours, theirs = processes.Pipe()
    child = processes.Process(target=publish_up_to, args=(places, url, theirs))
    child.start()
    theirs.close()
    assert ours.recv() == "ready"
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    with Store.open(url) as store:
        assert store.latest().run_id == "day-1"
        assert store.customer("0-0")["run_id"] == "day-1"
        assert store.published("day-2") is None
        publish(store, 2)
        assert store.customer("0-0")["run_id"] == "day-2"
        assert (rows_of(store, 1), rows_of(store, 2)) == (PARTS * PART_ROWS, PARTS * PART_ROWS)


def test_many_processes_may_open_a_new_store_at_once(url: str, processes: ForkServerContext) -> None:
    pipes = [processes.Pipe() for _ in range(2)]
    children = [processes.Process(target=open_when_told, args=(url, theirs)) for _, theirs in pipes]
    for child in children:
        child.start()
    for ours, _ in pipes:
        ours.send("open")
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    with Store.open(url) as store:
        assert store.latest() is None


def test_the_revisions_make_the_tables_that_the_code_uses(url: str) -> None:
    Store.open(url).close()
    with engine(url).connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, METADATA) == []


def engine(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=sa.NullPool)


def test_a_store_of_a_newer_version_is_refused(url: str) -> None:
    Store.open(url).close()
    with engine(url).begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"written by a newer version .*'9999'.*; upgrade Tierwise"):
        Store.open(url)


def test_the_database_of_another_program_is_left_alone(url: str) -> None:
    with engine(url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE runs (miles integer)")
    with pytest.raises(StoreError, match="'runs' belongs to another program; give the store a database"):
        Store.open(url)


@contextmanager
def quota_of_pages(pages: int) -> Iterator[None]:
    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages}")

    sa.event.listen(sa.Engine, "connect", limit)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "connect", limit)


@contextmanager
def quota_of_bytes(most: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("quota", "message"),
    [
        pytest.param(quota_of_pages(100), "cannot grow, its disk is full .*; free some space", id="full"),
        pytest.param(quota_of_bytes(200_000), "cannot be read or written .*; check its disk", id="failing"),
    ],
)
def test_a_full_disk_while_publishing_leaves_the_published_run(
    tmp_path: Path, quota: AbstractContextManager[None], message: str
) -> None:
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        publish(store, 1)
    with quota, Store.open(path) as store, pytest.raises(StoreError, match=f"^store '{path}' {message}"):
        publish(store, 2)
    with Store.open(path) as store:
        assert store.latest().run_id == "day-1"
        assert rows_of(store, 1) == PARTS * PART_ROWS
        publish(store, 2)
        assert rows_of(store, 2) == PARTS * PART_ROWS


def test_a_read_only_file_is_read_but_not_published_to(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Store.open(path) as store:
        publish(store, 1)
        with Store.open(f"sqlite:///file:{path}?mode=ro&uri=true") as reader:
            assert reader.latest().run_id == "day-1"
            with pytest.raises(StoreError, match=r"may only be read .*; let this user write to it"):
                publish(reader, 2)


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"store\.db' cannot be opened .*; create its folder"):
        Store.open(tmp_path / "missing" / "store.db")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("customer_id,churn_risk\n" * 100)
    with pytest.raises(StoreError, match=r"is no SQLite database .*; move it away, or name"):
        Store.open(path)


@pytest.mark.parametrize("where", ["sqlite://", "sqlite:///:memory:", "mysql://ada:secret@shop/db"])
def test_databases_of_other_kinds_are_refused(where: str) -> None:
    with pytest.raises(StoreError, match="can hold the store; name one of these") as caught:
        Store.open(where)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("where", ["store.db", "postgresql://ada:secret@shop:port/db"])
def test_a_text_that_is_no_url_is_refused_without_repeating_it(where: str) -> None:
    with pytest.raises(StoreError, match="the store's url cannot be read; write it as") as caught:
        Store.open(where)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(StoreError, match=r"^store 'postgresql://127\.0\.0\.1:1/shop' cannot be reached"):
        Store.open("postgresql://ada:secret@127.0.0.1:1/shop?password=secret", wait_seconds=2)


def test_a_wrong_password_is_not_shown(new_postgres: Callable[[], str]) -> None:
    url = new_postgres()
    Store.open(url).close()
    with pytest.raises(StoreError, match=r"cannot be reached .*; check its url, user and password") as caught:
        Store.open(url.replace("postgres:@", "clerk:wrong-secret@"))
    assert "wrong-secret" not in str(caught.value)


def test_a_database_that_may_only_be_read(new_postgres: Callable[[], str]) -> None:
    url = new_postgres()
    Store.open(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with Store.open(url) as store, pytest.raises(StoreError, match=r"may only be read .*; let this user"):
        publish(store, 1)


def disconnect_all(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_server_restarted_between_two_reads_goes_unnoticed(new_postgres: Callable[[], str]) -> None:
    url = new_postgres()
    with Store.open(url) as store:
        publish(store, 1)
        disconnect_all(url)
        assert store.latest().run_id == "day-1"


def test_a_server_lost_while_publishing_leaves_the_published_run(new_postgres: Callable[[], str]) -> None:
    url = new_postgres()

    def interrupted() -> Iterator[pa.Table]:
        for part in parts():
            yield part
            disconnect_all(url)

    with Store.open(url) as store:
        publish(store, 1)
        with pytest.raises(StoreError, match="cannot be reached"):
            store.publish(run_of(2), interrupted(), facts={})
        assert store.latest().run_id == "day-1"
        publish(store, 2)
        assert rows_of(store, 2) == PARTS * PART_ROWS


def test_other_faults_are_not_disguised(url: str) -> None:
    database = Database.open(url, wait_seconds=1)
    with pytest.raises(sa.exc.DBAPIError), database.reading() as connection:
        connection.exec_driver_sql("SELECT nonsense FROM nowhere")
    database.close()
