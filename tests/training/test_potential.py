import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from features.batch import put_on_spine, workplace
from features.configuration import Configuration
from features.contract import CUSTOMERS
from features.instants import Cutoff, micros
from features.staging import stage
from models.bundle import Bundle
from models.estimator import columns_of
from models.live_forecaster import LiveForecaster
from models.tree_forecaster import TreeForecaster
from training.potential import IMPLIED, SPENDERS, TAUGHT, PotentialOutcome, PotentialTrial
from training.prospects import first_order
from training.recipes import TREES
from training.shop import Shop, simulate_shop
from training.train import SEED, Lesson, lesson_of

DAYS, HORIZON = 540, 60
TOML = """
[project]
name = "shop"
[sources.orders]
path = "orders/*.parquet"
[sources.orders.exclude]
product_id = ["POST"]
[sources.customers]
path = "customers.csv"
fixed = ["region", "age_group"]
[sources.interactions]
path = "interactions.parquet"
[forecast]
horizon_days = 60
"""


@pytest.fixture(scope="module")
def shop() -> Shop:
    """A simulated shop, and beside its customers six hundred who look around first; who visits often buys."""
    shop, rng = simulate_shop(customers=1000, days=DAYS), np.random.default_rng(1)
    visits, orders = [], []
    for number, begun in enumerate(rng.integers(0, DAYS - 120, 600)):
        often, who = bool(number % 2), f"P{number}"
        days = begun + np.arange(0, 90, 9 if often else 60)
        visits += [(who, shop.start + pd.Timedelta(days=int(day), hours=9)) for day in days]
        if often and rng.random() < 0.7:
            orders += [(who, shop.start + pd.Timedelta(days=int(begun + rng.integers(30, 120)), hours=12))]
    looked = pd.DataFrame(visits, columns=["customer_id", "occurred_at"]).assign(kind="visit", channel="web")
    bought = pd.DataFrame(orders, columns=["customer_id", "ordered_at"])
    bought = bought.assign(order_id=bought["customer_id"], product_id="P001", quantity=1, amount=20.0)
    bought["ingested_at"] = bought["ordered_at"]
    return replace(
        shop,
        interactions=pd.concat([shop.interactions, looked], ignore_index=True),
        orders=pd.concat([shop.orders, bought], ignore_index=True),
    )


@pytest.fixture(scope="module")
def lesson(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lesson]:
    folder = tmp_path_factory.mktemp("shop")
    shop.write(folder)
    (folder / "tierwise.toml").write_text(TOML)
    configuration = Configuration.read(folder / "tierwise.toml", environ={})
    with workplace(configuration.project.workspace) as connection:
        stage(configuration, connection)
        yield lesson_of(configuration, connection, shop.end.to_pydatetime())


@pytest.fixture(scope="module")
def origin(lesson: Lesson) -> datetime:
    return lesson.as_of - timedelta(days=HORIZON)


@pytest.fixture(scope="module")
def taught(lesson: Lesson, origin: datetime) -> tuple[TreeForecaster, PotentialTrial]:
    trial = PotentialTrial(lesson.history, lesson.as_of, SEED)
    forecaster = TreeForecaster(horizon_days=HORIZON, rounds=40)
    forecaster.fit(*lesson.history.lesson(origin, share=1.0))
    trial.watch(origin, TREES, forecaster)
    return forecaster, trial


@pytest.fixture(scope="module")
def outcome(taught: tuple[TreeForecaster, PotentialTrial]) -> PotentialOutcome:
    return taught[1].outcome(taught[0])


def test_the_cut_point_is_the_value_of_the_top_fifth_before_the_snapshot(
    lesson: Lesson, origin: datetime
) -> None:
    history, features = lesson.history, lesson.history.snapshot(origin)
    assert history.cut(origin) == pytest.approx(np.quantile(features["spend_60d"], 0.8), rel=0.02)
    assert history.cut(lesson.as_of) != history.cut(origin)


def test_the_potential_is_calibrated_on_a_simulated_shop(outcome: PotentialOutcome) -> None:
    assert outcome.evaluation is not None
    table = outcome.evaluation.table.set_index(["model", "metric"])["estimate"]
    for model in (TAUGHT, IMPLIED):
        assert table[model, "calibration_error"] < 0.05
        assert table[model, "auc"] > table[SPENDERS, "auc"] + 0.02
        assert table[model, "top_decile_share"] > table[SPENDERS, "top_decile_share"]


