import numpy as np
import pyarrow as pa
import pytest

from features.contract import Kind
from features.silence import Rhythm
from features.tier_settings import Level, TierSettings
from models.bundle import TRANSITIONS, Bundle, as_json
from models.placement import Placement
from models.tiers import TierPolicy
from models.transitions import Transitions
from serving.expectation import expected_transitions

BEFORE = np.array(["good"] * 50 + ["poor"] * 150, dtype=object)
AFTER = np.array(["good"] * 40 + ["poor"] * 160, dtype=object)
ALIKE = {"clv": np.full(200, 9.0), "churn_risk": np.full(200, 0.5)}
SCORES = pa.table(
    {"clv": [9.0, 9.0, None], "churn_risk": [0.5, 0.5, None], "potential_score": [1.0, 2.0, 3.0]}
)
PLACED = pa.table({"value_tier": ["good", "poor", "poor"]})


def rules(*, share: float) -> Placement:
    levels = (Level(name="good", when=f"top(clv, {share})"), Level(name="poor"))
    settings = TierSettings(levels=levels)
    policy = TierPolicy.of(settings, setting="transactional", columns={"clv": Kind.NUMBER})
    return Placement("transactional", 90, 3, 28, Rhythm(60, 120), policy, {})


def bundle() -> Bundle:
    taught = Transitions().fit(ALIKE, BEFORE, AFTER, policy=rules(share=0.25).policy)
    return Bundle({TRANSITIONS: as_json(taught.state())})


def test_a_run_tells_where_its_customers_are_expected() -> None:
    told = expected_transitions(bundle(), SCORES, PLACED, rules(share=0.25))
    assert told is not None
    assert (told["horizon_days"], told["tiers"]) == (90, ["good", "poor"])
    assert told["rows"][0] == pytest.approx([0.8, 0.2], abs=0.001)
    assert told["rows"][1] == pytest.approx([0.0, 1.0], abs=0.01)


def test_moves_between_tiers_that_are_no_more_tell_nothing() -> None:
    assert expected_transitions(bundle(), SCORES, PLACED, rules(share=0.3)) is None


def test_a_model_without_a_period_to_learn_from_expects_nothing() -> None:
    assert expected_transitions(Bundle({}), SCORES, PLACED, rules(share=0.25)) is None
