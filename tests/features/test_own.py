import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.configuration import Configuration
from features.errors import InputError
from features.own import ENGINES, OwnFeature
from features.own_sources import read_own
from features.plan import FeaturePlan

AS_OF = "2024-03-01"
ORDERS = [
    {"ordered_at": "2024-01-06T10:00", "amount": 30, "quantity": 2, "channel": "web"},  # a Saturday
    {"ordered_at": "2024-01-06T10:00", "amount": 0.5, "quantity": 1, "channel": "shop"},
    {"ordered_at": "2024-02-06T10:00", "amount": 10, "quantity": 3, "channel": "shop"},
    {"ordered_at": "2024-02-20T10:00", "amount": 59.5, "quantity": 1, "channel": "web"},
]
LATER = [
    {"ordered_at": "2024-03-01T00:00", "amount": 900, "quantity": 9, "channel": "web"},
    {"ordered_at": "2024-02-01T00:00", "ingested_at": "2024-03-02", "amount": 900, "channel": "web"},
]


def weekend_spend_share(days: Any) -> Any:
    return (days.weekday >= 5).ifelse(days.spend, 0).sum() / days.spend.sum()


def shortest_gap_half_year(days: Any) -> Any:
    return (days.age <= 180).ifelse(days.gap, None).min()


def web_lines(lines: Any) -> Any:
    return (lines.channel == "web").sum()


def spend_per_refund(lines: Any) -> Any:
    return lines.amount.sum() / lines.is_return.sum()


def planned(*own: OwnFeature) -> FeaturePlan:
    return FeaturePlan(horizon_days=90, own=own)


FUNCTIONS = planned(
    *map(OwnFeature.of_function, (weekend_spend_share, shortest_gap_half_year, web_lines, spend_per_refund))
)
TEXTS = planned(
    OwnFeature.of_sql("largest_spend", "select max(spend) from days"),
    OwnFeature.of_sql("web_share", "select count(*) filter (where channel = 'web') / count(*) from lines"),
    OwnFeature.of_sql("dear_lines", "select count(*) from lines where amount / quantity > 20"),
    OwnFeature.of_sql("gold_lines", "select count(*) from lines where channel = 'gold'"),
    OwnFeature.of_sql("half_units", "select (max(units // 2) + 4) // 2 from days d where d.age < 400"),
    OwnFeature.of_sql(
        "spend_lately",
        "select sum(amount) filter (where age > 0) / count(*) from lines where age < 30 and 1 / age > 0",
    ),
    OwnFeature.of_sql("per_refund", "select sum(amount) / sum(is_return) from lines"),
)


def test_a_function_makes_the_same_feature_on_every_engine(engine: Any) -> None:
    row = engine(FUNCTIONS, as_of=AS_OF, orders=ORDERS)
    assert row["weekend_spend_share"] == pytest.approx(0.305)
    assert row["shortest_gap_half_year"] == 14
    assert row["web_lines"] == 2
    assert row["spend_per_refund"] is None


def test_a_text_makes_the_same_feature_on_every_engine(engine: Any) -> None:
    row = engine(TEXTS, as_of=AS_OF, orders=ORDERS)
    wanted = {"largest_spend": 59.5, "web_share": 0.5, "dear_lines": 1, "gold_lines": 0, "per_refund": None}
    wanted |= {"spend_lately": 34.75, "half_units": 2}
    assert {name: row[name] for name in wanted} == wanted


def test_own_features_see_nothing_of_the_future(engine: Any) -> None:
    for plan in (FUNCTIONS, TEXTS):
        known = engine(plan, as_of=AS_OF, orders=ORDERS)
        assert engine(plan, as_of=AS_OF, orders=ORDERS + LATER) == known


def test_own_features_leave_the_others_as_they_are(batch: Any) -> None:
    row = batch(FUNCTIONS, as_of=AS_OF, orders=ORDERS)
    without = batch(FeaturePlan(horizon_days=90), as_of=AS_OF, orders=ORDERS)
    assert {name: row[name] for name in without} == without
    assert list(row) == [*without, *(each.name for each in FUNCTIONS.own)]


def test_a_customer_without_orders_has_no_value(engine: Any) -> None:
    row = engine(FUNCTIONS, as_of=AS_OF, orders=LATER)
    assert row["web_lines"] is None


