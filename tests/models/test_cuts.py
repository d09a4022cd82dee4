from collections.abc import Iterator

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cuts import Cut, cuts_sql

Values = list[float | None]
SHARES = (0.1, 0.2, 0.25, 0.5, 0.8)


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("CREATE TABLE subjects (x DOUBLE)")
        yield opened


def measured(connection: duckdb.DuckDBPyConnection, values: Values, *cuts: Cut) -> list[float | None]:
    rows = ", ".join("(NULL::DOUBLE)" if value is None else f"({value!r}::DOUBLE)" for value in values)
    source = f"(SELECT * FROM (VALUES {rows}) AS given(x))"
    (row,) = connection.execute(cuts_sql(cuts, source)).fetchall()
    return list(row)


def nearest_top(values: Values, share: float) -> float | None:
    """Try every value, and none: whose customers come nearest to the share, more rather than fewer."""
    known = [value for value in values if value is not None]
    reached: dict[float | None, int] = {value: sum(other >= value for other in known) for value in known}
    reached[None] = 0
    return min(reached, key=lambda value: (abs(reached[value] - share * len(known)), -reached[value]))


def bringing(values: Values, share: float) -> float | None:
    known = sorted((value for value in values if value is not None and value > 0), reverse=True)
    sums = [sum(known[: number + 1]) for number in range(len(known))]
    return next(
        (value for value, reached in zip(known, sums, strict=True) if reached >= share * sums[-1]), None
    )


WHOLE = st.lists(st.one_of(st.none(), st.integers(-3, 9).map(float)), min_size=1, max_size=20)


@settings(max_examples=30, deadline=None)
@given(values=WHOLE)
def test_cut_points_are_what_trying_every_value_gives(
    connection: duckdb.DuckDBPyConnection, values: Values
) -> None:
    cuts = [Cut(function, "x", share) for share in SHARES for function in ("top", "bottom", "brings")]
    mirrored = [None if value is None else -value for value in values]
    expected = []
    for share in SHARES:
        low = nearest_top(mirrored, share)
        expected += [nearest_top(values, share), None if low is None else -low, bringing(values, share)]
    assert measured(connection, values, *cuts) == expected


@settings(max_examples=30, deadline=None)
@given(values=WHOLE, share=st.sampled_from(SHARES))
def test_who_is_not_in_the_top_is_in_the_bottom(
    connection: duckdb.DuckDBPyConnection, values: Values, share: float
) -> None:
    top, bottom = measured(connection, values, Cut("top", "x", share), Cut("bottom", "x", 1 - share))
    for value in values:
        if value is not None and top is not None and bottom is not None:
            assert value >= top or value <= bottom


def test_a_share_of_customers_who_bought_nothing_takes_in_nobody_else(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    one_buyer: Values = [0.0] * 9 + [5.0]
    assert measured(connection, one_buyer, Cut("top", "x", 0.2), Cut("bottom", "x", 0.5)) == [5.0, 0.0]


def test_a_few_bring_most(connection: duckdb.DuckDBPyConnection) -> None:
    values: Values = [70.0, 10.0, 10.0, 5.0, 5.0, -40.0, None]
    cuts = [Cut("brings", "x", share) for share in (0.7, 0.8, 0.81)]
    assert measured(connection, values, *cuts) == [70.0, 10.0, 10.0]


def test_all_of_the_total_is_brought_by_everybody(connection: duckdb.DuckDBPyConnection) -> None:
    """Sums of fractions differ in their last digits with the order in which an engine adds them up."""
    values: Values = [float(value) for value in np.random.default_rng(3).uniform(0.01, 100, 600)]
    for count in range(100, 601, 20):
        assert measured(connection, values[:count], Cut("brings", "x", 1.0)) == [min(values[:count])]


def test_nobody_with_a_value_gives_no_cut_point(connection: duckdb.DuckDBPyConnection) -> None:
    cuts = [Cut(function, "x", 0.2) for function in ("top", "bottom", "brings")]
    assert measured(connection, [None], *cuts) == [None, None, None]
    (row,) = connection.execute(cuts_sql(cuts)).fetchall()
    assert row == (None, None, None)


def test_a_cut_has_a_name_of_its_own_whatever_its_column(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute('CREATE OR REPLACE TABLE odd AS SELECT 3.0 AS "a ""b"""')
    cut = Cut("top", 'a "b"', 0.5)
    assert cut.key == 'top(a "b", 0.5)'
    assert connection.execute(cuts_sql([cut, cut], "odd")).fetchall() == [(3.0,)]
    assert cut.eased(0.1) == Cut("top", 'a "b"', 0.55)
