from collections import Counter

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.duplicates import MANY, keep_last, merge_across_files

RANGES = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted), min_size=1, max_size=6)


def merged(rows: list[tuple[int, int | None, int]]) -> tuple[int, list[tuple]]:
    """Merge rows of (time, value, file), and return how many were dropped and what is left."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE events (moment BIGINT, value BIGINT, file BIGINT)")
    connection.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
    dropped = merge_across_files(
        connection, "events", columns=["moment", "value"], clock="moment", file="file"
    )
    return dropped, connection.execute("SELECT moment, value FROM events ORDER BY rowid").fetchall()


def test_copies_within_one_file_stay() -> None:
    assert merged([(1, 5, 0), (1, 5, 0), (9, 5, 0), (1, 5, 1)]) == (1, [(1, 5), (1, 5), (9, 5)])


def test_nulls_are_alike() -> None:
    assert merged([(1, None, 0), (1, None, 1)]) == (1, [(1, None)])


@pytest.mark.parametrize("files", [3, MANY * 4])
def test_only_the_overlap_of_the_files_matters(files: int) -> None:
    rows = [(file + step, 0, file) for file in range(files) for step in (0, 1)]
    dropped, left = merged(rows)
    expected: Counter = Counter()
    for file in range(files):
        expected |= Counter((at, value) for at, value, of in rows if of == file)
    assert (dropped, Counter(left)) == (files - 1, expected)


def test_the_last_row_of_a_key_is_kept() -> None:
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE people AS FROM (VALUES ('a', 1), ('a', 2), ('a', 1), ('b', 3)) AS t(name, n)"
    )
    assert keep_last(connection, "people", columns=["name", "n"], key=["name"]) == (1, 1)
    assert connection.execute("FROM people ORDER BY ALL").fetchall() == [("a", 1), ("b", 3)]


@settings(deadline=None, max_examples=50)
@given(RANGES)
def test_every_time_that_two_files_share_is_looked_at(ranges: list[list[int]]) -> None:
    rows = [
        (at, 0, file)
        for file, (first, last) in enumerate(ranges)
        for at in {first, last, (first + last) // 2}
    ]
    expected: Counter = Counter()
    for file in range(len(ranges)):
        expected |= Counter((at, value) for at, value, of in rows if of == file)
    assert Counter(merged(rows)[1]) == expected
