import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.contract import Kind
from features.errors import InputError
from models.condition_values import Row
from models.conditions import Condition
from models.cuts import Cut

KINDS = {
    "clv": Kind.NUMBER,
    "spend_30d": Kind.NUMBER,
    "country": Kind.TEXT,
    "vip": Kind.FLAG,
    'odd "name"; --': Kind.NUMBER,
}
CUTS = {"top(clv, 0.2)": 50.0, "bottom(clv, 0.2)": -2.0, "brings(clv, 0.8)": 1.5, "top(spend_30d, 0.2)": None}


def read(text: str) -> Condition:
    return Condition.read(text, columns=KINDS, where="tiers.levels.0.when")


def holds(text: str, **row: Any) -> bool:
    return read(text).holds(row, CUTS)


@pytest.mark.parametrize(
    "text",
    [
        "clv > 5 and spend_30d <= 3 or vip",
        "vip = true and not vip = false",
        "5 < clv",
        "clv between 10 - 2 * 2 and 10 and clv not between 7 and 8",
        "country in ('FR', 'Côte d''Ivoire') and country <> 'UK'",
        "country not in ('UK') and country = coalesce(country, 'x')",
        "spend_30d / (clv - 6) is null and spend_30d is not null",
        "coalesce(spend_30d / (clv - 6), clv, 0) = 6",
        "-clv < -(-3) and clv >= -1e3 and true",
        'top(clv, 0.2) or clv <> spend_30d and "odd ""name""; --" = 1',
    ],
)
def test_conditions_that_hold(text: str) -> None:
    assert holds(text, clv=6.0, spend_30d=2.0, country="FR", vip=1.0, **{'odd "name"; --': 1.0})


@pytest.mark.parametrize(
    "text",
    [
        "clv > 5",
        "clv <= 5",
        "clv <> 5",
        "clv in (5)",
        "clv = spend_30d",
        "top(clv, 0.2)",
        "clv + 1 > 0",
        "vip",
    ],
)
def test_what_is_not_known_makes_a_condition_false_and_its_opposite_true(text: str) -> None:
    unknown = {"clv": None, "spend_30d": float("nan")}
    assert not holds(text, **unknown)
    assert holds(f"not ({text})", **unknown)


def test_a_cut_point_that_nobody_reaches_is_false() -> None:
    assert not holds("top(spend_30d, 0.2)", spend_30d=5.0)
    assert read("top(spend_30d, 0.2)").sql(CUTS) == "false"


def test_what_it_reads() -> None:
    condition = read(
        "top(clv, .20) and (bottom(clv, 0.2) or not top(clv, 0.2)) and spend_30d / clv > 2 and vip"
    )
    assert condition.columns == ("clv", "spend_30d", "vip")
    assert condition.cuts == (Cut("top", "clv", 0.2), Cut("bottom", "clv", 0.2))
    assert condition.cuts[0].key == "top(clv, 0.2)"


def test_the_sql_that_travels() -> None:
    assert read("clv >= 5000 and country = 'O''Neill' and not spend_30d / clv > 2").sql({}) == (
        "(coalesce(\"clv\" >= 5000.0e0, false) AND coalesce(\"country\" = 'O''Neill', false) AND "
        '(NOT coalesce((1e0 * "spend_30d" / nullif("clv", 0e0)) > 2.0e0, false)))'
    )


@pytest.mark.parametrize(
    ("text", "eased"),
    [
        ("clv >= 100", "clv >= 90"),
        ("clv > -100", "clv > -110"),
        ("clv <= 100", "clv <= 110"),
        ("100 <= clv", "clv >= 90"),
        ("not clv < 100", "not clv < 90"),
        ("clv between 100 and 200 or vip", "clv between 90 and 220 or vip"),
        ("top(clv, 0.2)", "top(clv, 0.22)"),
        ("not brings(clv, 0.5)", "not brings(clv, 0.45)"),
        ("clv = 100 and clv is null and vip = true", "clv = 100 and clv is null and vip = true"),
        ("country in ('UK') and clv > spend_30d", "country in ('UK') and clv > spend_30d"),
    ],
)
def test_easing(text: str, eased: str) -> None:
    assert read(text).eased(0.1).clause == read(eased).clause


def test_tightening_is_easing_the_other_way_and_no_share_exceeds_one() -> None:
    assert read("clv >= 100 and not clv > 10").eased(-0.5).clause == read("clv >= 150 and not clv > 5").clause
    assert read("top(clv, 0.8)").eased(0.5).cuts == (Cut("top", "clv", 1.0),)


