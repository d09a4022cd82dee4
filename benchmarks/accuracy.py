"""How good the forecasts are on public shops, beside what people use instead.

Each model is taught on what was known at the `as_of`, with default settings, and judged by what the
customers then did. Nothing was tuned on these periods. Prints a Markdown table per shop and `as_of`.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import lightgbm as lgb
import numpy as np
import pandas as pd

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
from training.recipes import TREES, recipes

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
RFM = ["recency_days", "orders_all", "spend_all", "tenure_days"]
LEARNERS = {TREES, "recency rule"}
RFM_TREES = "LightGBM on RFM, one snapshot"
TRUTH = parse_as_of("2200-01-01")
"""The truth is what was ever known."""


@dataclass(frozen=True)
class Case:
    """One shop at one `as_of`."""

    title: str
    sources: str
    as_of: datetime
    horizon_days: int


CASES = (
    Case("Online Retail II, positive lines", RETAIL_POSITIVE + RETAIL_COLUMNS, parse_as_of("2011-09-01"), 90),
    Case("Online Retail II, net of refunds", RETAIL_NET + RETAIL_COLUMNS, parse_as_of("2011-09-01"), 90),
    Case("CDNOW", CDNOW, parse_as_of("1998-04-01"), 90),
    Case("CDNOW", CDNOW, parse_as_of("1997-10-01"), 273),
)
MEASURES = {
    "auc": "AUC",
    "log_loss": "log loss",
    "spearman": "Spearman of value",
    "gini": "normalised Gini",
    "total_bias": "bias of the total",
}


def main() -> None:
    """Judge every model on every shop."""
    parser = argparse.ArgumentParser(description=__doc__)
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=beside, help="folder of online_retail_ii and cdnow")
    data = parser.parse_args().data.resolve()
    if not data.is_dir():
        parser.exit(2, f"there is no folder {data}; name that of the data sets with --data\n")
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
        with workplace(configuration.project.workspace) as connection:
            stage(configuration, connection)
            plan = plan_features(
                connection,
                read_sources(configuration),
                horizon_days=case.horizon_days,
                cutoff=Cutoff.at(case.as_of, "UTC"),
            )
            yield History(connection, plan, "UTC", days=knots(case.horizon_days))


def report(case: Case, history: History) -> None:
    """Print the table of one shop."""
    start = time.perf_counter()
    history.lesson(case.as_of, share=history.share(case.as_of))
    prepared = time.perf_counter() - start
    judged, seconds = [], {}
    for name, forecast in models(case, history):
        start = time.perf_counter()
        judged.append(forecast().assign(model=name))
        seconds[name] = time.perf_counter() - start
    snapshots = len(history.cutoffs(case.as_of))
    print(f"### {case.title}, as of {case.as_of:%Y-%m-%d}, {case.horizon_days} days\n")
    print(
        f"{len(judged[0]):,} customers; {len(history.plan.names())} features of {snapshots} labelled "
        f"snapshots and the present made in {prepared:.1f} s.\n"
    )
    print(markdown(evaluate(pd.concat(judged)).to_frame(), seconds), flush=True)


def models(case: Case, history: History) -> Iterator[tuple[str, Callable[[], pd.DataFrame]]]:
    """Yield what can be taught at this `as_of`; learners need a snapshot whose labels are known."""
    can_learn = bool(history.cutoffs(case.as_of))
    settings = ForecastSettings(horizon_days=case.horizon_days)
    for name, recipe in recipes(settings, seed=0).items():
        if can_learn or name not in LEARNERS:
            yield (
                name,
                partial(
                    forecasts,
                    history,
                    {name: recipe},
                    origins=[case.as_of],
                    known_by=TRUTH,
                    progress=lambda _: None,
                ),
            )
    if can_learn:
        yield RFM_TREES, partial(rfm_trees, history, case)


def rfm_trees(history: History, case: Case) -> pd.DataFrame:
    """Forecast as a quick script does: LightGBM's defaults on recency, frequency, spend and tenure."""
    before = case.as_of - timedelta(days=case.horizon_days)
    past, labels = history.snapshot(before)[RFM], history.labels(before, known_by=case.as_of)
    present, truth = history.snapshot(case.as_of)[RFM], history.labels(case.as_of)
    churn = lgb.LGBMClassifier(verbose=-1).fit(past, labels["orders"] == 0)
    value = lgb.LGBMRegressor(verbose=-1).fit(past, labels["value"])
    return truth.assign(
        churn_risk=np.asarray(churn.predict_proba(present))[:, 1],
        expected_value=np.asarray(value.predict(present)),
        origin=case.as_of,
    ).reset_index(names="customer_id")


def markdown(measured: pd.DataFrame, seconds: dict[str, float]) -> str:
    """Lay measures out as a table, each with half the width of its 95% interval."""
    lines = [["model", *MEASURES.values(), "seconds"], ["---", *["---:"] * (len(MEASURES) + 1)]]
    for model, rows in measured.set_index("metric").groupby("model", sort=False):
        cells = [
            f"{row['estimate']:{style}} ± {(row['high'] - row['low']) / 2:{style.lstrip('+')}}"
            for name, row in rows.loc[list(MEASURES)].iterrows()
            for style in ["+.1%" if name == "total_bias" else ".3f"]
        ]
        lines.append([str(model), *cells, f"{seconds[str(model)]:.1f}"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    main()
