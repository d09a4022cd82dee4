"""The training job of the labelled setting: a table of customers with a known outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import duckdb
import pandas as pd
from threadpoolctl import threadpool_limits

from features.batch import put_on_spine, workplace
from features.configuration import Configuration
from features.contract import CUSTOMERS, Kind
from features.forecast_settings import ForecastSettings
from features.instants import Cutoff
from features.plan import FeaturePlan
from features.protected import feature_sources
from features.sources import CustomersSource, Source, read_sources
from features.staging import stage
from features.survey import plan_attributes
from models.bundle import Bundle, as_json
from models.labelled_forecaster import LabelledForecaster
from models.standing import quantile_grid
from training.cross_validation import Split, baselines, out_of_fold, splits
from training.evaluation import Evaluation, evaluate, paired_gain
from training.gate import SO_FAR, Verdict, decide, unfit
from training.golden import with_golden_customers
from training.grade import grade_of
from training.holdout import Progress
from training.leakage import check_single_features
from training.metrics import log_losses
from training.outcome import Outcome, read_outcome
from training.placing import measured
from training.registration import Result, Training, register
from training.registry import Registry

SEED = 0
MODEL = "blend"
MEASURED = ("auc", "log_loss", "calibration_error")
"""There is no value to measure."""
MOST_ROWS = 200_000
"""Customers beyond which a draw teaches as much as everybody."""


@dataclass(frozen=True)
class LabelledLesson:
    """What there is to learn from.

    Parameters
    ----------
    connection
        With the staged ``customers``.
    plan
        The features.
    outcome
        What came of each customer.
    cutoff
        The `as_of`, of which only ``valid_from`` takes notice.
    """

    connection: duckdb.DuckDBPyConnection
    plan: FeaturePlan
    outcome: Outcome
    cutoff: Cutoff

    @property
    def came(self) -> pd.Series:
        """The outcome of the customers that are learnt from, by customer_id."""
        return self.outcome.came.sample(
            min(len(self.outcome.came), MOST_ROWS), random_state=SEED
        ).sort_index()

    def frame(self, steps: dict[str, str]) -> pd.DataFrame:
        """Return the feature rows of those customers, by the SQL of a plan."""
        put_on_spine(self.connection, f"SELECT customer_id FROM {CUSTOMERS.name}", self.cutoff)
        rows = self.connection.execute(f"SELECT * EXCLUDE (as_of) FROM ({steps['features']})").df()
        return rows.set_index("customer_id").loc[self.came.index]

    def recipe(self, meaning: Literal["churn", "conversion"]) -> LabelledForecaster:
        """Return the forecaster to teach."""
        texts = tuple(each.feature for each in self.plan.attributes if each.kind is Kind.TEXT)
        return LabelledForecaster(meaning=meaning, categorical=texts, seed=SEED)


def train_labelled(
    configuration: Configuration,
    registry: Registry,
    champion: Bundle | None,
    *,
    as_of: datetime | None,
    progress: Progress,
) -> Training:
    """Train on the customers whose outcome is known, and register the bundle.

    The model and all that it is compared with are judged by repeated stratified cross-validation; the
    champion so far stays unless the model is better beyond chance, or is the same recipe taught on more.

    Parameters
    ----------
    champion
        The bundle that serves now; null for none.
    as_of
        Names the training; today without one.

    Raises
    ------
    InputError
        A source or a setting is wrong, or the outcome tells nothing.
    """
    as_of = as_of or datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    project = configuration.project
    with _one_thread_of_blas(), workplace(project.workspace) as connection:
        progress("reading the sources")
        stage(configuration, connection)
        outcome, plan, notes = _look(configuration, connection)
        lesson = LabelledLesson(connection, plan, outcome, Cutoff.at(as_of, project.time_zone))
        frame, recipe = (
            lesson.frame(plan.sql()["duckdb"]),
            lesson.recipe(_source(read_sources(configuration)).label_means),
        )
        allowed = _settings(configuration).allow_features
        check_single_features(frame, lesson.came.to_numpy(dtype=float), allowed=allowed)
        made = splits(lesson.came.to_numpy(), seed=SEED)
        judged = [_held_out(recipe, frame, lesson.came, made, progress)]
        why_unfit = unfit(champion, configuration, connection, outcome=outcome.described)
        rival = None if why_unfit else champion
        if rival is not None and made:
            judged.append(_again(rival, recipe, lesson, judged[0], made, progress))
        progress("teaching on everybody")
        recipe.fit(frame, lesson.came.to_frame("came"))
        forecasts = recipe.predict(frame)
        rules = measured(configuration, connection, as_of=as_of, present=frame, forecasts=forecasts)
    held_out = pd.concat(judged, ignore_index=True)
    verdict = _verdict(held_out, rival, len(lesson.came)).after(why_unfit)
    facts = _facts(configuration, lesson, forecasts, frame, as_of) | {
        "placement": rules.to_json(),
        "notes": [*notes, *_doubts(recipe)],
        "was_judged": bool(made),
    }
    rivals = [] if held_out.empty else [name for name in held_out["model"].unique() if name != SO_FAR]
    facts |= grade_of(held_out, MODEL, rivals).facts()
    bundle = with_golden_customers(
        Bundle.of(recipe, plan, training=facts), frame, time_zone=project.time_zone
    )
    evaluation = _evaluated(held_out)
    return register(Result(recipe, bundle, verdict, evaluation, held_out), registry, project, champion)


def _one_thread_of_blas() -> threadpool_limits:
    """Settle it once: its threads take longer to wake than to work, and a change amid work is a crash."""
    return threadpool_limits(1, user_api="blas")


def look_over(configuration: Configuration, connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Say what the staged customers have to learn from: notes, and how frequent the outcome is."""
    outcome, plan, notes = _look(configuration, connection)
    return [
        *(f"note: {note}" for note in notes),
        f"{outcome.sentence}; {len(plan.attributes)} columns are features",
    ]


