"""What a training leaves in the registry beside its bundle: parameters, measures, tables and plots."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.bundle import as_json
from models.estimator import ForecastEstimator
from models.tree_forecaster import TreeForecaster
from training import plots
from training.evaluation import Evaluation
from training.versions import TrainingRun

LONG = ("churn_risk_grid", "missing", "potential", "placement")
"""Facts that are no parameters."""
EVALUATION = "evaluation.csv"
"""The text with the measures of all models."""
LARGEST, SAMPLE = 6, 1_000
"""Features in the picture of partial dependence, and customers behind it."""


def training_run(
    project: str,
    estimator: ForecastEstimator,
    facts: dict[str, Any],
    *,
    evaluation: Evaluation | None,
    held_out: pd.DataFrame,
    present: pd.DataFrame | None = None,
) -> TrainingRun:
    """Put together what MLflow shows of a training.

    Parameters
    ----------
    facts
        Those of the bundle.
    evaluation, held_out
        Of all models; the plots show the one that was trained.
    present
        Features of customers, on which the plot of partial dependence is made.
    """
    as_of = datetime.fromisoformat(facts["as_of"])
    settings = {f"estimator.{key}": value for key, value in estimator.get_params().items()}
    params = settings | {key: value for key, value in facts.items() if key not in LONG}
    texts = {"training.json": as_json(params)}
    if evaluation is not None:
        texts["evaluation.json"] = evaluation.to_json()
        texts[EVALUATION] = evaluation.to_frame().to_csv(index=False)
    return TrainingRun(
        name=f"{project} {as_of:%Y-%m-%d} {facts['model']}",
        kind=estimator.kind,
        as_of=as_of,
        params=params,
        metrics=_metrics(evaluation, facts["model"]) | _of_potential(facts),
        figures=_figures(held_out, facts) | _of_trees(estimator, present),
        texts=texts,
    )


def _metrics(evaluation: Evaluation | None, model: str) -> dict[str, float]:
    if evaluation is None:
        return {}
    table = evaluation.table
    own = table[(table["model"] == model) & table["estimate"].notna()]
    return dict(zip(own["metric"], own["estimate"], strict=True))


def _of_potential(facts: Mapping[str, Any]) -> dict[str, float]:
    measures = facts.get("potential", {}).get("measures", {})
    return {f"potential_{name}": value for name, value in measures.items()}


def _figures(held_out: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, Figure]:
    drawings: dict[str, Callable[[Axes], Axes]] = {}
    if not held_out.empty:
        own = held_out[held_out["model"] == facts["model"]]
        churned, risk = np.asarray(own["orders"] == 0, dtype=float), own["churn_risk"].to_numpy()
        value, predicted = own["value"].to_numpy(), own["expected_value"].to_numpy()
        currency = facts["currency"]
        drawings |= {
            "calibration.png": lambda ax: plots.calibration(churned, risk, ax=ax),
        }
        value_drawings: dict[str, Callable[[Axes], Axes]] = {
            "gain.png": lambda ax: plots.gain(value, predicted, ax=ax),
            "decile_value.png": lambda ax: plots.decile_value(value, predicted, currency=currency, ax=ax),
        }
        drawings |= value_drawings if value.any() else {}
    return {name: _drawn(draw) for name, draw in drawings.items()}


def _of_trees(estimator: ForecastEstimator, present: pd.DataFrame | None) -> dict[str, Figure]:
    if not isinstance(estimator, TreeForecaster):
        return {}
    importance = estimator.importance()
    figures = {"importance.png": _drawn(lambda ax: plots.importance(importance, ax=ax))}
    if present is not None and estimator.behaviour_.boosters_:
        few = present.sample(min(len(present), SAMPLE), random_state=0)
        table = pd.concat([estimator.partial_dependence(few, name) for name in importance.index[:LARGEST]])
        figures["partial_dependence.png"] = _drawn(lambda ax: plots.partial_dependence(table, ax=ax))
    return figures


def _drawn(draw: Callable[[Axes], Axes]) -> Figure:
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    draw(figure.subplots())
    return figure
