from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from features.configuration import Configuration
from features.quality import DataQuality
from features.staging import stage

Staged = tuple[duckdb.DuckDBPyConnection, DataQuality]


@pytest.fixture
def staged(tmp_path: Path) -> Callable[..., Staged]:
    """Write a configuration and text files (in a name, ``_`` is the dot), and stage them."""

    def write_and_stage(configuration: str, **files: str | bytes) -> Staged:
        for name, content in files.items():
            raw = content if isinstance(content, bytes) else content.encode()
            (tmp_path / name.replace("_", ".")).write_bytes(raw)
        (tmp_path / "tierwise.toml").write_text(configuration)
        connection = duckdb.connect()
        return connection, stage(Configuration.read(tmp_path / "tierwise.toml", environ={}), connection)

    return write_and_stage
