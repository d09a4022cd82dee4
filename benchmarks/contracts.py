"""How good the contractual setting is on simulated subscriptions, whose true risks are known.

Every model is taught on what was known at the `as_of`, with default settings, and judged by what then
happened, beside the truth: the risk that each customer really had. Prints Markdown.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import KFold

from features.batch import workplace
from features.configuration import Configuration
from features.forecast_settings import ForecastSettings
from features.instants import Cutoff
from features.sources import read_sources
from features.staging import stage
from features.survey import plan_features
from models.curve import knots
from training.calibration import error_by_chance
from training.contract_history import ContractHistory
from training.contracts import ContractLesson
from training.metrics import calibration_error, equal_bins
from training.subscriptions import simulate_subscriptions

SEEDS = (1, 2, 3)
CUSTOMERS = 4_000
HORIZON_DAYS = 90
TRUTH, TOLD, TREES = "the truth", "what the records tell of it", "LightGBM, one snapshot"
AGES = (0, 30, 90, 180, 365, 730, 2000)


class Business(NamedTuple):
    """What was known at the origin, what then came, and the true risk."""

    lesson: ContractLesson
    origin: datetime
    present: pd.DataFrame
    truth: pd.DataFrame
    risk: pd.Series


def main() -> None:
    """Judge every model on every simulated business."""
    told = pd.concat([_judged(business) for seed in SEEDS for business in _simulated(seed)])
    told.insert(4, TOLD, _told_by_records(told.pop("records"), told[TRUTH].to_numpy()))
    models = [name for name in told.columns if name not in {"business", "age", "ended", "value"}]
    risks = [name for name in models if not name.startswith("value of ")]
    print(f"{len(told):,} running contracts of {len(SEEDS)} businesses, {told['ended'].mean():.1%} ended\n")
    print("| model | AUC | log loss | calibration error | by chance at most | mean risk | value over true |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in [TRUTH, *(name for name in risks if name != TRUTH)]:
        print(_row(told, name))
    print(f"\n| age of the contract, days | contracts | ended | {' | '.join(risks)} |")
    print("| --- " * (len(risks) + 3) + "|")
    for age, rows in told.groupby(pd.cut(told["age"], AGES, right=False)):
        shares = " | ".join(f"{rows[name].mean():.3f}" for name in ["ended", *risks])
        print(f"| {age.left} to {age.right} | {len(rows):,} | {shares} |")


def _simulated(seed: int) -> Iterator[Business]:
    """Simulate a business, and look back from one horizon before its end."""
    subscriptions = simulate_subscriptions(customers=CUSTOMERS, seed=seed)
    with TemporaryDirectory() as folder:
        subscriptions.write(Path(folder))
        configuration = Configuration.read(Path(folder) / "tierwise.toml", environ={})
        settings = configuration.section("forecast", ForecastSettings)
        origin = subscriptions.end.to_pydatetime() - timedelta(days=HORIZON_DAYS)
        with workplace(configuration.project.workspace) as connection:
            stage(configuration, connection)
            plan = plan_features(
                connection,
                read_sources(configuration),
                horizon_days=HORIZON_DAYS,
                cutoff=Cutoff.at(origin, "UTC"),
                is_contractual=True,
            )
            days = knots(settings.horizon_days, settings.clv_days)
            history = ContractHistory(connection, plan, "UTC", days=days)
            lesson = ContractLesson(history, settings, origin)
            # Who has left shows a day later: the truth is about one day less.
            risk = subscriptions.true_risk(
                as_of=pd.Timestamp(origin), horizon_days=HORIZON_DAYS - 1, draws=200
            )
            present = history.snapshot(origin)
            yield Business(lesson, origin, present, history.labels(origin), risk)


def _judged(business: Business) -> pd.DataFrame:
    """Let every model forecast the contracts that run at the origin."""
    lesson, origin, present, truth, risk = business
    frame, labels = lesson.history.lesson(origin, share=lesson.history.share(origin))
    told = pd.DataFrame(
        {
            "age": present["contract_age_days"],
            "ended": truth[f"ended_{HORIZON_DAYS}"],
            "value": truth[f"value_{HORIZON_DAYS}"],
            TRUTH: risk,
            "records": list(present.drop(columns="as_of_day").to_numpy()),
        }
    )
    for name, recipe in lesson.recipes().items():
        forecast = recipe.fit(frame, labels).predict(present)
        told[name], told[f"value of {name}"] = forecast["churn_risk"], forecast["expected_value"]
    told[TREES] = _one_snapshot(frame, labels, present)
    return told.dropna(subset=[TRUTH])


def _told_by_records(records: pd.Series, risk: np.ndarray) -> np.ndarray:
    """Tell the true risk by the features, as well as trees can that are taught on the truth of others."""
    matrix, told = np.stack(records.to_list()), np.empty(risk.size)
    settings = {"objective": "cross_entropy", "num_threads": 1, "verbose": -1, "learning_rate": 0.05}
    settings |= {"num_leaves": 8, "min_child_samples": 30, "feature_fraction": 0.5}
    for taught, tested in KFold(5, shuffle=True, random_state=0).split(matrix):
        booster = lgb.train(settings, lgb.Dataset(matrix[taught], risk[taught]), 200)
        told[tested] = booster.predict(matrix[tested], num_threads=1)
    return told


def _one_snapshot(frame: pd.DataFrame, labels: pd.DataFrame, present: pd.DataFrame) -> np.ndarray:
    """Forecast as is often done: trees on the last snapshot whose outcome is known."""
    ended = labels[f"ended_{HORIZON_DAYS}"]
    day = frame.loc[ended.notna().to_numpy(), "as_of_day"].max()
    last = ((frame["as_of_day"] == day) & ended.notna()).to_numpy()
    settings = {"objective": "binary", "num_threads": 1, "verbose": -1}
    booster = lgb.train(settings, lgb.Dataset(frame[last].drop(columns="as_of_day"), ended[last]), 100)
    return np.asarray(booster.predict(present.drop(columns="as_of_day"), num_threads=1))


def _row(told: pd.DataFrame, name: str) -> str:
    ended, risk = told["ended"].to_numpy(), np.clip(told[name].to_numpy(), 1e-4, 1 - 1e-4)
    error = calibration_error(ended, risk, bins=equal_bins(risk))
    value = told[f"value of {name}"].sum() / told["value"].sum() if f"value of {name}" in told else np.nan
    measures = (roc_auc_score(ended, risk), log_loss(ended, risk), error, error_by_chance(risk), risk.mean())
    bias = "" if np.isnan(value) else f"{value:.3f}"
    return f"| {name} | {' | '.join(f'{measure:.3f}' for measure in measures)} | {bias} |"


if __name__ == "__main__":
    main()