SQL_INJECTIONS = {
    "a second statement": "clv > 1; drop table subjects",
    "a query": "clv > (select max(clv) from subjects)",
    "a query in a list": "country in (select country from secrets)",
    "exists": "exists(select 1)",
    "a semicolon at the end": "clv > 1;",
    "a comment before": "/* all */ clv > 1",
    "an empty comment": "clv > 1 --",
    "a comment": "clv > 1 -- and the rest",
    "a comment within": "clv > /* 1 */ 2",
    "a broken quote": "country = 'UK' or 1=1 --'",
    "union": "clv > 1 union select 1",
    "a function": "read_text('/etc/passwd') = 'x'",
    "a cast": "country::blob = 'x'",
    "a schema": "information_schema.tables > 1",
    "a parameter": "clv > $1",
    "a window": "top(clv, 0.2) over ()",
    "an order in a call": "top(clv, 0.2 order by clv)",
    "like": "country like '%'",
    "a case": "case when vip then 1 end = 1",
    "a collation": "country = 'x' collate nocase",
    "a bracket": "country[1] = 'x'",
    "json": "country ->> 'a' = 'b'",
    "escapes": r"country = e'\x27'",
    "glued texts": "country = 'a' || 'b'",
    "an alias": "clv > 1 as x",
    "a star": "*",
    "the clock": "current_date > clv",
    "a command": "attach 'x.db'",
    "a struct": "{'a': clv} = 1",
    "symmetric": "clv between symmetric 3 and 1",
    "nothing": " ",
    "a letter that ends a text in C": "country = 'a\0b'",
    "deep brackets": "(" * 500 + "clv > 1" + ")" * 500,
    "length": "clv > 1 or " * 500 + "clv > 1",
}


@pytest.mark.parametrize("text", SQL_INJECTIONS.values(), ids=SQL_INJECTIONS)
def test_what_is_no_plain_condition_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^tiers\.levels\.0\.when (= |has )") as told:
        read(text)
    assert len(str(told.value)) < 400


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("clvv > 3", "there is no column 'clvv'; did you mean 'clv'?"),
        ("tpo(clv, 0.2)", "there is no function 'tpo'; did you mean 'top'?"),
        ("country > 5", "the text country cannot be compared with the number 5"),
        ("clv = 'high'", "the text 'high' cannot be compared with the number clv"),
        ("clv in (1, 'a')", "the text 'a' cannot be compared with the number clv"),
        ("country > 'FR'", "texts such as country are compared by =, <> and in; they have no order"),
        ("country + 1 > 2", "country is text, and + calculates with numbers"),
        ("coalesce(country, 0) = 0", "coalesce takes numbers or texts, not both"),
        ("clv", "'clv' is no truth; compare it with something, as in clv = 1"),
        ("clv and vip", "'clv' is no truth; compare it with something, as in clv = 1"),
        ("country", "'country' is no truth; compare it with something, as in country = 'text'"),
        ("clv + 1", "'clv + 1' is no truth; compare it with something, as in clv > 100"),
        ("clv = true", "'TRUE' compares with a flag, and clv is none"),
        ("1 < clv < 5", "'1 < clv' is a truth, not a value; join truths by and, or, not"),
        ("clv = null", "nothing compares with 'NULL'; write 'is null' or 'is not null'"),
        ("vip is true", "after is stands null or not null; compare with true and false by ="),
        ("top(country, 0.2)", "top() ranks numbers, and country is a text"),
        ("top(clv, 20)", "the share 20 of top() is not between 0 and 1, as 0.2 is"),
        ("brings(clv, 0)", "the share 0 of brings() is not between 0 and 1, as 0.2 is"),
        ("bottom(clv)", "bottom() takes a column and a share, as in bottom(clv, 0.2)"),
        ("top(clv, clv)", "top() takes a column and a share, as in top(clv, 0.2)"),
        ("clv > 1 / 0", "a number in it is none: it is cut off, too large, or divided by zero"),
        ("clv > 1e999", "a number in it is none: it is cut off, too large, or divided by zero"),
        ("clv > 1e", "a number in it is none: it is cut off, too large, or divided by zero"),
        ("clv in ()", "in () is an empty list; name values"),
        ("clv in (spend_30d)", "a list holds numbers or texts, and spend_30d is neither"),
        ("1 = 1", "1 is the same for every customer; name a column"),
        ("clv / 0 > 1", "clv is divided by zero, which is never known"),
    ],
)
def test_errors_say_what_and_where(text: str, reason: str) -> None:
    with pytest.raises(InputError) as told:
        read(text)
    assert str(told.value) == f"tiers.levels.0.when = {text!r}: {reason}"


