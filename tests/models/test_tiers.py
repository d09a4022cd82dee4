import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.contract import Kind
from features.errors import InputError
from features.silence import Rhythm
from features.tier_settings import Flow, Level, TierSettings
from models.classes import NEEDS
from models.lifecycle import loyalty_sql, stage_sql
from models.tiers import CLASSES, TierPolicy

KINDS = {
    "clv": Kind.NUMBER,
    "potential_score": Kind.NUMBER,
    "churn_risk": Kind.NUMBER,
    "spend_30d": Kind.NUMBER,
    "country": Kind.TEXT,
    "lifecycle_stage": Kind.TEXT,
    "vip": Kind.FLAG,
}
LARGE_SPEND = Flow(tier="high", when="spend_30d > 5000", reason="spent over 5,000 in 30 days")
SHOP = TierSettings(flows=(LARGE_SPEND,))
Levels = list[tuple[str, str | None]]


def policy(levels: Levels, *flows: Flow, hysteresis: float = 0.1) -> TierPolicy:
    tiers = tuple(Level(name=name, when=when) for name, when in levels)
    return TierPolicy.of(
        TierSettings(levels=tiers, flows=flows, hysteresis=hysteresis), setting="transactional", columns=KINDS
    )


def of(
    shop: TierSettings = SHOP, setting: str = "transactional", label_means: str | None = None
) -> TierPolicy:
    return TierPolicy.of(shop, setting=setting, label_means=label_means, columns=KINDS)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Ten customers: the higher the number, the higher the value; the potential runs the other way."""
    with duckdb.connect() as opened:
        opened.execute(
            "CREATE TABLE subjects AS SELECT range AS number, range * 10.0 AS clv, "
            "100.0 - range AS potential_score, 0.05 * range AS churn_risk, "
            "CASE WHEN range = 4 THEN 6000.0 ELSE 0.0 END AS spend_30d, "
            "'UK' AS country, 0 AS vip FROM range(1, 11)"
        )
        yield opened


def placed(connection: Any, tiers: TierPolicy, cuts: dict[str, float | None]) -> list[str]:
    rows = connection.execute(f"SELECT {tiers.place_sql(cuts)} FROM subjects ORDER BY number").fetchall()
    return [name for (name,) in rows]


def test_a_shop_without_a_policy_has_four_tiers(connection: duckdb.DuckDBPyConnection) -> None:
    tiers = of()
    assert (tiers.names, tiers.highest) == (("high", "potential", "ordinary", "low"), "high")
    assert tiers.columns == ("clv", "potential_score", "spend_30d")
    expected = (
        ["potential"] * 2 + ["low", "high", "ordinary", "ordinary", "ordinary", "ordinary"] + ["high"] * 2
    )
    assert placed(connection, tiers, tiers.measure(connection)) == expected


def test_the_potential_is_ranked_among_those_below_the_highest_tier(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    connection.execute("UPDATE subjects SET potential_score = 1000 + number WHERE number > 8")
    cuts = of().measure(connection)
    assert (cuts["top(clv, 0.2)"], cuts["top(potential_score, 0.25)"]) == (90.0, 98.0)


@pytest.mark.parametrize(
    ("means", "names", "first", "last"),
    [
        ("churn", ("high", "ordinary", "low"), "high", "low"),
        ("conversion", ("high", "potential", "ordinary", "low"), "high", "low"),
    ],
)
def test_a_labelled_table_is_graded_by_its_label(
    connection: duckdb.DuckDBPyConnection, means: str, names: tuple[str, ...], first: str, last: str
) -> None:
    tiers = of(TierSettings(), "labelled", means)
    tier_of = placed(connection, tiers, tiers.measure(connection))
    assert (tiers.names, tier_of[0], tier_of[-1]) == (names, first, last)


def test_a_labelled_potential_is_ranked_among_all(connection: duckdb.DuckDBPyConnection) -> None:
    tiers = of(TierSettings(), "labelled", "conversion")
    assert tiers.measure(connection)["top(potential_score, 0.3)"] == 97.0


def test_without_a_potential_score_there_is_no_such_tier() -> None:
    known = {"clv": Kind.NUMBER}
    tiers = TierPolicy.of(TierSettings(), setting="contractual", columns=known)
    assert tiers.names == ("high", "ordinary", "low")


def test_a_company_has_tiers_of_its_own(connection: duckdb.DuckDBPyConnection) -> None:
    tiers = policy(
        [
            ("战略", "brings(clv, 0.5) and not vip"),
            ('it\'s "important"', "clv >= 50 or country in ('FR')"),
            ("ordinary", "clv >= 20"),
            ("watch", None),
        ]
    )
    expected = ["watch", *["ordinary"] * 3, *['it\'s "important"'] * 2, *["战略"] * 4]
    assert placed(connection, tiers, tiers.measure(connection)) == expected


def test_a_policy_survives_as_plain_data() -> None:
    tiers = policy([("a", "top(clv, 0.2) and vip"), ("b", None)], Flow(tier="a", when="vip", reason="is one"))
    restored = TierPolicy.from_json(json.loads(json.dumps(tiers.to_json())))
    assert restored == tiers
    assert restored.columns == ("clv", "vip")


def test_what_travels_is_parsed_again() -> None:
    plain = of().to_json()
    plain["levels"][0]["when"] = "clv > (select 1)"
    with pytest.raises(InputError, match="cannot stand in a condition"):
        TierPolicy.from_json(plain)


TENURED = [("high", "clv >= 100"), ("middle", "clv >= 50"), ("low", None)]


@pytest.mark.parametrize(
    ("before", "clv", "stays"),
    [
        ("high", 90.0, True),
        ("high", 89.9, False),
        ("middle", 45.0, True),
        ("middle", 44.9, False),
        ("middle", 99.9, True),
        ("middle", 100.0, False),
        ("low", 49.9, True),
        ("low", 50.0, False),
        ("low", None, True),
        ("high", None, False),
        ("gold", 100.0, False),
        (None, 100.0, False),
    ],
)
def test_who_is_in_a_tier_stays_a_little_longer(before: str | None, clv: float | None, stays: bool) -> None:
    keep = policy(TENURED).keep_sql({})
    for engine in (duckdb.connect(), sqlite3.connect(":memory:")):
        query = f'SELECT {keep} FROM (SELECT CAST(? AS TEXT) AS previous_tier, CAST(? AS REAL) AS "clv") AS s'
        (answer,) = engine.execute(query, [before, clv]).fetchone()
        engine.close()
        assert bool(answer) is stays


def test_no_hysteresis_keeps_whom_the_condition_itself_keeps() -> None:
    tiers = policy([("a", "top(clv, 0.2)"), ("b", None)], hysteresis=0.0)
    assert [cut.key for cut in tiers.cuts] == ["top(clv, 0.2)"]
    assert [cut.key for cut in policy([("a", "top(clv, 0.2)"), ("b", None)]).cuts] == [
        "top(clv, 0.2)",
        "top(clv, 0.22)",
    ]


def test_the_first_flow_that_holds_is_told_by_its_number(connection: duckdb.DuckDBPyConnection) -> None:
    tiers = policy(TENURED, Flow(tier="low", when="vip", reason="x"), LARGE_SPEND)
    flows = connection.execute(f"SELECT {tiers.flow_sql({})} FROM subjects ORDER BY number").fetchall()
    assert [number for (number,) in flows] == [None, None, None, 1, *[None] * 6]
    assert policy(TENURED).flow_sql({}) == "CAST(NULL AS INTEGER)"


VALUE = st.one_of(st.none(), st.floats(0, 100))
CUSTOMERS = st.lists(
    st.tuples(VALUE, VALUE, st.one_of(st.none(), st.floats(0, 9000))), min_size=1, max_size=15
)
Customers = list[tuple[float | None, float | None, float | None]]


@pytest.fixture(scope="module")
def engines() -> Iterator[list[Any]]:
    with duckdb.connect() as batch, sqlite3.connect(":memory:") as live:
        yield [batch, live]
    live.close()


def load(engine: Any, customers: Customers) -> None:
    written = [["NULL" if value is None else f"{value!r}" for value in customer] for customer in customers]
    rows = ", ".join(f"({number}, {', '.join(row)})" for number, row in enumerate(written))
    engine.execute("DROP TABLE IF EXISTS subjects")
    engine.execute("CREATE TABLE subjects (number INT, clv DOUBLE, potential_score DOUBLE, spend_30d DOUBLE)")
    engine.execute(f"INSERT INTO subjects VALUES {rows}")


@settings(max_examples=20, deadline=None)
@given(customers=CUSTOMERS)
def test_everybody_is_in_one_tier_and_both_engines_agree_on_which(
    engines: list[Any], customers: Customers
) -> None:
    tiers, (batch, live) = of(), engines
    for engine in engines:
        load(engine, customers)
    cuts = tiers.measure(batch)
    assert cuts.keys() == {cut.key for cut in tiers.cuts}
    names = placed(batch, tiers, cuts)
    assert names == placed(live, tiers, cuts)
    assert set(names) <= set(tiers.names)


@settings(max_examples=20, deadline=None)
@given(customers=CUSTOMERS)
def test_who_is_placed_in_a_tier_would_stay_there(engines: list[Any], customers: Customers) -> None:
    tiers, batch = of(TierSettings()), engines[0]
    load(batch, customers)
    cuts = tiers.measure(batch)
    before = f"SELECT *, {tiers.place_sql(cuts)} AS previous_tier FROM subjects"
    kept = f"SELECT bool_and({tiers.keep_sql(cuts)}) FROM ({before})"
    assert batch.execute(kept).fetchall() == [(True,)]


def test_the_classes_are_those_that_the_rules_tell() -> None:
    rhythm = Rhythm(lapsing_days=60, lost_days=180)
    told = {
        "lifecycle_stage": stage_sql(rhythm, established_orders=3),
        "loyalty_tier": loyalty_sql(rhythm, established_orders=3),
    }
    for name, sql in told.items():
        assert set(re.findall(r"(?:THEN|ELSE) '(\w+)'", sql)) == set(CLASSES[name])
    assert set(CLASSES["need"]) == set(NEEDS)


def test_a_class_that_does_not_exist_is_told() -> None:
    with pytest.raises(InputError, match=r"lifecycle_stage is never 'lapsed'; did you mean 'lapsing'\?$"):
        policy([("a", "clv > 5 and lifecycle_stage not in ('lost', 'lapsed')"), ("b", None)])


def test_all_classes_there_are_leave_nobody() -> None:
    stages = CLASSES["lifecycle_stage"]
    assert policy(
        [
            ("new", f"lifecycle_stage in {stages[:2]}"),
            ("old", f"lifecycle_stage in {stages[2:]} or lifecycle_stage is null"),
        ]
    )


def test_a_tier_that_is_none_cannot_be_led_to() -> None:
    with pytest.raises(
        InputError, match=r"^tiers\.flows\.0\.tier: there is no tier 'hihg'; did you mean 'high'\?$"
    ):
        policy(TENURED, Flow(tier="hihg", when="vip", reason="x"))


@pytest.mark.parametrize("name", ["days_in_tier", "Flow"])
def test_no_tier_reads_an_attribute_that_is_called_as_what_tiers_are_told_from(name: str) -> None:
    levels = (Level(name="high", when=f"{name} > 3"), Level(name="low", when=None))
    with pytest.raises(InputError, match=f"^tiers: a condition names the attribute '{name}', but .* rename"):
        TierPolicy.of(TierSettings(levels=levels), setting="transactional", columns={name: Kind.NUMBER})