def _look(
    configuration: Configuration, connection: duckdb.DuckDBPyConnection
) -> tuple[Outcome, FeaturePlan, list[str]]:
    """Read the outcome of the staged customers and plan their features; with notes on what is left out.

    Raises
    ------
    InputError
        The outcome tells nothing, or no column does.
    """
    source = _source(feature_sources(configuration, connection))
    outcome = read_outcome(connection, source)
    plan, notes = plan_attributes(connection, source, horizon_days=_settings(configuration).horizon_days)
    return outcome, plan, [*outcome.notes, *notes]


def _held_out(
    recipe: LabelledForecaster, frame: pd.DataFrame, came: pd.Series, made: list[Split], progress: Progress
) -> pd.DataFrame:
    if not made:
        return pd.DataFrame()
    progress(f"{MODEL}, {len(made)} folds held out")
    judged = out_of_fold(MODEL, recipe, frame, came, made)
    progress("what it is compared with")
    return pd.concat([judged, baselines(recipe, frame, came, made)], ignore_index=True)


def _again(
    champion: Bundle,
    recipe: LabelledForecaster,
    lesson: LabelledLesson,
    judged: pd.DataFrame,
    made: list[Split],
    progress: Progress,
) -> pd.DataFrame:
    """Teach the champion's recipe without each fold, unless it is the same as the one that was judged."""
    before = champion.estimator()
    is_same = champion.plan() == lesson.plan and as_json(before.get_params()) == as_json(recipe.get_params())
    if is_same:
        return judged[judged["model"] == MODEL].assign(model=SO_FAR)
    progress("the champion so far")
    return out_of_fold(SO_FAR, before, lesson.frame(champion.steps("duckdb")), lesson.came, made)


def _evaluated(held_out: pd.DataFrame) -> Evaluation | None:
    if held_out.empty:
        return None
    done = evaluate(held_out)
    about_chance = done.table["metric"].isin(MEASURED)
    return replace(done, table=done.table[about_chance], held_out="repeats of the cross-validation")


def _verdict(held_out: pd.DataFrame, champion: Bundle | None, customers: int) -> Verdict:
    if held_out.empty:
        reason = "one of the two outcomes is too rare to hold anything out; it stands unjudged"
        return Verdict.unjudged(MODEL, reason, has_rival=champion is not None)
    if champion is None:
        return _first(held_out)
    verdict = decide(held_out, MODEL, SO_FAR)
    before = champion.training["customers"]
    if not verdict.gains and customers > before:
        reason = f"it is the recipe of the champion, taught on {customers:,} customers instead of {before:,}"
        return Verdict(MODEL, "champion", reason, ())
    return verdict


def _first(held_out: pd.DataFrame) -> Verdict:
    """Make the model the champion, and tell how it stands to the best baseline: it holds them all."""
    best = decide(held_out, MODEL, None)
    if best.name == MODEL:
        return best
    gain = paired_gain(held_out, MODEL, best.name, "log_loss")
    losses = {
        name: log_losses(1.0 * (rows["orders"].to_numpy() == 0), rows["churn_risk"].to_numpy()).mean()
        for name, rows in held_out.groupby("model")
    }
    how = "worse beyond chance" if gain.worse else "no worse beyond chance"
    reason = (
        f"There was no champion yet; in log loss it is {how} than {best.name}, the best baseline "
        f"({losses[MODEL]:.4f} against {losses[best.name]:.4f})."
    )
    return Verdict(MODEL, "champion", reason, (gain,))


def _facts(
    configuration: Configuration,
    lesson: LabelledLesson,
    told: pd.DataFrame,
    frame: pd.DataFrame,
    as_of: datetime,
) -> dict[str, Any]:
    project, came = configuration.project, lesson.came
    return {
        "as_of": as_of.isoformat(),
        "model": MODEL,
        "seed": SEED,
        "customers": len(came),
        "labelled_rows": len(came),
        "outcome": lesson.outcome.described,
        "base_rate": float(came.mean()),
        "churn_risk_grid": quantile_grid(told["churn_risk"].to_numpy()) if "churn_risk" in told else [],
        "missing": {str(name): float(share) for name, share in frame.isna().mean().items()},
        **_settings(configuration).question,
        **{key: getattr(project, key) for key in ("setting", "currency", "time_zone")},
    }


def _source(sources: Mapping[str, Source]) -> CustomersSource:
    source = sources[CUSTOMERS.name]
    assert isinstance(source, CustomersSource)  # noqa: S101 - by the contract
    return source


def _settings(configuration: Configuration) -> ForecastSettings:
    return configuration.section("forecast", ForecastSettings)


def _doubts(recipe: LabelledForecaster) -> list[str]:
    if recipe.weights_:
        return []
    return ["no column tells who has the outcome: everybody gets the base rate"]
