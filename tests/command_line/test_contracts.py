import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tierwise
from models.bundle import Bundle
from serving.customer_history import CustomerHistory
from serving.peers import Peers
from serving.prediction import Predictor
from serving.trial import try_golden_histories
from training.registry import Registry
from training.subscriptions import Subscriptions, simulate_subscriptions

Run = Callable[..., Any]
AS_OF = "2024-05-01"
BY_THEN = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def business() -> Subscriptions:
    """A business of sixteen months."""
    return simulate_subscriptions(customers=150, days=486, seed=3)


@pytest.fixture(scope="module")
def trained(business: Subscriptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of the business with a champion."""
    folder = tmp_path_factory.mktemp("subscriptions")
    business.write(folder)
    tierwise.train(folder / "tierwise.toml", as_of=AS_OF)
    return folder / "tierwise.toml"


@pytest.fixture(scope="module")
def bundle(trained: Path) -> Bundle:
    registry = Registry.open(trained.parent / ".tierwise", project="simulated subscriptions")
    return Bundle.read(registry.fetch(registry.find("champion").version))


@pytest.fixture(scope="module")
def scores(trained: Path) -> pd.DataFrame:
    out = trained.parent / "scores.parquet"
    tierwise.score(trained, as_of=AS_OF, out=out, curves=trained.parent / "curves.parquet")
    return pd.read_parquet(out).set_index("customer_id")


def test_running_contracts_have_a_risk_and_a_value_and_ended_ones_have_left(
    business: Subscriptions, scores: pd.DataFrame
) -> None:
    known = business.contracts[business.contracts["started_at"] < AS_OF]
    assert set(scores.index) == set(known["customer_id"])
    last = known.sort_values("started_at").groupby("customer_id").tail(1).set_index("customer_id")
    left = last["ended_at"] < pd.Timestamp("2024-04-30", tz="UTC")
    running, gone = scores.loc[left.index[~left]], scores.loc[left.index[left]]
    assert len(running) > 50
    assert running["churn_risk"].between(0, 1, inclusive="neither").all()
    assert (running["expected_value"] > 0).all()
    assert (running["value_low"] <= running["expected_value"]).all()
    assert (running["expected_value"] <= running["value_high"]).all()
    assert (running["clv"] > running["expected_value"]).all()
    assert gone["churn_risk"].eq(1).all()
    assert gone[["expected_value", "value_high", "clv"]].eq(0).all(axis=None)
    assert gone["reasons"].isna().all()
    assert running["reasons"].str.len().min() >= 0
    assert (scores["historic_value"] >= 0).all()
    assert scores[["expected_orders", "next_order_date", "potential_score"]].isna().all(axis=None)
    assert set(scores["setting"]) == {"contractual"}


def test_curves_rise_with_the_days_and_meet_the_scores(trained: Path, scores: pd.DataFrame) -> None:
    curves = pd.read_parquet(trained.parent / "curves.parquet")
    wide = curves.pivot_table(index="customer_id", columns="days", values="churn_risk")
    assert (wide.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    assert wide[90].to_numpy() == pytest.approx(scores.loc[wide.index, "churn_risk"].to_numpy())
    assert curves["expected_orders"].isna().all()


def test_a_live_request_answers_as_the_run_did(
    business: Subscriptions, bundle: Bundle, scores: pd.DataFrame
) -> None:
    predictor = Predictor(bundle, model_version="1")
    for customer_id in scores.index[:40]:
        body = {"as_of": AS_OF, "customer": {"customer_id": customer_id}}
        tables = {
            "contracts": business.contracts,
            "interactions": business.interactions,
            "feedback": business.feedback,
        }
        for name, table in tables.items():
            own = table[table["customer_id"] == customer_id].drop(columns="customer_id")
            body[name] = json.loads(own.to_json(orient="records", date_format="iso"))
        history = CustomerHistory.model_validate_json(json.dumps(body))
        row = predictor.row(history, now=BY_THEN, peers=Peers(np.array([0.5])), reasons=True)
        batch = scores.loc[customer_id]
        for name in ("churn_risk", "expected_value", "value_low", "clv", "historic_value"):
            assert row[name] == pytest.approx(batch[name], rel=1e-9), name
        assert row["confidence"] == batch["confidence"]
        assert row["reasons"] == (None if batch["reasons"] is None else list(batch["reasons"]))
        assert row["value_basis"] == "revenue"


def test_a_customer_without_a_contract_has_no_forecast(bundle: Bundle) -> None:
    history = CustomerHistory.model_validate_json('{"customer": {"customer_id": "new"}}')
    row = Predictor(bundle, model_version="1").row(history, now=BY_THEN, peers=Peers(np.array([0.5])))
    assert row["churn_risk"] is None
    assert row["confidence"] is None


def test_the_golden_histories_hold(bundle: Bundle) -> None:
    try_golden_histories(bundle, Path())


def test_the_same_contracts_make_the_same_bundle(trained: Path, run: Run) -> None:
    again = run("train", "-c", trained, "--as-of", AS_OF)
    assert "is champion: it is the same bundle as before" in again.out


def test_check_tells_what_there_is_to_learn_from(trained: Path, run: Run) -> None:
    told = run("check", "-c", trained)
    assert told.code == 0
    assert "contract periods of 150 customers since 2023-01-" in told.out


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["train", "--as-of", "2022-01-01"], "no contract runs at 2022-01-01"),
        (
            ["train", "--as-of", "2023-01-20"],
            "contracts are known for less than two months before 2023-01-20",
        ),
        (["score", "--as-of", "2022-01-01"], "nobody is known before this as_of"),
        (["train", "--set", "sources.contracts.fee_per=day"], "sources.contracts.fee_per"),
        (["train", "--set", "forecast.value=margin"], "fees have no costs, so set it to 'revenue'"),
    ],
)
def test_a_wrong_request_is_refused_in_a_sentence(
    trained: Path, run: Run, command: list[str], says: str
) -> None:
    run(*command, "-c", trained).assert_refused(says)


def small_business(folder: Path, contracts: pd.DataFrame) -> Path:
    contracts.to_csv(folder / "contracts.csv", index=False)
    file = folder / "tierwise.toml"
    file.write_text(
        '[project]\nname = "small"\nsetting = "contractual"\n[sources.contracts]\npath = "contracts.csv"\n'
        "[forecast]\nhorizon_days = 30\n"
    )
    return file


def contracts(rows: int = 40) -> pd.DataFrame:
    started = pd.Timestamp("2023-01-01") + pd.to_timedelta(np.arange(rows) * 5, unit="D")
    return pd.DataFrame({"customer_id": [f"c{n}" for n in range(rows)], "started_at": started, "fee": 10.0})


def train_and_score(file: Path, as_of: str) -> pd.DataFrame:
    tierwise.train(file, as_of=as_of)
    tierwise.score(file, as_of=as_of, out=file.parent / "scores.parquet")
    return pd.read_parquet(file.parent / "scores.parquet").set_index("customer_id")


def test_nobody_ever_left(tmp_path: Path) -> None:
    told = train_and_score(small_business(tmp_path, contracts()), "2023-08-01")
    assert told["churn_risk"].between(0, 0.2, inclusive="neither").all()


def test_where_everybody_leaves_at_an_age_that_age_tells_and_there_is_no_fee(tmp_path: Path) -> None:
    table = contracts().drop(columns="fee")
    table["ended_at"] = table["started_at"] + pd.Timedelta(days=40)
    told = train_and_score(small_business(tmp_path, table), "2023-07-01")
    running = told["churn_risk"] < 1
    assert running.sum() == 9
    leaves = table.set_index("customer_id")["ended_at"] < pd.Timestamp("2023-07-30")
    leaves = leaves[told.index]
    assert told.loc[leaves, "churn_risk"].min() > told.loc[~leaves, "churn_risk"].max()
    assert told.loc[running, ["expected_value", "clv", "historic_value"]].isna().all(axis=None)


def test_a_contract_that_ends_before_it_starts_is_quarantined(tmp_path: Path, run: Run) -> None:
    table = contracts()
    table["ended_at"] = pd.NaT
    table.loc[0, "ended_at"] = pd.Timestamp("2022-12-01")
    table["renews_at"] = table["started_at"]
    file = small_business(tmp_path, table)
    assert run("check", "-c", file).code == 0
    kept = pd.read_parquet(tmp_path / ".tierwise" / "quarantine" / "contracts.parquet")
    assert kept["reason"].tolist() == ["ended_at is before started_at"]
    report = json.loads((tmp_path / ".tierwise" / "data_quality.json").read_text())
    assert "is not after started_at" in json.dumps(report)
