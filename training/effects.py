"""The effects of treatments, measured from their log."""

from collections.abc import Sequence
from datetime import UTC, datetime

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from features.assignments import Log, assignments
from features.batch import end_of_contracts, end_of_data, workplace
from features.configuration import Configuration
from features.contract import DAY
from features.errors import InputError
from features.forecast_settings import ForecastSettings
from features.instants import Cutoff
from features.plan import FeaturePlan
from features.staging import stage
from models.effects import (
    EVERYBODY,
    FEWEST,
    NOBODY_HELD,
    NOT_OVER,
    Effect,
    Effects,
    effect_table,
    least_worth,
)
from models.policies import policy_table
from models.uplift import UpliftLearner
from training.effect_outcomes import (
    BEFORE,
    KINDS,
    OVERTAKEN,
    WAITING,
    Followed,
    count_assignments,
    with_chances,
    with_standings,
)
from training.effect_report import FILE, EffectReport
from training.holdout import Progress

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
    model: FeaturePlan | None = None,
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
    model
        The features by which differences between customers are told; without it those that the records allow.

    Returns
    -------
    By treatment its average effect, and what it adds to whom where that differs beyond noise; without an
    outcome or a control the reason why there is none. Nothing without a log.
    """
    log_of(connection, configuration, cutoff=cutoff, planned=planned)
    if configuration.project.setting == "labelled":
        return {}
    followed = Followed(connection, configuration, cutoff, model)
    known = compared(followed)
    table, learners = table_of(connection, known), uplifts(followed, known)
    return {
        str(row["treatment"]): effect_of(row, learners.get(str(row["treatment"])))
        for _, row in table.iterrows()
    }


def effects(
    configuration: Configuration,
    planned: pa.Table | None,
    standings: pa.Table | None,
    *,
    drawn: pa.Table | None = None,
    progress: Progress = lambda _: None,
) -> EffectReport:
    """Measure the effects of all treatments, by tier and stage too, and leave them in the workspace.

    Parameters
    ----------
    planned
        What plans assigned, as of `features.assignments.assignments`.
    standings
        The periods of tiers and stages, as in `training.moves.standing_at`; each assignment counts where its
        customer stood then.
    drawn
        Whatever plans left to chance, as of `training.effect_outcomes.Followed.drawn`.

    Raises
    ------
    InputError
        A source or a setting is wrong, there is no log, or the setting knows no outcomes.
    """
    project = configuration.project
    if project.setting == "labelled":
        raise InputError(
            "project.setting = 'labelled' knows one outcome per customer and not when it came, so effects "
            "cannot be measured; configure [sources.orders] or [sources.contracts]"
        )
    with workplace(project.workspace) as connection:
        progress("reading the sources")
        stage(configuration, connection)
        as_of = _end(connection, project.setting)
        cutoff = Cutoff.at(as_of, project.time_zone)
        log = log_of(connection, configuration, cutoff=cutoff, planned=planned)
        if not log.assignments:
            raise InputError(_no_log(log, as_of))
        progress(f"following {log.over:,} assignments until {as_of:%Y-%m-%d}")
        known = compared(followed := Followed(connection, configuration, cutoff))
        report = EffectReport(
            as_of=as_of,
            horizon_days=followed.horizon_days,
            currency=project.currency,
            value=configuration.section("forecast", ForecastSettings).value,
            log=log,
            table=table_of(connection, with_standings(connection, known, standings), groups=KINDS),
            plans=plans_of(followed, known, drawn),
            waiting=count_assignments(connection, WAITING),
            assumed=_counts(known["treatment"][known["is_assumed"]]),
            share=followed.share(),
            overtaken=count_assignments(connection, OVERTAKEN.format(horizon=followed.horizon_days * DAY)),
        )
    file = project.workspace / FILE
    report = report.after(file)
    report.write(file)
    return report


def table_of(
    connection: duckdb.DuckDBPyConnection, known: pd.DataFrame, *, groups: Sequence[str] = ()
) -> pd.DataFrame:
    """Return the table of effects, with a row for each treatment of which nothing can be known yet."""
    table = effect_table(known, before=BEFORE, groups=groups)
    waiting = count_assignments(connection, WAITING)
    unknown = [
        {"treatment": name, "by": EVERYBODY, "group": EVERYBODY, "treated": 0, "held_out": 0}
        | {"reason": NOT_OVER if name in waiting else NOBODY_HELD}
        for name in count_assignments(connection, "TRUE")
        if name not in set(table["treatment"])
    ]
    rows = [*table.to_dict("records"), *unknown]
    told = pd.DataFrame(rows, columns=table.columns)
    return told.sort_values("treatment", kind="stable", ignore_index=True)


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
    return with_chances(followed.outcomes())


def effect_of(row: pd.Series, learner: UpliftLearner | None) -> Effect:
    """Return a row of the table of effects as what is known of a treatment."""
    return Effect(
        value=float(row["increment"]),
        value_se=float(row["increment_se"]),
        value_held=float(row["value_held"]),
        reason=row["reason"] if isinstance(row["reason"], str) else None,
        uplift=learner,
    )


def uplifts(followed: Followed, known: pd.DataFrame) -> dict[str, UpliftLearner]:
    """Learn whose value each treatment raises by how much, where that differs beyond noise.

    Of a customer who was assigned to it again the first assignment counts alone: rows are independent, and
    whether one is the last hangs on what came of it.
    """
    learners = {}
    for treatment, part in known.groupby("treatment"):
        rows = part[part["propensity"] < 1].sort_values(["assigned_at", "subject"])
        rows = rows.drop_duplicates("customer_id", keep="first").tail(MOST)
        is_treated = (rows["is_holdout"] == 0).to_numpy()
        chance = rows["propensity"].to_numpy(dtype=float)
        if len(rows) < ENOUGH or least_worth(is_treated, 1 / chance) < FEWEST:
            continue
        treated = np.where(is_treated, chance, 1 - chance)
        learner = UpliftLearner(seed=SEED).fit(
            followed.features(rows),
            rows["value"].to_numpy(dtype=float),
            is_treated.astype(np.int64),
            np.column_stack([1 - treated, treated]),
        )
        if learner.differs_[0].is_worth_acting_on:
            learners[str(treatment)] = learner
    return learners


def plans_of(followed: Followed, known: pd.DataFrame, drawn: pa.Table | None) -> pd.DataFrame:
    """Tell what plans earned as a whole, by the propensities that are on record alone."""
    recorded = known.assign(propensity=known["propensity"].mask(known["is_assumed"]))
    over = None if drawn is None else followed.drawn(drawn)
    return policy_table(recorded, over, before=BEFORE)


def _end(connection: duckdb.DuckDBPyConnection, setting: str) -> datetime:
    """Return until when records are complete: the end of their last day, and not in the future."""
    now = datetime.now(UTC)
    if setting == "contractual":
        return min(end_of_contracts(connection, now=now), now)
    return min(end_of_data(connection), now)


def _counts(names: "pd.Series[str]") -> dict[str, int]:
    return {str(name): int(rows) for name, rows in names.value_counts().items()}


def _no_log(log: Log, as_of: datetime) -> str:
    if log.future:
        return (
            f"all {log.future:,} assignments come after {as_of:%Y-%m-%d %H:%M} UTC, where the records end; "
            "bring the sources up to date"
        )
    source = "configure [sources.treatments], or make a plan: tierwise plan"
    return f"there is no log of treatments to measure; {source}"
