import json

import numpy as np
import pandas as pd
import pytest

from models.contract_baselines import LifeTable, OverallHazard, ShiftedBetaGeometric
from models.contract_estimator import ContractEstimator
from models.contract_forecaster import ContractForecaster
from models.person_periods import person_periods, risk_inputs

KINDS = (ContractForecaster, ShiftedBetaGeometric, LifeTable, OverallHazard)
SNAPSHOTS = 4


def business(customers: int = 600, *, ends: bool = True, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Snapshots every 30 days of contracts whose hazard triples with complaints; the last is the present."""
    rng = np.random.default_rng(seed)
    complains = np.repeat(rng.random(customers) < 0.3, SNAPSHOTS)
    rate = np.where(complains, 0.006, 0.002)
    size = customers * SNAPSHOTS
    left = rng.exponential(1 / rate) if ends else np.full(size, np.inf)
    day = np.tile(19_000 + 30 * np.arange(SNAPSHOTS), customers)
    frame = pd.DataFrame(
        {
            "as_of_day": day,
            "as_of_month": 1,
            "contract_runs": 1,
            "contract_age_days": rng.integers(1, 900, size),
            "contract_renewal_days": rng.integers(0, 30, size),
            "contract_term_days": 30,
            "fee": 30.0,
            "complaints": complains.astype(float),
        },
        index=pd.Index(np.repeat([f"c{number}" for number in range(customers)], SNAPSHOTS)),
    ).astype(float)
    known = 19_000 + 30 * (SNAPSHOTS - 1) - day
    labels = {}
    for knot in ContractForecaster(fee_days=30, horizon_days=60).knots:
        is_known = known >= knot
        labels[f"ended_{knot}"] = np.where(is_known, left < knot, np.nan)
        labels[f"value_{knot}"] = np.where(is_known, np.minimum(left, knot), np.nan)
    return frame, pd.DataFrame(labels, index=frame.index)


@pytest.fixture(scope="module")
def fitted() -> dict[str, ContractEstimator]:
    frame, labels = business()
    return {kind.kind: kind(horizon_days=60, fee_days=30).fit(frame, labels) for kind in KINDS}


@pytest.mark.parametrize("kind", [kind.kind for kind in KINDS])
def test_a_forecast_is_coherent_and_close_to_the_true_rate(
    fitted: dict[str, ContractEstimator], kind: str
) -> None:
    frame, _ = business(seed=1)
    told = fitted[kind].predict(frame)
    true = 1 - np.exp(-60 * np.where(frame["complaints"] == 1, 0.006, 0.002))
    assert told["churn_risk"].mean() == pytest.approx(true.mean(), rel=0.15)
    assert (told["value_low"] <= told["expected_value"]).all()
    assert (told["expected_value"] <= told["value_high"]).all()
    assert told["value_high"].max() <= 60 * fitted[kind].lift_ + 1e-9
    assert told[["expected_orders", "next_order_days"]].isna().all(axis=None)
    curves = fitted[kind].curve({name: frame[name].to_numpy() for name in frame})
    assert (np.diff(curves.ended, axis=0) >= 0).all()
    assert (np.diff(curves.value, axis=0) >= 0).all()


def test_who_complains_is_told_apart(fitted: dict[str, ContractEstimator]) -> None:
    frame, _ = business(seed=1)
    risk = fitted["contracts"].predict(frame)["churn_risk"].groupby(frame["complaints"]).mean()
    assert risk[0] == pytest.approx(1 - np.exp(-60 * 0.002), rel=0.25)
    assert risk[1] == pytest.approx(1 - np.exp(-60 * 0.006), rel=0.35)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_learnt_comes_back_from_plain_data(
    fitted: dict[str, ContractEstimator], kind: type[ContractEstimator]
) -> None:
    frame, _ = business(50)
    state = fitted[kind.kind].state()
    boosters = {"boosters": state.pop("boosters")} if "boosters" in state else {}
    restored = kind(**fitted[kind.kind].get_params()).restore(json.loads(json.dumps(state)) | boosters)
    pd.testing.assert_frame_equal(restored.predict(frame), fitted[kind.kind].predict(frame))


@pytest.mark.parametrize("kind", KINDS)
def test_who_has_left_is_certain_and_who_never_had_a_contract_is_unknown(
    fitted: dict[str, ContractEstimator], kind: type[ContractEstimator]
) -> None:
    frame, _ = business(1)
    frame.iloc[0, frame.columns.get_loc("contract_runs")] = 0
    frame.iloc[0, frame.columns.get_loc("fee")] = np.nan
    frame.iloc[1, :] = np.nan
    told = fitted[kind.kind].predict(frame)
    assert told.iloc[0][["churn_risk", "expected_value", "value_high", "clv"]].tolist() == [1, 0, 0, 0]
    assert told.iloc[1].isna().all()


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_fee_there_is_a_risk_and_no_value(
    fitted: dict[str, ContractEstimator], kind: type[ContractEstimator]
) -> None:
    frame, _ = business(1)
    told = fitted[kind.kind].predict(frame.assign(fee=np.nan))
    assert told["churn_risk"].between(0, 1).all()
    assert told[["expected_value", "value_low", "value_high", "clv"]].isna().all(axis=None)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_ever_ended(kind: type[ContractEstimator]) -> None:
    told = kind(horizon_days=60, fee_days=30).fit(*business(40, ends=False)).predict(business(40)[0])
    assert told["churn_risk"].between(0, 0.1, inclusive="neither").all()


@pytest.mark.parametrize("kind", KINDS)
def test_everybody_ended(kind: type[ContractEstimator]) -> None:
    frame, labels = business(40)
    labels = labels.where(labels.isna(), 1.0)
    told = kind(horizon_days=60, fee_days=30).fit(frame, labels).predict(frame)
    assert told["churn_risk"].between(0.5, 1).all()


def test_a_contract_is_at_risk_until_it_ended_or_is_known_no_more() -> None:
    labels = pd.DataFrame({"ended_7": [0, 1, 0], "ended_14": [0, 1, np.nan], "ended_30": [1, 1, np.nan]})
    lived = person_periods(labels, [7, 14, 30])
    assert lived.rows.tolist() == [0, 1, 2, 0, 0]
    assert lived.begin.tolist() == [0, 0, 0, 7, 14]
    assert lived.ended.tolist() == [0, 1, 0, 0, 1]


def test_renewals_are_counted_where_they_fall() -> None:
    columns = {
        "contract_age_days": np.array([20.0, 20.0, 20.0]),
        "contract_renewal_days": np.array([9.0, 200.0, np.nan]),
        "contract_term_days": np.array([30.0, 365.0, np.nan]),
    }
    inputs = risk_inputs(columns, np.full(3, 30.0), np.full(3, 90.0))
    assert inputs["renewals_then"].tolist() == [2, 0, 0]
    assert inputs["renewal_days_then"][:2].tolist() == [10, 171]
    assert np.isnan(inputs["renewal_days_then"][2])


def test_the_shifted_beta_geometric_finds_the_beta_that_made_the_data() -> None:
    rng = np.random.default_rng(0)
    lasted = rng.geometric(rng.beta(2.0, 6.0, 20_000))
    age = rng.integers(0, 6, lasted.size)
    seen, day = lasted > age, 30 * rng.random(lasted.size)
    frame = pd.DataFrame({"contract_age_days": age[seen] * 30.0, "contract_runs": 1.0, "fee": np.nan})
    model = ShiftedBetaGeometric(horizon_days=30)
    ends = {knot: (lasted == age + 1) & (day < knot) for knot in (7, 14, 30)}
    labels = pd.DataFrame({f"ended_{knot}": ends[knot][seen].astype(float) for knot in (7, 14, 30)})
    model.fit(frame, labels.assign(value_30=np.nan))
    told = model.predict(frame.head(6).assign(contract_age_days=30.0 * np.arange(6)))["churn_risk"]
    true = [(lasted[lasted > months] == months + 1).mean() for months in range(6)]
    assert told.to_numpy() == pytest.approx(true, abs=0.03)
    assert (model.alpha_, model.beta_) == pytest.approx((2.0, 6.0), rel=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_base_and_effects_add_up_to_the_risk(
    fitted: dict[str, ContractEstimator], kind: type[ContractEstimator]
) -> None:
    frame, _ = business(40)
    told = fitted[kind.kind].explain({name: frame[name].to_numpy() for name in frame})
    risk = fitted[kind.kind].predict(frame)["churn_risk"].to_numpy()
    assert told.score[0] == pytest.approx(np.log(risk / (1 - risk)), abs=1e-6)


def test_what_tells_customers_apart_is_the_reason(fitted: dict[str, ContractEstimator]) -> None:
    frame, _ = business(40)
    told = fitted["contracts"].explain({name: frame[name].to_numpy() for name in frame})
    complaints = told.effects[0][:, told.names.index("complaints")]
    assert (complaints[frame["complaints"] == 1] > 0.3).all()
    assert (complaints[frame["complaints"] == 0] < 0).all()
