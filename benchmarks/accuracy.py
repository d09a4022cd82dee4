"""How good the forecasts are on public shops, beside what people use instead.

Each model is taught on what was known at the `as_of`, with default settings, and judged by what the
customers then did. Nothing was tuned on these periods. Prints a Markdown table per shop and `as_of`.
The peer `lifetimes` takes part where it is installed (group ``bench``).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pandas as pd
from peers import RollingTrees, lifetimes_forecast
from public_data import data_folder

from features.batch import workplace
from features.configuration import Configuration
from features.forecast_settings import ForecastSettings
from features.instants import Cutoff, parse_as_of
from features.sources import read_sources
from features.staging import stage
from features.survey import plan_features
from models.curve import knots
from training.evaluation import evaluate
from training.history import History
from training.holdout import forecasts
from training.recipes import TREES, contestants

RETAIL_COLUMNS = """
[sources.orders.columns]
customer_id = "Customer ID"
ordered_at = "InvoiceDate"
order_id = "Invoice"
product_id = "StockCode"
quantity = "Quantity"
unit_price = "Price"
"""
RETAIL_POSITIVE = """
[sources.orders]
query = '''
WITH first AS (FROM 'DATA/online_retail_ii/year_2009-2010.parquet'),
     second AS (FROM 'DATA/online_retail_ii/year_2010-2011.parquet')
FROM (FROM first UNION ALL (FROM second EXCEPT ALL FROM first))
WHERE "Customer ID" IS NOT NULL AND Quantity * Price > 0
'''
"""
RETAIL_NET = """
[sources.orders]
path = "DATA/online_retail_ii/*.parquet"
"""
CDNOW = r"""
[sources.orders]
time_format = "%Y%m%d"
query = '''
SELECT words[1] AS customer_id, words[2] AS ordered_at, words[4] AS amount
FROM (
  SELECT regexp_split_to_array(trim(line), '\s+') AS words
  FROM read_csv('DATA/cdnow/CDNOW_master.txt', columns = {'line': 'VARCHAR'}, delim = '\t', header = false)
)
WHERE words[4]::DOUBLE > 0
'''
"""
ROLLING = "LightGBM, all features, all snapshots"
LIFETIMES = "BG/NBD of lifetimes"
TRUTH = parse_as_of("2200-01-01")
"""The truth is what was ever known."""


class Wanted(NamedTuple):
    """What is to be reached."""

    auc: float
    log_loss: float
    gini: float


@dataclass(frozen=True)
class Case:
    """One shop at one `as_of`."""

    title: str
    sources: str
    as_of: datetime
    horizon_days: int
    wanted: Wanted | None = None


RETAIL, NET = RETAIL_POSITIVE + RETAIL_COLUMNS, RETAIL_NET + RETAIL_COLUMNS
CASES = (
    Case(
        "Online Retail II, positive lines", RETAIL, parse_as_of("2011-09-01"), 90, Wanted(0.806, 0.545, 0.825)
    ),
    Case("Online Retail II, net of refunds", NET, parse_as_of("2011-09-01"), 90),
    Case(
        "Online Retail II, positive lines",
        RETAIL,
        parse_as_of("2011-06-01"),
        180,
        Wanted(0.812, 0.526, 0.862),
    ),
    Case("CDNOW", CDNOW, parse_as_of("1998-04-01"), 90, Wanted(0.839, 0.298, 0.783)),
    Case("CDNOW", CDNOW, parse_as_of("1997-10-01"), 273, Wanted(0.768, 0.500, 0.718)),
)
MEASURES = {
    "auc": "AUC",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
    "gini": "normalised Gini",
    "spearman": "Spearman of value",
    "mean_absolute_error": "MAE",
    "total_bias": "bias of the total",
}
STYLES = {"total_bias": "+.1%", "log_loss": ".4f", "mean_absolute_error": ".1f"}


def main() -> None:
    """Judge every model on every shop."""
    data = data_folder(__doc__, holds="online_retail_ii and cdnow")
    for case in CASES:
        with shop(case, data) as history:
            report(case, history)


@contextmanager
def shop(case: Case, data: Path) -> Iterator[History]:
    """Stage a shop from its public files, through a configuration like any user's."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "tierwise.toml"
        file.write_text(case.sources.replace("DATA", str(data)), encoding="utf-8")
        configuration = Configuration.read(file, environ={})
        settings = ForecastSettings(horizon_days=case.horizon_days)
        with workplace(configuration.project.workspace) as connection:
            stage(configuration, connection)
            plan = plan_features(
                connection,
                read_sources(configuration),
                horizon_days=case.horizon_days,
                cutoff=Cutoff.at(case.as_of, "UTC"),
            )
            yield History(connection, plan, "UTC", days=knots(case.horizon_days, settings.clv_days))


