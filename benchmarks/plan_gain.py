"""What plans truly gain in simulated shops, beside the plan that knows the true effects.

Each shop is taught, scored and planned for with the commands' own jobs: what is assumed of the shop's coupon
and of its calls is corrected by its log of three years. What a treatment truly brings each customer is known
from lives that are lived with and without it from the plan's day on, many times. One half of these chooses
what the plan is compared with, the other judges both. Prints a Markdown table; takes minutes for each shop.
"""

import copy
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.configuration import Configuration
from features.instants import Cutoff
from features.plan import FeaturePlan
from models.allocation import allocate
from models.bundle import Bundle
from models.effects import Effect
from models.relaxation import NOTHING, Limit
from serving.plan import Measure, PlanJob, planned_run
from serving.scoring import ScoringJob
from serving.store import open_store
from training.effects import measure
from training.shop import Shop, simulate_shop
from training.shop_buyers import CARE, COUPON, Integers, Treatment, draw_customers, draw_truth
from training.shop_truth import Twins, basket_price
from training.train import registry_of, train

SHOPS, CUSTOMERS, DAYS, HORIZON_DAYS = 3, 5000, 1096, 90
LIVES = 100
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
PLANS: dict[str, list[str]] = {
    "no limit": [],
    "a budget of 1,000, 50 calls": ["plan.budget=1000.0", "plan.capacity.phone=50"],
}
TREATED: dict[str, tuple[Treatment, float]] = {"winback_coupon": (COUPON, 4.0), "vip_care": (CARE, 12.0)}
Numbers = NDArray[np.float64]


class Futures(Twins):
    """Lives up to a day, and from it on many more, with and without each treatment for everybody.

    Attributes
    ----------
    gained_
        By treatment the baskets that it adds within the horizon, of shape (lives, buyers).
    """

    def __init__(self, truth: pd.DataFrame, rng: np.random.Generator, *, days: int, lives: int) -> None:
        self._days, self._count = days, lives
        self.gained_: dict[str, Numbers] = {}
        dates = pd.date_range("2023-01-01", periods=days + HORIZON_DAYS, tz="UTC")
        super().__init__(truth, dates, rng, horizon_days=HORIZON_DAYS)

    def _assign(self, treatment: Treatment, today: int, chosen: NDArray[np.bool_]) -> None:
        if not self._is_twin:
            super(Twins, self)._assign(treatment, today, chosen)

    def _live(self, today: int) -> None:
        if today < self._days or self._is_twin:
            super()._live(today)

    def _treat(self, today: int) -> None:
        if today < self._days:
            super()._treat(today)
        if today == self._days - 1:
            everybody = np.arange(len(self._basket))
            for name, (treatment, _) in TREATED.items():
                self.gained_[name] = np.stack(list(self._gains(treatment, today, everybody)))

    def _gains(self, treatment: Treatment, today: int, everybody: Integers) -> Iterator[Numbers]:
        for seed in range(self._count):
            baskets = []
            for treated in (everybody, everybody[:0]):
                twin = copy.copy(self)
                twin.part(today, seed)
                baskets.append(twin.lived(treatment, today, treated)[:, 1])
            yield baskets[0] - baskets[1]


def true_gains(shop: Shop, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return by customer what each treatment truly gains, its cost taken off, by either half of the lives."""
    rng = np.random.default_rng(seed)
    truth = draw_truth(draw_customers(CUSTOMERS, DAYS, rng), rng)
    futures, price = Futures(truth, rng, days=DAYS, lives=LIVES), basket_price(shop)
    halves = [
        pd.DataFrame(
            {
                name: price * futures.gained_[name][part::2].mean(axis=0) - cost
                for name, (_, cost) in TREATED.items()
            },
            index=truth["customer_id"],
        )
        for part in (0, 1)
    ]
    return halves[0], halves[1]


def best(gain: pd.DataFrame, is_open: pd.DataFrame, settings: list[str]) -> Integers:
    """Choose by the true gains, under the same limits."""
    cost = np.array([cost for _, cost in TREATED.values()])
    limits = [Limit("budget", cost, 1000.0), Limit("phone", np.array([0.0, 1.0]), 50)] if settings else []
    return allocate(np.where(is_open, gain, -np.inf), limits).chosen


def truly(gain: pd.DataFrame, chosen: Integers) -> float:
    """Sum the true gains of what was chosen."""
    rows = np.flatnonzero(chosen != NOTHING)
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


def trial(seed: int) -> Iterator[dict[str, object]]:
    """Plan for one shop, and compare."""
    shop = simulate_shop(customers=CUSTOMERS, days=DAYS, seed=seed)
    choosing, judging = true_gains(shop, seed)
    playbooks = "".join(
        PLAYBOOK.format(name=name, cost=TREATED[name][1], effect="0.1 * expected_value", **known)
        for name, known in PLAYBOOKS.items()
    )
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(shop, Path(folder))
        is_open = desk.is_open()
        gains, truth = choosing.loc[is_open.index], judging.loc[is_open.index]
        for title, settings in PLANS.items():
            for learnt, effects in (("assumed", unmeasured), ("measured", measure)):
                rows = desk.plan(playbooks, *settings, f"plan.seed={learnt}", effects=effects)
                arms = rows["treatment"].map({name: at for at, name in enumerate(TREATED)})
                chosen = arms.fillna(NOTHING).to_numpy().astype(np.int64)
                best_arms = best(gains, is_open, settings)
                everybody = np.where(is_open.any(axis=1), is_open.to_numpy().argmax(axis=1), NOTHING)
                yield {
                    "shop": seed,
                    "limits": title,
                    "effects": learnt,
                    "open": int(is_open.any(axis=1).sum()),
                    "everybody": truly(truth, everybody),
                    "treated": int((chosen != NOTHING).sum()),
                    "expected": float(rows["expected_gain"].sum()),
                    "true": truly(truth, chosen),
                    "best_treated": int((best_arms != NOTHING).sum()),
                    "best": truly(truth, best_arms),
                }


def main() -> None:
    """Plan for some shops, and print what that gains."""
    shops = int(sys.argv[1]) if len(sys.argv) > 1 else SHOPS
    rows = pd.DataFrame([row for seed in range(shops) for row in trial(seed)])
    print(
        "| shop | limits | effects | open to | gain of treating all | treated | expected gain | true gain "
        "| best: treated | gain | share |"
    )
    print(f"| --- | --- | --- {'| ---: ' * 8}|")
    for row in rows.to_dict("records"):
        print(
            f"| {row['shop']} | {row['limits']} | {row['effects']} | {row['open']:,} "
            f"| {row['everybody']:,.0f} | {row['treated']:,} | {row['expected']:,.0f} | {row['true']:,.0f} "
            f"| {row['best_treated']:,} | {row['best']:,.0f} | {row['true'] / row['best']:.1%} |"
        )
    for learnt, part in rows.groupby("effects"):
        print(f"\n{learnt}: {part['true'].sum() / part['best'].sum():.1%} of the best plans' gain")


if __name__ == "__main__":
    main()
