"""What it does to the forecast that training knows who was treated, where the truth is known.

Simulated shops treat a good part of their customers: newcomers, the silent and the best. Each is taught
once with ``[sources.treatments]`` and once without, and both forecasts are compared with the true P(no order
in 90 days) if nothing further is done. Prints a Markdown table: means over the shops, with standard errors.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas as pd
from scipy.special import rel_entr

from features.configuration import Configuration
from features.forecast_settings import ForecastSettings
from features.instants import Cutoff
from features.sources import read_sources
from features.staging import stage
from features.survey import plan_features
from models.curve import knots
from models.likelihood import CERTAIN, Vector
from training.history import History
from training.recipes import TREES, recipes
from training.shop import Shop, simulate_shop

SETTINGS = ForecastSettings()
SILENT = (45, 240)
"""Days since the last order at which customers are mostly treated: sent a coupon."""
BACK = (90, 180)
"""Days before the end of the records at which each shop is taught."""
TAUGHT = ("taught rate of no order less the true one", "the same of the silent")
FORECAST = (
    "bias of the risk",
    "the same of the silent",
    "root mean square error",
    "divergence from the truth",
    "Spearman with the truth",
)


def main() -> None:
    """Teach every shop both ways."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="simulated shops")
    parser.add_argument("--customers", type=int, default=3000, help="of each shop")
    asked = parser.parse_args()
    found = []
    for seed in range(asked.seeds):
        found.append(judged(simulate_shop(customers=asked.customers, seed=seed)))
        if seed:
            print(markdown(np.array(found)), flush=True)


def judged(shop: Shop) -> Vector:
    """Return the measures of a shop, taught without and with its treatments, of shape (2, measures)."""
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        shop.write(Path(folder))
        configuration = Configuration.read(Path(folder) / "tierwise.toml", environ={})
        stage(configuration, connection)
        plan = plan_features(
            connection,
            read_sources(configuration),
            horizon_days=SETTINGS.horizon_days,
            cutoff=Cutoff.at(shop.end.to_pydatetime(), "UTC"),
        )
        rows = []
        for with_treatments in (True, False):
            if not with_treatments:
                connection.execute("DROP TABLE treatments")
            history = History(connection, plan, "UTC", days=knots(SETTINGS.horizon_days, SETTINGS.clv_days))
            times = [shop.end - pd.Timedelta(days=back) for back in BACK]
            forecasts = np.mean([forecast(shop, history, as_of=time) for time in times], axis=0)
            rows.append([*taught(shop, history), *forecasts])
    return np.array(rows[::-1])


def taught(shop: Shop, history: History) -> list[float]:
    """Compare what the snapshots teach with the truth of the same customers."""
    end = shop.end.to_pydatetime()
    cutoffs = [day for day in history.cutoffs(end) if (end - day).days >= SETTINGS.horizon_days]
    rows, labels = history.snapshots(cutoffs, known_by=end, share=1.0)
    print(*history.notes(), sep="\n", flush=True)
    off, silent = [], []
    for day, present, came in zip(cutoffs, rows, labels, strict=True):
        true = shop.true_no_order(as_of=pd.Timestamp(day), horizon_days=SETTINGS.horizon_days)
        off.append((came[f"orders_{SETTINGS.horizon_days}"] == 0) - true.loc[present.index])
        silent.append(present["recency_days"].between(*SILENT))
    return means(np.concatenate(off), np.concatenate(silent))


def forecast(shop: Shop, history: History, *, as_of: pd.Timestamp) -> list[float]:
    """Teach on everything known, and compare the forecast with the truth."""
    lesson = history.lesson(as_of.to_pydatetime(), share=1.0)
    forecaster = recipes(SETTINGS, seed=0)[TREES].fit(*lesson)
    present = history.snapshot(as_of.to_pydatetime())
    risk = forecaster.predict(present)["churn_risk"].to_numpy()
    truth = shop.true_no_order(as_of=as_of, horizon_days=SETTINGS.horizon_days)
    true = truth.loc[present.index].to_numpy()
    return [
        *means(risk - true, present["recency_days"].between(*SILENT).to_numpy()),
        float(np.sqrt(((risk - true) ** 2).mean())),
        divergence(risk, true),
        float(pd.Series(risk).corr(pd.Series(true), method="spearman")),
    ]


def means(off: Vector, silent: Vector) -> list[float]:
    """Return the mean of all rows, and of those of silent customers."""
    return [float(off.mean()), float(off[silent].mean())]


def divergence(risk: Vector, true: Vector) -> float:
    """Return by how much the expected log loss lies above that of the truth (Kullback and Leibler 1951)."""
    told = np.clip(risk, CERTAIN, 1.0 - CERTAIN)
    return float((rel_entr(true, told) + rel_entr(1.0 - true, 1.0 - told)).mean())


def markdown(found: Vector) -> str:
    """Lay the measures of s shops, of shape (s, 2, measures), out as a table."""
    lines = [
        f"| {len(found)} shops | without | with treatments | difference |",
        "| --- | ---: | ---: | ---: |",
    ]
    for place, name in enumerate((*TAUGHT, *FORECAST)):
        without, with_treatments = found[:, 0, place], found[:, 1, place]
        differences = with_treatments - without
        error = differences.std(ddof=1) / np.sqrt(len(found))
        lines.append(
            f"| {name} | {without.mean():.4f} | {with_treatments.mean():.4f} | "
            f"{differences.mean():+.4f} ± {error:.4f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
