"""The effects of treatments, measured from their log."""

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from features.assignments import Log, assignments
from features.configuration import Configuration
from features.forecast_settings import ForecastSettings
from features.instants import Cutoff
from models.effects import NOT_OVER, Effect, Effects, effect_table
from models.uplift import UpliftLearner
from training.effect_outcomes import BEFORE, Followed, with_chances

ENOUGH = 2000
"""Assignments of a treatment from which differences of its effect are looked for."""
MOST = 100_000
"""Assignments of a treatment that they are looked for in: the latest ones."""
SEED = 0


def measure(
    connection: duckdb.DuckDBPyConnection,
    configuration: Configuration,
    *,
    cutoff: Cutoff,
    planned: pa.Table | None = None,
) -> Effects:
    """Measure the effect of every treatment that was assigned before the cutoff.

    Parameters
    ----------
    connection
        With the staged tables; its spine and matched refunds are replaced.
    cutoff
        Until when records are complete.
    planned
        What plans assigned, as of `features.assignments.assignments`.

    Returns
    -------
    By treatment its average effect, and what it adds to whom where that differs beyond noise; without an
    outcome or a control the reason why there is none. Nothing without a log.
    """
    log_of(connection, configuration, cutoff=cutoff, planned=planned)
    followed = Followed(connection, configuration, cutoff)
    known = compared(followed)
    table = effect_table(known, before=BEFORE)
    learners = uplifts(followed, known)
    effects = {
        str(row["treatment"]): effect_of(row, learners.get(str(row["treatment"])))
        for _, row in table.iterrows()
    }
    waiting = connection.execute("SELECT DISTINCT treatment FROM assignments ORDER BY 1").fetchall()
    return {name: Effect(0, 0, reason=NOT_OVER) for (name,) in waiting} | effects


def log_of(
    connection: duckdb.DuckDBPyConnection,
    configuration: Configuration,
    *,
    cutoff: Cutoff,
    planned: pa.Table | None,
) -> Log:
    """Make the table of assignments, as configured."""
    return assignments(
        connection,
        cutoff=cutoff,
        horizon_days=configuration.section("forecast", ForecastSettings).horizon_days,
        planned=planned,
        time_zone=configuration.project.time_zone,
    )


def compared(followed: Followed) -> pd.DataFrame:
    """Return the assignments that are over and their outcomes, but for what was explored."""
    rows = followed.outcomes()
    return with_chances(rows[rows["is_explored"] == 0].reset_index(drop=True))


def effect_of(row: pd.Series, learner: UpliftLearner | None) -> Effect:
    """Return a row of the table of effects as what is known of a treatment."""
    return Effect(
        count_treated=int(row["treated"]),
        count_held=int(row["held_out"]),
        value=float(row["increment"]),
        value_se=float(row["increment_se"]),
        ordered=float(row["ordered"]),
        ordered_se=float(row["ordered_se"]),
        cost=float(row["cost"]),
        reason=row["reason"] if isinstance(row["reason"], str) else None,
        uplift=learner,
    )


def uplifts(followed: Followed, known: pd.DataFrame) -> dict[str, UpliftLearner]:
    """Learn whose value each treatment raises by how much, where that differs beyond noise.

    Of a customer who was assigned to it again the last assignment counts alone: rows are independent.
    """
    learners = {}
    features: pd.DataFrame | None = None
    for treatment, part in known.groupby("treatment"):
        rows = part[part["propensity"] < 1].sort_values(["assigned_at", "subject"])
        rows = rows.drop_duplicates("customer_id", keep="last").tail(MOST)
        is_treated = (rows["is_holdout"] == 0).to_numpy()
        if len(rows) < ENOUGH or is_treated.all() or not is_treated.any():
            continue
        features = followed.features() if features is None else features
        chance = rows["propensity"].to_numpy(dtype=float)
        treated = np.where(is_treated, chance, 1 - chance)
        learner = UpliftLearner(seed=SEED).fit(
            features.loc[rows["subject"]],
            rows["value"].to_numpy(dtype=float),
            is_treated.astype(np.int64),
            np.column_stack([1 - treated, treated]),
        )
        if learner.differs_[0].is_worth_acting_on:
            learners[str(treatment)] = learner
    return learners