def report(case: Case, history: History) -> None:
    """Print the table of one shop."""
    start = time.perf_counter()
    history.lesson(case.as_of, share=history.share(case.as_of))
    prepared = time.perf_counter() - start
    judged, seconds = judge(case, history)
    measured = evaluate(pd.concat(judged)).to_frame()
    print(f"### {case.title}, as of {case.as_of:%Y-%m-%d}, {case.horizon_days} days\n")
    print(
        f"{len(judged[0]):,} customers; {len(history.plan.names())} features of "
        f"{len(history.cutoffs(case.as_of))} snapshots and the present made in {prepared:.1f} s."
        f"{verdict(case, measured)}\n"
    )
    print(markdown(measured, seconds), flush=True)


def judge(case: Case, history: History) -> tuple[list[pd.DataFrame], dict[str, float]]:
    """Return the forecasts of every model with the truth, and the seconds that each took."""
    settings = ForecastSettings(horizon_days=case.horizon_days)
    tried = contestants(settings, seed=0) | {ROLLING: RollingTrees(**settings.question)}
    judged, seconds = [], {}
    for name, recipe in tried.items():
        start = time.perf_counter()
        judged.append(
            forecasts(
                history,
                {name: recipe},
                origins=[case.as_of],
                known_by=TRUTH,
                progress=lambda _: None,
            )
        )
        seconds[name] = time.perf_counter() - start
    start = time.perf_counter()
    told = lifetimes_forecast(history.snapshot(case.as_of), horizon_days=case.horizon_days)
    if told is not None:
        ours = judged[0].set_index("customer_id")
        judged.append(ours.assign(**told, model=LIFETIMES).reset_index())
        seconds[LIFETIMES] = time.perf_counter() - start
    return judged, seconds


def verdict(case: Case, measured: pd.DataFrame) -> str:
    """Say what was wanted of *trees + process*, and what of it was reached."""
    if case.wanted is None:
        return ""
    found = measured[measured["model"] == TREES].set_index("metric")["estimate"]
    reached = {
        "AUC": found["auc"] >= case.wanted.auc,
        "log loss": found["log_loss"] <= case.wanted.log_loss,
        "Gini": found["gini"] >= case.wanted.gini,
    }
    told = ", ".join(
        f"{name} {number:.3f} ({'reached' if reached[name] else 'missed'})"
        for name, number in zip(reached, case.wanted, strict=True)
    )
    return f" Wanted: {told}."


def markdown(measured: pd.DataFrame, seconds: dict[str, float]) -> str:
    """Lay measures out as a table, each with half the width of its 95% interval."""
    lines = [["model", *MEASURES.values(), "seconds"], ["---", *["---:"] * (len(MEASURES) + 1)]]
    for model, rows in measured.set_index("metric").groupby("model", sort=False):
        cells = []
        for name, row in rows.loc[list(MEASURES)].iterrows():
            style = STYLES.get(str(name), ".3f")
            half = (row["high"] - row["low"]) / 2
            known = f"{row['estimate']:{style}} ± {half:{style.lstrip('+')}}"
            cells.append("–" if pd.isna(row["estimate"]) else known)  # noqa: RUF001 - as in other tables
        lines.append([str(model), *cells, f"{seconds[str(model)]:.1f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    main()