SCRAPS = """clv country vip order and or not in between is null ( ) , + - * / > <= <> 'a' ' " 1 1e .5 5. 0x1
true top( coalesce( nullif( case when then end select from ; -- /* */ :: . [ ] { $1 ? @ % & | ~ é like any
exists interval date cast( as over := escape collate if( 1e400 b'1' $$a$$"""


@settings(deadline=None)
@given(st.lists(st.sampled_from(SCRAPS.split()), max_size=9))
def test_any_text_is_a_condition_or_an_error_in_words(scraps: list[str]) -> None:
    with contextlib.suppress(InputError):
        assert read(" ".join(scraps)).sql({}) is not None


NUMBERS = st.sampled_from(["clv", "spend_30d", "coalesce(clv, 1)", "clv / spend_30d", "clv - 2 * spend_30d"])
CONSTANTS = st.sampled_from(["-2", "0", "0.1", "1.5", "3", "50"])
OPERATORS = st.sampled_from(["<", "<=", ">", ">=", "=", "<>"])
ATOMS = st.one_of(
    st.builds("{} {} {}".format, NUMBERS, OPERATORS, st.one_of(CONSTANTS, NUMBERS)),
    st.builds("{} between {} and {}".format, NUMBERS, CONSTANTS, CONSTANTS),
    st.builds("{} in ({}, {})".format, NUMBERS, CONSTANTS, CONSTANTS),
    st.builds("{} is null".format, NUMBERS),
    st.sampled_from(["country = 'FR'", "country <> 'it''s'", "country in ('FR', 'é')", "vip", "vip = false"]),
    st.sampled_from(list(CUTS)),
)
TEXTS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=6,
)
VALUES = st.one_of(st.none(), st.sampled_from([-2.0, 0.0, 0.1, 1.5, 3.0, 50.0]), st.floats(-1e9, 1e9))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "clv": VALUES,
            "spend_30d": VALUES,
            "country": st.sampled_from([None, "FR", "fr", "é", "it's"]),
            "vip": st.sampled_from([None, 0, 1]),
        }
    ),
    min_size=1,
    max_size=8,
)
TYPES = {"clv": "DOUBLE", "spend_30d": "DOUBLE", "country": "TEXT", "vip": "BIGINT"}


@pytest.fixture(scope="module")
def engines() -> Iterator[list[Any]]:
    with duckdb.connect() as batch, sqlite3.connect(":memory:") as live:
        for engine in (batch, live):
            columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
            engine.execute(f"CREATE TABLE subjects (number BIGINT, {columns})")
        yield [batch, live]
    live.close()


def answers(engine: Any, condition: Condition, rows: list[Row]) -> list[bool]:
    engine.execute("DELETE FROM subjects")
    engine.executemany(
        "INSERT INTO subjects VALUES (?, ?, ?, ?, ?)",
        [(number, *(row[name] for name in TYPES)) for number, row in enumerate(rows)],
    )
    query = f"SELECT CASE WHEN {condition.sql(CUTS)} THEN 1 ELSE 0 END FROM subjects ORDER BY number"
    return [bool(value) for (value,) in engine.execute(query).fetchall()]


@settings(max_examples=30, deadline=None)
@given(text=TEXTS, rows=ROWS)
def test_every_engine_answers_alike(engines: list[Any], text: str, rows: list[Row]) -> None:
    condition = read(text)
    expected = [condition.holds(row, CUTS) for row in rows]
    for engine in engines:
        assert answers(engine, condition, rows) == expected


@given(text=TEXTS, rows=ROWS, by=st.floats(0, 0.5))
def test_whom_a_condition_takes_its_eased_one_takes_and_tightened_ones_take_no_others(
    text: str, rows: list[Row], by: float
) -> None:
    condition = read(text)
    eased, tightened = condition.eased(by), condition.eased(-by)
    points = {
        cut.key: None
        if cut.column == "spend_30d"
        else (1 - cut.share) * (-1 if cut.function == "bottom" else 1)
        for each in (condition, eased, tightened)
        for cut in each.cuts
    }
    for row in rows:
        assert tightened.holds(row, points) <= condition.holds(row, points) <= eased.holds(row, points)


@given(text=TEXTS)
def test_a_condition_is_known_by_its_text(text: str) -> None:
    assert read(text) == read(read(text).text)
