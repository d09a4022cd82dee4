"""What plans truly gain in simulated shops, beside the plan that knows the true effects.

Each shop is taught, scored and planned for with the commands' own jobs: what is assumed of the shop's coupon
and of its calls is corrected by its log of three years. What a treatment truly brings each customer is known
from lives that are lived with and without it from the plan's day on, many times. One half of these chooses
what a plan is compared with, the other judges it.

The plan with all known knows each customer's nature, how each treatment works on it, and the orders so far,
but not whether somebody silent has left. The plan by the records knows what trees tell of a customer's
records that were taught the true gains in the other shops. Prints a Markdown table; takes minutes for a shop.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import lightgbm as lgb
import numpy as np
import pandas as pd
import pyarrow as pa
from futures import Futures

from features.batch import workplace
from features.configuration import Configuration
from features.instants import Cutoff
from features.plan import FeaturePlan
from features.staging import stage
from models.allocation import allocate
from models.bundle import Bundle
from models.effects import Effect
from models.relaxation import NO_ARM, Limit
from serving.feature_rows import make_features
from serving.plan import Measure, PlanJob, planned_run
from serving.scoring import ScoringJob
from serving.store import open_store
from training.effects import measure
from training.shop import Shop, simulate_shop
from training.shop_buyers import CARE, COUPON, Integers, Treatment, draw_customers, draw_truth
from training.shop_truth import basket_price
from training.train import registry_of, train

SHOPS, CUSTOMERS, DAYS, HORIZON_DAYS = 6, 5000, 1096, 90
PLAYBOOK = """
[[treatments]]
name = "{name}"
purpose = "{purpose}"
channels = ["{channel}"]
when = "{when}"
cost = {cost}
effect = "{effect}"
text = "Do it."
"""
PLAYBOOKS = {
    "winback_coupon": {
        "purpose": "win_back",
        "channel": "email",
        "when": "recency_days between 60 and 239",
    },
    "vip_care": {"purpose": "care", "channel": "phone", "when": "top(spend_365d, 0.15)"},
}
BUDGET = 300.0
PLANS: dict[str, list[str]] = {"none": [], f"a budget of {BUDGET:.0f}": [f"plan.budget={BUDGET}"]}
TREATED: dict[str, tuple[Treatment, float]] = {"winback_coupon": (COUPON, 4.0), "vip_care": (CARE, 12.0)}
TREES = {
    "n_estimators": 250,
    "learning_rate": 0.03,
    "num_leaves": 8,
    "min_child_samples": 30,
    "colsample_bytree": 0.4,
    "subsample": 0.7,
    "subsample_freq": 1,
    "n_jobs": 1,
    "verbose": -1,
}
"""As usual for a few thousand rows and a hundred features."""


def true_gains(shop: Shop, seed: int, customers: pd.Index) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return by customer what each treatment truly gains, its cost taken off, by either half of the lives."""
    rng = np.random.default_rng(seed)
    truth = draw_truth(draw_customers(CUSTOMERS, DAYS, rng), rng)
    futures = Futures(
        truth,
        pd.date_range(shop.start, periods=DAYS + HORIZON_DAYS),
        rng,
        treatments=[treatment for treatment, _ in TREATED.values()],
        rows=pd.Index(truth["customer_id"]).get_indexer(customers),
        horizon_days=HORIZON_DAYS,
    )
    price = basket_price(shop)
    halves = [
        pd.DataFrame(
            {
                name: price * futures.gained_[name][part::2].mean(axis=0) - cost
                for name, (_, cost) in TREATED.items()
            },
            index=customers,
        )
        for part in (0, 1)
    ]
    return halves[0], halves[1]


def best(gain: pd.DataFrame, is_open: pd.DataFrame, settings: list[str]) -> Integers:
    """Choose by gains, under the same limits."""
    cost = np.array([cost for _, cost in TREATED.values()])
    limits = [Limit("budget", cost, BUDGET)] if settings else []
    return allocate(np.where(is_open, gain, -np.inf), limits).chosen


def truly(gain: pd.DataFrame, chosen: Integers) -> float:
    """Sum the true gains of what was chosen."""
    rows = np.flatnonzero(chosen != NO_ARM)
    return float(gain.to_numpy()[rows, chosen[rows]].sum())


def unmeasured(
    connection: duckdb.DuckDBPyConnection,
    configuration: Configuration,
    *,
    cutoff: Cutoff,
    planned: pa.Table,
    model: FeaturePlan,
) -> dict[str, Effect]:
    """Measure, and forget it."""
    measure(connection, configuration, cutoff=cutoff, planned=planned, model=model)
    return {}


FORECAST = ("churn_risk", "expected_orders", "expected_value", "value_low", "value_high", "clv")


