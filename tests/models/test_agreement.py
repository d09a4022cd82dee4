from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from features.attributes import Attribute
from features.configuration import Configuration
from features.contract import Kind
from features.plan import FeaturePlan
from models.agreement import disagreement

TRAINED = {
    "setting": "transactional",
    "currency": "EUR",
    "time_zone": "UTC",
    "horizon_days": 90,
    "clv_days": 365,
    "discount_rate": 0.1,
    "value": "revenue",
}


@pytest.fixture
def told(tmp_path: Path) -> Any:
    """Tell what a bundle that forecasts from the gender disagrees about with a configuration."""
    plan = FeaturePlan(horizon_days=90, attributes=(Attribute("gender", Kind.TEXT),))
    bundle: Any = SimpleNamespace(training=TRAINED, plan=lambda: plan)

    def tell(text: str) -> str | None:
        (tmp_path / "tierwise.toml").write_text(text)
        return disagreement(bundle, Configuration.read(tmp_path / "tierwise.toml", environ={}))

    return tell


def test_a_bundle_agrees_with_what_it_was_trained_with(told: Any) -> None:
    assert told("") is None


def test_another_question_is_told(told: Any) -> None:
    assert told("[forecast]\nhorizon_days = 30") == (
        "was trained with forecast.horizon_days = 90, and the configuration says 30"
    )


def test_a_feature_that_is_protected_since_is_told(told: Any) -> None:
    protected = '[tiers.fairness]\nattributes = ["gender"]\n'
    assert told(protected) == "forecasts from 'gender', which is protected by tiers.fairness.attributes"
    assert told(protected + "may_be_features = true") is None
