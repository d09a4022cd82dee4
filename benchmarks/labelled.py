"""How good the labelled setting is on public tables, beside what people use instead.

Every model stands on the same folds: five repeats of stratified five-fold cross-validation, with default
settings. The peers get the same columns. Prints a Markdown table per data set.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import lightgbm as lgb
import numpy as np
import pandas as pd
from public_data import data_folder
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from features.batch import put_on_spine, workplace
from features.configuration import Configuration
from features.contract import CUSTOMERS, Kind
from features.instants import Cutoff, parse_as_of
from features.sources import CustomersSource, read_sources
from features.staging import stage
from features.survey import plan_attributes
from models.labelled_forecaster import LabelledForecaster
from training.metrics import calibration_error
from training.outcome import read_outcome

TABLES = {
    "IBM telco": """
path = "DATA/ibm_telco/Telco-Customer-Churn.csv"
label = "Churn"
[sources.customers.columns]
customer_id = "customerID"
""",
    "UCI bank marketing, without `duration`": """
path = "DATA/uci_bank_marketing/bank_market.csv"
label = "y"
left_out = ["duration"]
[sources.customers.columns]
customer_id = "Cust_num"
""",
}
HEAD = 'project.setting = "labelled"\n[sources.customers]'
FOLDS, REPEATS = 5, 5
Model = Callable[[pd.DataFrame, np.ndarray, pd.DataFrame, list[str]], np.ndarray]


def main() -> None:
    """Judge every model on every table."""
    data = data_folder(__doc__, holds="ibm_telco and uci_bank_marketing")
    for title, source in TABLES.items():
        report(title, *table(source.replace("DATA", str(data))))


def table(source: str) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Read a table through a configuration like any user's: features, what came, and the texts among them."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "tierwise.toml"
        file.write_text(HEAD + source, encoding="utf-8")
        configuration = Configuration.read(file, environ={})
        customers = read_sources(configuration)[CUSTOMERS.name]
        assert isinstance(customers, CustomersSource)  # noqa: S101
        with workplace(configuration.project.workspace) as connection:
            stage(configuration, connection)
            came = read_outcome(connection, customers).came
            plan, _ = plan_attributes(connection, customers, horizon_days=90)
            put_on_spine(
                connection, "SELECT customer_id FROM customers", Cutoff.at(parse_as_of("2024-01-01"), "UTC")
            )
            rows = connection.execute(
                f"SELECT * EXCLUDE (as_of) FROM ({plan.sql()['duckdb']['features']})"
            ).df()
    texts = [each.feature for each in plan.attributes if each.kind is Kind.TEXT]
    return rows.set_index("customer_id").loc[came.index], came.to_numpy(), texts


def report(title: str, frame: pd.DataFrame, came: np.ndarray, texts: list[str]) -> None:
    """Print the table of one data set: means over folds, and the standard deviation of repeats."""
    print(
        f"### {title}\n\n{len(frame):,} customers, {came.mean():.1%} with the outcome, "
        f"{frame.shape[1]} columns.\n"
    )
    print(
        "| model | AUC | log loss | calibration error | seconds a fit |\n| --- | ---: | ---: | ---: | ---: |"
    )
    for name, model in MODELS.items():
        measured, seconds = judged(model, frame, came, texts)
        spread = measured.groupby(level=0).mean().std()
        cells = [f"{measured[each].mean():.4f} ± {spread[each]:.4f}" for each in measured]
        print(f"| {name} | {' | '.join(cells)} | {seconds:.2f} |", flush=True)
    print()


def judged(
    model: Model, frame: pd.DataFrame, came: np.ndarray, texts: list[str]
) -> tuple[pd.DataFrame, float]:
    """Measure a model in every fold, and the processor time of a fit."""
    made = [
        (repeat, *split)
        for repeat in range(REPEATS)
        for split in StratifiedKFold(FOLDS, shuffle=True, random_state=repeat).split(frame, came)
    ]

    def one(split: tuple[int, np.ndarray, np.ndarray]) -> dict[str, float]:
        repeat, taught, tested = split
        chance = model(frame.iloc[taught], came[taught], frame.iloc[tested], texts)
        return {
            "repeat": repeat,
            "auc": roc_auc_score(came[tested], chance),
            "log_loss": log_loss(came[tested], chance),
            "calibration_error": calibration_error(came[tested], chance) or 0.0,
        }

    start = time.process_time()
    with threadpool_limits(1), ThreadPoolExecutor(2) as pool:
        rows = list(pool.map(one, made))
    return pd.DataFrame(rows).set_index("repeat"), (time.process_time() - start) / len(made)


def tierwise(learn: pd.DataFrame, came: np.ndarray, test: pd.DataFrame, texts: list[str]) -> np.ndarray:
    """Forecast as `tierwise train` does."""
    labels = pd.DataFrame({"came": came})
    return np.asarray(LabelledForecaster(categorical=texts).fit(learn, labels).predict(test)["churn_risk"])


def logistic(learn: pd.DataFrame, came: np.ndarray, test: pd.DataFrame, texts: list[str]) -> np.ndarray:
    """Forecast by scikit-learn's logistic regression: texts one-hot, blanks zero, all standardised."""
    model = make_pipeline(OneHots(texts), StandardScaler(with_mean=False), LogisticRegression(max_iter=2000))
    return np.asarray(model.fit(learn.fillna(0), came).predict_proba(test.fillna(0))[:, 1])


class OneHots(OneHotEncoder):  # type: ignore[misc]
    """One-hot codes of the texts beside the numbers."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__(handle_unknown="ignore", sparse_output=False)
        self.texts = texts

    def fit(self, frame: pd.DataFrame, came: object = None) -> "OneHots":
        """Learn the values."""
        return super().fit(frame[self.texts], came)

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Return numbers, then codes."""
        return np.hstack([frame.drop(columns=self.texts).to_numpy(), super().transform(frame[self.texts])])

    def fit_transform(self, frame: pd.DataFrame, came: object = None) -> np.ndarray:
        """Do both."""
        return self.fit(frame, came).transform(frame)


def boosted(**settings: float) -> Model:
    """Forecast by LightGBM with these settings beside its defaults."""

    def forecast(learn: pd.DataFrame, came: np.ndarray, test: pd.DataFrame, texts: list[str]) -> np.ndarray:
        model = lgb.LGBMClassifier(n_jobs=1, verbose=-1, **settings)
        return np.asarray(model.fit(learn, came, categorical_feature=texts).predict_proba(test))[:, 1]

    return forecast


def histogram(learn: pd.DataFrame, came: np.ndarray, test: pd.DataFrame, texts: list[str]) -> np.ndarray:
    """Forecast by scikit-learn's boosted trees."""
    model = HistGradientBoostingClassifier(categorical_features=texts, random_state=0)
    return np.asarray(model.fit(learn, came).predict_proba(test)[:, 1])


MODELS: dict[str, Model] = {
    "Tierwise": tierwise,
    "logistic regression": logistic,
    "LightGBM, 6 leaves, 0.03 x 250": boosted(num_leaves=6, learning_rate=0.03, n_estimators=250),
    "LightGBM, 63 leaves, 0.05 x 300": boosted(num_leaves=63, learning_rate=0.05, n_estimators=300),
    "LightGBM, defaults": boosted(),
    "HistGradientBoosting": histogram,
}

if __name__ == "__main__":
    main()
