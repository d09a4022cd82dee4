"""Whether measured effects of treatments are true, in simulated shops where the truth is known.

In 200 shops of 2,000 customers each the effects are measured from the log, as ``tierwise effects`` does, and
compared with what the same lives bring with and without each treatment; in 50 of 5,000 customers it is asked
whether they pay. Prints Markdown tables; takes half an hour.
"""

import sys
import tempfile
from pathlib import Path

import pandas as pd

from features.batch import end_of_data, workplace
from features.configuration import Configuration
from features.instants import Cutoff
from features.staging import stage
from models.effects import effect_table
from models.policies import policy_table
from training.effect_outcomes import BEFORE, Followed
from training.effects import compared, log_of
from training.shop import simulate_shop
from training.shop_truth import basket_price, true_effects

DAYS, HORIZON_DAYS = 1096, 90
COVERED, JUDGED = (200, 2000), (50, 5000)
"""Shops, and the customers of each, for the coverage of intervals, and for verdicts."""
TOGETHER = ("gain", "gain_low", "gain_high", "ips", "ips_low", "ips_high")
TRUTHS, CROWD = 4, 10_000
"""Shops that are lived through twice, and their customers."""
CONFIGURATION = """\
[sources.orders]
path = "orders.parquet"
[sources.treatments]
path = "treatments.csv"
"""


def main() -> None:
    """Measure, and print how often intervals cover the truth, and what does not pay is found out."""
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    truth = truths()
    for (shops, customers), show in ((COVERED, print_coverage), (JUDGED, print_verdicts)):
        seeds = range(max(1, round(shops * share)))
        measured = pd.concat([trial(seed, customers=customers) for seed in seeds])
        for name in truth:
            measured[name] = measured["treatment"].map(truth[name]) * measured["price"]
        print(f"\n{len(seeds)} shops of {customers:,} customers, value within {HORIZON_DAYS} days\n")
        show(measured)


def truths() -> pd.DataFrame:
    """Return the mean effect in baskets per assignment, and its standard error, by treatment."""
    lived = [
        true_effects(customers=CROWD, days=DAYS, horizon_days=HORIZON_DAYS, seed=10_000 + number)
        for number in range(TRUTHS)
    ]
    return pd.concat(lived).groupby("treatment")["baskets"].agg(["mean", "sem"])


def trial(seed: int, *, customers: int) -> pd.DataFrame:
    """Measure the effects in one shop."""
    shop = simulate_shop(customers=customers, days=DAYS, seed=seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shop.orders.to_parquet(folder / "orders.parquet", index=False)
        shop.treatments.to_csv(folder / "treatments.csv", index=False)
        (folder / "tierwise.toml").write_text(CONFIGURATION)
        configuration = Configuration.read(folder / "tierwise.toml", environ={})
        with workplace(folder / "workspace") as connection:
            stage(configuration, connection)
            cutoff = Cutoff.at(end_of_data(connection), "UTC")
            log_of(connection, configuration, cutoff=cutoff, planned=None)
            known = compared(Followed(connection, configuration, cutoff))
    whole = policy_table(known, before=BEFORE).iloc[0][list(TOGETHER)]
    return effect_table(known, before=BEFORE).assign(price=basket_price(shop), shop=seed, **whole)


def print_coverage(measured: pd.DataFrame) -> None:
    """Print how often the 95% intervals of the increments cover the truth."""
    print("| treatment | treated | held out | truth | measured | error | spread | less variance | covered |")
    print(f"| --- {'| ---: ' * 8}|")
    for treatment, part in measured.groupby("treatment"):
        off = part["increment"] - part["mean"]
        covered = (part["increment_low"] < part["mean"]) & (part["mean"] < part["increment_high"])
        print(
            f"| {treatment} | {part['treated'].mean():,.0f} | {part['held_out'].mean():,.0f} "
            f"| {part['mean'].mean():.2f} ± {1.96 * part['sem'].mean():.2f} | {part['increment'].mean():.2f} "
            f"| {part['increment_se'].mean():.2f} | {off.std():.2f} | {part['variance_reduced'].mean():.0%} "
            f"| {covered.mean():.1%} |"
        )
    print_together(measured)


def print_together(measured: pd.DataFrame) -> None:
    """Print how often the 95% intervals of what all treatments earned together cover the truth."""
    rows = measured["treated"] + measured["held_out"]
    earned = measured.assign(rows=rows, truth=rows * (measured["mean"] - measured["cost"]))
    shops = earned.groupby("shop").agg({"rows": "sum", "truth": "sum"} | dict.fromkeys(TOGETHER, "first"))
    truth = shops["truth"] / shops["rows"]
    print("\n| all treatments together | truth | measured | error | spread | covered |")
    print(f"| --- {'| ---: ' * 5}|")
    for name, says in (("gain", "doubly robust"), ("ips", "by inverse propensity")):
        low, high = shops[f"{name}_low"], shops[f"{name}_high"]
        print(
            f"| {says} | {truth.mean():.2f} | {shops[name].mean():.2f} | {(high - low).mean() / 3.92:.2f} "
            f"| {(shops[name] - truth).std():.2f} | {((low < truth) & (truth < high)).mean():.1%} |"
        )


def print_verdicts(measured: pd.DataFrame) -> None:
    """Print how often a treatment is found not to pay, or to pay."""
    print("| treatment | cost | true net gain | error | found not to pay | found to pay |")
    print(f"| --- {'| ---: ' * 5}|")
    for treatment, part in measured.groupby("treatment"):
        net = (part["mean"] - part["cost"]).mean()
        print(
            f"| {treatment} | {part['cost'].mean():.2f} | {net:.2f} | {part['net_se'].mean():.2f} "
            f"| {(part['net_high'] < 0).mean():.0%} | {(part['net_low'] > 0).mean():.0%} |"
        )


if __name__ == "__main__":
    main()
