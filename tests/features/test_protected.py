from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from features.attributes import Attribute
from features.configuration import Configuration
from features.contract import Kind
from features.errors import InputError
from features.instants import Cutoff, parse_as_of
from features.plan import FeaturePlan
from features.protected import feature_sources
from features.survey import plan_attributes, plan_features

CUTOFF = Cutoff.at(parse_as_of("2024-06-01"), "UTC")
KNOWN = FeaturePlan(
    horizon_days=30, attributes=(Attribute("gender", Kind.TEXT), Attribute("region", Kind.TEXT))
)
SHOP = """
[sources.orders]
path = "orders.csv"
[sources.customers]
path = "customers.csv"
fixed = ["gender", "region"]
[tiers.fairness]
attributes = ["gender"]
"""


def configured(tmp_path: Path, text: str = SHOP) -> Configuration:
    (tmp_path / "tierwise.toml").write_text(text)
    return Configuration.read(tmp_path / "tierwise.toml", environ={})


@pytest.fixture
def shop(fill: Callable[..., None]) -> Any:
    """A shop with one customer, whose gender and region are known."""
    with duckdb.connect() as connection:
        orders = [{"customer_id": "a", "ordered_at": "2024-01-01", "amount": 1.0}]
        customers = [{"customer_id": name, "gender": "f", "region": "north"} for name in "abcde"]
        fill(connection, KNOWN, orders=orders, customers=customers)
        yield connection


@pytest.mark.parametrize(
    ("more", "features"), [("", ["region"]), ("may_be_features = true", ["gender", "region"])]
)
def test_a_protected_attribute_is_a_feature_only_if_set_so(
    shop: Any, tmp_path: Path, more: str, features: list[str]
) -> None:
    sources = feature_sources(configured(tmp_path, SHOP + more), shop)
    plan = plan_features(shop, sources, horizon_days=30, cutoff=CUTOFF)
    assert list(plan.attribute_names) == features


def test_nor_is_it_one_in_a_labelled_table(shop: Any, tmp_path: Path) -> None:
    labelled = SHOP.replace('fixed = ["gender", "region"]', 'label = "outcome"')
    text = '[project]\nsetting = "labelled"\n' + labelled
    shop.execute("ALTER TABLE customers ADD COLUMN outcome VARCHAR")
    customers: Any = feature_sources(configured(tmp_path, text), shop)["customers"]
    plan, _ = plan_attributes(shop, customers, horizon_days=30)
    assert plan.attribute_names == ("region",)


def test_a_name_that_is_no_attribute_is_refused_with_the_nearest(shop: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'gendre' is no attribute of customers; did you mean 'gender'"):
        feature_sources(configured(tmp_path, SHOP.replace('["gender"]\n', '["gendre"]\n')), shop)


def test_without_customers_nothing_can_be_compared(shop: Any, tmp_path: Path) -> None:
    shop.execute("DROP TABLE customers")
    text = '[sources.orders]\npath = "orders.csv"\n[tiers.fairness]\nattributes = ["gender"]'
    with pytest.raises(InputError, match="there are none; bring them"):
        feature_sources(configured(tmp_path, text), shop)