class Desk:
    """One shop, taught and scored on its last day, for which plans are made."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        shop.write(folder)
        self._file, self._written = folder / "tierwise.toml", (folder / "tierwise.toml").read_text()
        configuration, as_of = self._configuration(""), shop.end.to_pydatetime()
        version = train(configuration, as_of=as_of).version.version
        self._bundle = Bundle.read(registry_of(configuration).fetch(version))
        with open_store(configuration) as store:
            ScoringJob(configuration, self._bundle, str(version), store).run(as_of=as_of)

    def _configuration(self, text: str, *settings: str) -> Configuration:
        self._file.write_text(self._written + text)
        return Configuration.read(self._file, ["plan.holdout=0.0", "plan.explore=0.0", *settings], environ={})

    def plan(self, playbooks: str, *settings: str, effects: Measure = measure) -> pd.DataFrame:
        """Plan without a holdout; return one row per customer_id."""
        configuration = self._configuration(playbooks, *settings)
        with open_store(configuration) as store:
            job = PlanJob(configuration, self._bundle, store, planned_run(store, None), effects)
            rows: pd.DataFrame = store.plans.rows(job.make().plan_id).to_pandas()
        return rows.set_index("customer_id")

    def told(self) -> pd.DataFrame:
        """Return what the records tell of every customer: features, and the numbers of the forecast."""
        configuration = self._configuration("")
        with open_store(configuration) as store, workplace(configuration.project.workspace) as connection:
            run = planned_run(store, None)
            scores = pa.Table.from_batches(store.scores(run.run_id)).to_pandas().set_index("customer_id")
            stage(configuration, connection, attributes=self._bundle.plan().attributes)
            make_features(connection, self._bundle, Cutoff.at(run.as_of, configuration.project.time_zone))
            features = connection.execute("FROM features").df().set_index("customer_id")
        return features.join(scores[list(FORECAST)]).select_dtypes("number")

    def is_open(self) -> pd.DataFrame:
        """Tell to whom each treatment is open: who would get it if it were all there is and a gain to all."""
        only = {
            name: PLAYBOOK.format(name=name, cost=0.0, effect="1.0", **known)
            for name, known in PLAYBOOKS.items()
        }
        plans = {
            name: self.plan(text, effects=unmeasured)["treatment"] == name for name, text in only.items()
        }
        return pd.DataFrame(plans)


@dataclass(frozen=True)
class Trial:
    """What was planned for one shop, and what is true: a row per customer to whom a treatment is open.

    Parameters
    ----------
    choosing, judging
        The true gain of each treatment, by either half of the lives.
    is_open
        Whether a treatment is.
    told
        What the records tell of a customer: the features and the forecast.
    plans
        By limits and by what the effects come from.
    """

    choosing: pd.DataFrame
    judging: pd.DataFrame
    is_open: pd.DataFrame
    told: pd.DataFrame
    plans: Mapping[tuple[str, str], pd.DataFrame]

    @classmethod
    def run(cls, seed: int) -> "Trial":
        """Simulate a shop, teach and plan."""
        shop = simulate_shop(customers=CUSTOMERS, days=DAYS, seed=seed)
        playbooks = "".join(
            PLAYBOOK.format(name=name, cost=TREATED[name][1], effect="0.1 * expected_value", **known)
            for name, known in PLAYBOOKS.items()
        )
        with tempfile.TemporaryDirectory() as folder:
            desk = Desk(shop, Path(folder))
            is_open = desk.is_open()
            is_open = is_open[is_open.any(axis=1)]
            plans = {
                (title, name): desk.plan(playbooks, *settings, f"plan.seed={name}", effects=effects)
                for title, settings in PLANS.items()
                for name, effects in (("assumed", unmeasured), ("measured", measure))
            }
            told = desk.told()
        choosing, judging = true_gains(shop, seed, is_open.index)
        return cls(choosing, judging, is_open, told.loc[is_open.index], plans)

    @property
    def truth(self) -> pd.DataFrame:
        """The true gain of each treatment."""
        return (self.choosing + self.judging) / 2


def by_records(trial: Trial, others: Sequence[Trial]) -> pd.DataFrame:
    """Tell what each treatment gains as far as records tell: by trees taught the true gains elsewhere."""
    taught = pd.concat(other.told for other in others)
    gains = {}
    for name in TREATED:
        effect = pd.concat(other.truth[name] for other in others)
        trees = lgb.LGBMRegressor(**TREES).fit(taught, effect)
        gains[name] = trees.predict(trial.told)
    return pd.DataFrame(gains, index=trial.told.index)


def compared(seed: int, trials: Sequence[Trial]) -> Iterator[dict[str, object]]:
    """Compare the plans for a shop with the best ones."""
    trial = trials[seed]
    recorded = by_records(trial, [other for at, other in enumerate(trials) if at != seed])
    everybody = trial.is_open.to_numpy().argmax(axis=1)
    for (title, learnt), plan in trial.plans.items():
        rows = plan.loc[trial.is_open.index]
        arms = rows["treatment"].map({name: at for at, name in enumerate(TREATED)})
        chosen = arms.fillna(NO_ARM).to_numpy().astype(np.int64)
        known = best(trial.choosing, trial.is_open, PLANS[title])
        told = best(recorded, trial.is_open, PLANS[title])
        yield {
            "shop": seed,
            "limits": title,
            "effects": learnt,
            "open": len(rows),
            "everybody": truly(trial.truth, everybody),
            "treated": int((chosen != NO_ARM).sum()),
            "expected": float(rows["expected_gain"].sum()),
            "true": truly(trial.truth, chosen),
            "told": truly(trial.truth, told),
            "best": truly(trial.judging, known),
        }


def main() -> None:
    """Plan for some shops, and print what that gains."""
    shops = int(sys.argv[1]) if len(sys.argv) > 1 else SHOPS
    trials = [Trial.run(seed) for seed in range(shops)]
    rows = pd.DataFrame([row for seed in range(shops) for row in compared(seed, trials)])
    together = rows.groupby(["limits", "effects"], sort=False).sum(numeric_only=True).reset_index()
    print(
        "| shop | limits | effects | open to | gain of treating all | treated | expected gain | true gain "
        "| as the records tell | with all known | share | share |"
    )
    print(f"| --- | --- | --- {'| ---: ' * 9}|")
    for row in [*rows.to_dict("records"), *together.assign(shop="all").to_dict("records")]:
        print(
            f"| {row['shop']} | {row['limits']} | {row['effects']} | {row['open']:,} "
            f"| {row['everybody']:,.0f} | {row['treated']:,} | {row['expected']:,.0f} | {row['true']:,.0f} "
            f"| {row['told']:,.0f} | {row['best']:,.0f} | {row['true'] / row['told']:.0%} "
            f"| {row['true'] / row['best']:.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