def test_the_forecast_alone_serves_where_trees_lose(outcome: PotentialOutcome) -> None:
    assert outcome.evaluation is not None
    losses = outcome.evaluation.table.set_index(["model", "metric"])["estimate"]
    facts = outcome.facts()["potential"]
    worse = losses[TAUGHT, "log_loss"] > losses[IMPLIED, "log_loss"]
    assert facts["serves"] == (IMPLIED if worse else TAUGHT)
    assert (outcome.potential.booster_ is None) == worse
    assert set(facts["measures"]) == {"auc", "log_loss", "calibration_error", "lift"}
    assert facts["measures"]["lift"] > 1.5
    judged, *told = facts["remark"].splitlines()
    assert judged.startswith(f"{facts['serves']} serves, ")
    assert [line.partition("AUC")[0].strip() for line in told] == [TAUGHT, IMPLIED, SPENDERS]


def test_prospects_who_visited_lately_are_likelier_to_buy(outcome: PotentialOutcome) -> None:
    first = outcome.potential.first_order_
    assert first is not None
    assert first.auc_ is not None
    assert first.auc_ > 0.7
    assert {"visit_90d", "visit_days_since"} <= set(first.names_)
    assert not {"orders_all", "spend_all", "as_of_day"} & set(first.names_)
    told = {"visit_7d": 1.0, "visit_30d": 3.0, "visit_90d": 5.0, "visit_365d": 5.0, "visit_all": 5.0}
    columns = {name: np.array([told.get(name, 0.0), 0.0, np.nan]) for name in first.names_}
    columns["visit_days_since"] = np.array([3.0, 400.0, np.nan])
    lately, long_ago, unknown = first.chance(columns)
    assert lately > 2 * long_ago
    assert np.isnan(unknown)


def test_nothing_later_changes_what_prospects_and_cut_points_are_taught(
    lesson: Lesson, origin: datetime
) -> None:
    def told() -> tuple[float, str]:
        history = replace(lesson.history)
        first = first_order(history, as_of=origin, seed=SEED)
        assert first is not None
        return history.cut(origin), json.dumps(first.state())

    before, connection, at = told(), lesson.history.connection, micros(origin)
    connection.execute("BEGIN")
    for table, clock in (("orders", "ordered_at"), ("interactions", "occurred_at")):
        gone = connection.execute(f"DELETE FROM {table} WHERE {clock} >= {at} OR ingested_at > {at}")
        assert gone.fetchall()[0][0] > 100
    assert told() == before
    connection.execute("ROLLBACK")


def test_live_requests_are_scored_as_everybody_is(
    lesson: Lesson, taught: tuple[TreeForecaster, PotentialTrial], outcome: PotentialOutcome
) -> None:
    history, connection, cutoff = lesson.history, lesson.history.connection, Cutoff.at(lesson.as_of, "UTC")
    bundle = Bundle.of(taught[0], history.plan, training={}, potential=outcome.potential)
    some = ["K000001", "K000007", "K000020", "P598", "P2", "P1"]
    put_on_spine(connection, f"SELECT unnest({some}) AS customer_id", cutoff)
    rows = connection.execute(f"{bundle.steps('duckdb')['features']} ORDER BY customer_id").df()
    columns = columns_of(rows[bundle.feature_names])
    ordered = ~np.isnan(columns["orders_all"])
    outputs = taught[0].forecast({name: values[ordered] for name, values in columns.items()})
    told = outcome.potential.score(columns, outputs, cut=30.0)
    assert (~ordered).any()
    assert not np.isnan(told).any()
    live = LiveForecaster(bundle)
    attributes = ", ".join(name for name in (*CUSTOMERS.staged, *history.plan.attribute_names))
    for customer, score in zip(rows["customer_id"], told, strict=True):
        own = {
            name: connection.execute(
                f"SELECT {columns} FROM {name} WHERE customer_id = ?", [customer]
            ).fetchall()
            for name, columns in (("orders", "*"), ("interactions", "*"), ("customers", attributes))
        }
        found = live.forecast_of(live.features(own, customer_id=customer, cutoff=cutoff), cut=30.0)
        assert found is not None
        assert found["potential_score"] == pytest.approx(score, rel=1e-9)