def test_a_plan_carries_its_own_features_as_plain_data() -> None:
    plan = FeaturePlan.from_json(json.loads(json.dumps(FUNCTIONS.to_json())))
    assert plan == FUNCTIONS
    assert plan.sql() == FUNCTIONS.sql()
    assert set(plan.own[0].texts) == set(ENGINES)


def misspelt(days: Any) -> Any:
    return days.spent.max()


def a_column(days: Any) -> Any:
    return days.spend


def a_text(lines: Any) -> Any:
    return lines.category.max()


def a_median(days: Any) -> Any:
    return days.spend.median()


def a_deviation(days: Any) -> Any:
    return days.spend.std()


def about_orders(orders: Any) -> Any:
    return orders.count()


def broken(_days: Any, days: Any) -> Any:
    return days.count()


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (misspelt, "days has no column 'spent'; did you mean 'spend'"),
        (a_column, "returns a column, not an aggregate"),
        (a_text, "returns a string, and a feature is a number"),
        (a_median, "cannot be compiled for sqlite"),
        (a_deviation, "SQLite, which answers live requests, cannot run it"),
        (about_orders, r"takes \(orders\); let it take \(days\)"),
        (broken, r"takes \(_days, days\)"),
    ],
)
def test_a_function_that_is_no_feature_is_refused(function: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(InputError, match=f"the feature function {function.__name__}.*{said}"):
        OwnFeature.of_function(function)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("select max(spent) from days", "days has no column 'spent'; did you mean 'spend'"),
        ("select spend from days", "is not an aggregate"),
        ("select max(spend) + gap from days", "is not an aggregate"),
        ("select max(spend), 1 from days", "is not 'select AGGREGATE from days'"),
        ("select max(amount) from orders", "is not 'select AGGREGATE from days'"),
        ("select max(spend) from days join lines using (day)", "is not 'select AGGREGATE from days'"),
        ("select max(spend) from days group by day", "is not 'select AGGREGATE from days'"),
        ("select max(channel) from lines", "is of type VARCHAR"),
        ("select median(spend) from days", "SQLite, which answers live requests, cannot run it"),
        ("select max(spend)) from days", "is no SQL"),
    ],
)
def test_a_text_that_is_no_feature_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=f"features.sql.mine = .*{said}"):
        OwnFeature.of_sql("mine", text)


@pytest.mark.parametrize("name", ["as_of", "My share", "process_alive", "2nd"])
def test_a_name_that_cannot_be_a_column_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a feature"):
        OwnFeature.of_sql(name, "select max(spend) from days")


def test_a_feature_that_is_there_already_is_refused() -> None:
    with pytest.raises(InputError, match=r"two features are named 'orders_30d'.*own feature"):
        planned(OwnFeature.of_sql("orders_30d", "select max(spend) from days")).names()


MODULE = """
import math

def _helper(days):
    return days.spend

def highest(days):
    return _helper(days).max()

def lines_seen(lines):
    return lines.count()
"""


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Configuration]:
    def write(toml: str, module: str = MODULE) -> Configuration:
        (tmp_path / "mine.py").write_text(module)
        (tmp_path / "tierwise.toml").write_text(toml)
        return Configuration.read(tmp_path / "tierwise.toml", environ={})

    return write


def test_features_come_from_the_module_the_notebook_and_the_texts(configured: Any) -> None:
    toml = '[features]\nmodule = "mine.py"\n[features.sql]\nlowest = "select min(spend) from days"'
    names = [each.name for each in read_own(configured(toml), [web_lines])]
    assert names == ["highest", "lines_seen", "web_lines", "lowest"]
    assert read_own(configured("")) == ()


@pytest.mark.parametrize(
    ("toml", "module", "said"),
    [
        ('[features]\nmodule = "gone.py"', "", "there is no file .*gone.py"),
        ('[features]\nmodule = "mine.py"', "1 / 0", "cannot be run: ZeroDivisionError"),
        ('[features]\nmodule = "mine.py"', "", "defines no function"),
        (
            '[features]\nmodule = "mine.py"\nsql.highest = "select max(spend) from days"',
            MODULE,
            "two of your own features are named 'highest'",
        ),
        ('[features]\nmodul = "mine.py"', "", "did you mean 'module'"),
    ],
)
def test_what_gives_no_features_is_refused(configured: Any, toml: str, module: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_own(configured(toml, module))
