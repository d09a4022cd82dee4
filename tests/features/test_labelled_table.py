from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from features.attributes import Attribute
from features.configuration import Configuration
from features.contract import Kind
from features.errors import InputError
from features.plan import FeaturePlan
from features.sources import CustomersSource
from features.staging import stage
from features.survey import plan_attributes

CONFIGURATION = """\
project.setting = "labelled"
[sources.customers]
path = "c.csv"
label = "left"
"""
SOURCE = CustomersSource(path="c.csv", label="left")
PLAN = FeaturePlan(
    horizon_days=90,
    attributes=(
        Attribute("Town", Kind.TEXT, ("Ulm", "Köln"), fixed=True),
        Attribute("visits", Kind.NUMBER, fixed=True),
        Attribute("vip", Kind.FLAG, fixed=True),
    ),
    reads_orders=False,
)
HEADER = "customer_id,visits,town,vip,left\n"


def table(*rows: str) -> str:
    return HEADER + "\n".join(rows) + "\n"


def kinds(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    described = connection.execute("DESCRIBE customers").fetchall()
    return {name: kind for name, kind, *_ in described if name not in {"joined_at", "valid_from"}}


def test_blanks_and_words_for_nothing_leave_a_column_of_numbers_one(staged: Callable[..., Any]) -> None:
    connection, _ = staged(CONFIGURATION, c_csv=table("a,1.5,Ulm,yes,No", "b, ,Ulm,no,Yes", "c,N/A,Köln,,No"))
    assert kinds(connection) == {
        "customer_id": "VARCHAR",
        "visits": "DOUBLE",
        "town": "VARCHAR",
        "vip": "BIGINT",
        "left": "VARCHAR",
    }
    assert connection.execute('SELECT visits, "left" FROM customers ORDER BY 1 NULLS LAST').fetchall() == [
        (1.5, "No"),
        (None, "Yes"),
        (None, "No"),
    ]


def test_a_few_customers_are_read_as_the_model_knows_them(staged: Callable[..., Any], tmp_path: Any) -> None:
    staged(CONFIGURATION, c_csv=table("a,,yes,1,No"))
    connection = duckdb.connect()
    known = (
        Attribute("visits", Kind.NUMBER),
        Attribute("town", Kind.TEXT, ("yes", "no", "perhaps")),
        Attribute("vip", Kind.FLAG),
    )
    stage(Configuration.read(tmp_path / "tierwise.toml", environ={}), connection, attributes=known)
    found = kinds(connection)
    assert (found["visits"], found["town"], found["vip"]) == ("DOUBLE", "VARCHAR", "BIGINT")


def test_a_text_where_the_model_knows_numbers_stays_text(staged: Callable[..., Any], tmp_path: Any) -> None:
    staged(CONFIGURATION, c_csv=table("a,many,Ulm,1,No"))
    connection = duckdb.connect()
    known = (Attribute("visits", Kind.NUMBER),)
    stage(Configuration.read(tmp_path / "tierwise.toml", environ={}), connection, attributes=known)
    assert kinds(connection)["visits"] == "VARCHAR"


def test_all_columns_but_the_outcome_are_features(staged: Callable[..., Any]) -> None:
    rows = [f"c{n},{n % 7},{'Ulm' if n % 3 else 'Köln'},yes,{'Yes' if n % 2 else 'No'}" for n in range(30)]
    connection, _ = staged(CONFIGURATION, c_csv=table(*rows))
    plan, notes = plan_attributes(connection, SOURCE, horizon_days=90)
    assert plan.attributes == (
        Attribute("visits", Kind.NUMBER, fixed=True),
        Attribute("town", Kind.TEXT, ("Ulm", "Köln"), fixed=True),
        Attribute("vip", Kind.FLAG, fixed=True),
    )
    assert (plan.reads_orders, notes) == (False, [])
    assert plan.names() == ["customer_visits", "customer_town", "customer_vip"]


def test_of_a_text_with_thousands_of_values_the_frequent_ones_are_told_apart(
    staged: Callable[..., Any],
) -> None:
    rows = [f"c{n},1,town {n if n % 2 else n % 8},note {n},No" for n in range(5000)]
    connection, _ = staged(CONFIGURATION, c_csv=table(*rows))
    plan, notes = plan_attributes(connection, SOURCE, horizon_days=90)
    assert plan.attributes[1].values == ("town 0", "town 2", "town 4", "town 6")
    assert notes == ["customers.vip is no feature: none of its 5,000 texts stands in 10 rows"]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (SOURCE.model_copy(update={"left_out": ("visit",)}), "no column 'visit'; did you mean 'visits'"),
        (
            SOURCE.model_copy(update={"left_out": ("visits", "town", "vip")}),
            "gives nothing to forecast from: there is no other column than the outcome",
        ),
    ],
)
def test_what_leaves_no_feature_is_refused(
    source: CustomersSource, sentence: str, staged: Callable[..., Any]
) -> None:
    connection, _ = staged(CONFIGURATION, c_csv=table("a,1,Ulm,yes,No"))
    with pytest.raises(InputError, match=sentence):
        plan_attributes(connection, source, horizon_days=90)


def test_features_are_the_attributes_alone_on_every_engine(engine: Any) -> None:
    customer = {"Town": "Köln", "visits": 4.5, "vip": 1}
    told = engine(PLAN, as_of="2024-06-01", customers=[customer])
    assert told == {"customer_town": 1.0, "customer_visits": 4.5, "customer_vip": 1.0}
    new = engine(PLAN, as_of="2024-06-01", customers=[customer | {"Town": "Rom", "visits": None}])
    assert new == {"customer_town": None, "customer_visits": None, "customer_vip": 1.0}


def test_a_plan_without_orders_comes_back_from_plain_data() -> None:
    assert FeaturePlan.from_json(PLAN.to_json()) == PLAN


def test_an_attribute_may_be_named_like_what_tables_of_events_derive(staged: Callable[..., Any]) -> None:
    connection, _ = staged(
        CONFIGURATION, c_csv="customer_id,day,line,ingested_at,left\na,5,7,x,No\na,6,7,x,Yes\n"
    )
    rows = connection.execute("SELECT day, line, ingested_at FROM customers").fetchall()
    assert rows == [(6.0, 7.0, "x")]
