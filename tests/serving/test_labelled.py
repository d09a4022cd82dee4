from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.configuration import Configuration
from models.bundle import Bundle
from models.wording import told
from serving.customer_history import CustomerHistory
from serving.labelled import labelled_standing
from serving.peers import Peers
from serving.prediction import Predictor
from serving.problems import Problem
from serving.scoring import ScoringJob
from serving.store import Store
from serving.trial import try_golden_histories
from training.train import train

NOW = datetime(2024, 3, 1, tzinfo=UTC)
CONFIGURATION = """\
[project]
name = "club"
setting = "labelled"
[sources.customers]
path = "members.csv"
label = "left"
"""
Club = tuple[Configuration, Bundle, pd.DataFrame]


@pytest.fixture(scope="module")
def club(tmp_path_factory: pytest.TempPathFactory) -> Club:
    """A club of 100 members, some of them gone, and its model."""
    rng = np.random.default_rng(2)
    visits, vip = rng.poisson(4, 100), rng.choice(["yes", "no"], 100)
    left = rng.random(100) < 1 / (1 + np.exp(0.8 * (visits - 3)))
    town = rng.choice(["Ulm", "Köln"], 100)
    members = pd.DataFrame(
        {"customer_id": [f"m{n}" for n in range(100)], "visits": visits, "vip": vip, "town": town}
    )
    folder = tmp_path_factory.mktemp("club")
    members.assign(left=left).to_csv(folder / "members.csv", index=False)
    (folder / "tierwise.toml").write_text(CONFIGURATION)
    configuration = Configuration.read(folder / "tierwise.toml", environ={})
    train(configuration, as_of=NOW)
    (bundle,) = (folder / ".tierwise").glob("artifacts/*/artifacts/bundle")
    return configuration, Bundle.read(bundle), members


def asked(**customer: Any) -> CustomerHistory:
    return CustomerHistory.model_validate({"customer": customer, "as_of": NOW.isoformat()})


def test_a_request_with_nothing_but_the_customer_is_answered_as_the_run_was(
    club: Club, tmp_path: Path
) -> None:
    configuration, bundle, members = club
    with Store.open(tmp_path / "store.db") as store:
        run = ScoringJob(configuration, bundle, "1", store).run(as_of=NOW)
        peers = Peers.of(store.facts(run.run_id) or {})
        predictor = Predictor(bundle, model_version="1")
        for member in members[:20].to_dict("records"):
            customer = member | {"vip": member["vip"] == "yes"}
            live = predictor.row(asked(**customer), now=NOW, peers=peers, reasons=True)
            published = store.customer(str(member["customer_id"]))
            assert published is not None
            assert live.keys() == published.keys()
            published |= {"run_id": None, "tier_changed_at": None}
            published |= {"reasons": told(published["reasons"], "en")}
            for name, value in published.items():
                assert live[name] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)


def test_what_does_not_apply_is_null(club: Club) -> None:
    row = Predictor(club[1], model_version="1").row(
        asked(customer_id="new", visits=1, vip=False, town="Ulm"), now=NOW, peers=Peers(np.linspace(0, 1, 5))
    )
    given = {name for name, value in row.items() if value is not None}
    assert {"churn_risk", "churn_risk_percentile", "confidence"} <= given
    assert not {"expected_orders", "expected_value", "clv", "historic_value", "value_basis"} & given
    assert row["confidence"] == "A"


def test_the_less_is_known_the_lower_the_grade(club: Club) -> None:
    predictor = Predictor(club[1], model_version="1")
    grades = [
        predictor.row(asked(customer_id="new", **known), now=NOW, peers=Peers(np.array([])))["confidence"]
        for known in ({"visits": 1, "town": "Rom", "vip": True}, {"visits": 1}, {})
    ]
    assert grades == ["B", "C", "C"]


def test_a_value_of_another_kind_is_told(club: Club) -> None:
    with pytest.raises(Problem, match="is no number, as the model or a tier reads it"):
        Predictor(club[1], model_version="1").row(
            asked(customer_id="new", visits="many"), now=NOW, peers=Peers(np.array([]))
        )


def test_the_golden_customers_are_forecast_the_same(club: Club) -> None:
    try_golden_histories(club[1], Path("bundle"))
    assert len(club[1].golden()) == 50


def test_a_conversion_has_no_percentile_of_risk() -> None:
    standing = labelled_standing({"potential_score": 40.0, "known_share": 0.6}, np.array([]), was_judged=True)
    assert standing == {"churn_risk_percentile": None, "confidence": "B"}
