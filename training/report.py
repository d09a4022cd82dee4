"""What a report is made of: frames and plain values, each part on its own and none needed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from features.quality import DataQuality
from training.effect_report import EffectReport
from training.saving import worth_saving


@dataclass(frozen=True, kw_only=True, eq=False)
class Moves:
    """Who moved from which tier to which.

    Attributes
    ----------
    counts
        As of `training.moves.transition_matrix`, from `since` to `until`.
    expected
        If known, the share of each tier of today (index) that is expected in each tier (columns) when the
        horizon is over.
    """

    counts: pd.DataFrame
    since: datetime
    until: datetime
    expected: pd.DataFrame | None = None

    def ordered(self, tiers: Sequence[str]) -> pd.DataFrame:
        """Return the counts, the best tier first, then names of earlier policies, new and gone, where any."""
        known = [name for name in tiers if name in self.counts.index]
        counts = self.counts
        rows, columns = (
            [*known, *(name for name in names if name not in known and some[name])]
            for names, some in ((counts.index, counts.any(axis=1)), (counts.columns, counts.any(axis=0)))
        )
        return counts.loc[rows, columns]

    def up_and_down(self, tiers: Sequence[str]) -> tuple[int, int]:
        """Count who moved to a better, and who to a worse one of these tiers."""
        counts = self.counts.reindex(index=list(tiers), columns=list(tiers), fill_value=0).to_numpy(
            dtype=float
        )
        return int(np.tril(counts, -1).sum()), int(np.triu(counts, 1).sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What is to be done for the customers of a run.

    Attributes
    ----------
    plan_id, run_id, as_of
        Its name, and its run.
    totals
        A row per treatment: ``treatment`` (`features.treatment_settings.NOTHING` too); how many ``customers``
        get it, some of them ``at_random``, and how many more are ``held_out``; and of who get it the
        ``expected_cost``, ``expected_gain`` net of it, ``gain_low`` and ``gain_high`` (80%), in the project's
        currency.
    trust
        By treatment the weight of what was measured in its expected gain, from 0 to 1.
    is_shipped
        Whether the treatments are the shipped ones.
    left_alone
        How many get nothing, by what decided; null where that is not known.
    limits
        By ``budget``, ``channel NAME`` and ``treatment NAME`` how much is ``used``, the ``most`` that there
        is, and the ``price``: what one more unit would gain; null where that is not known.
    """

    plan_id: str
    run_id: str
    as_of: datetime
    totals: Sequence[Mapping[str, Any]]
    trust: Mapping[str, float]
    is_shipped: bool = False
    left_alone: Mapping[str, int] | None = None
    limits: Mapping[str, Mapping[str, float]] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """All that the page shows; a part that is null, or a frame without rows, is said to be missing.

    Attributes
    ----------
    project, run_id, as_of, model_version, horizon_days, currency
        Of the run.
    language
        ``en`` or ``zh``.
    tier_names
        The names of the tiers, the best first.
    customers
        One row per customer of the run: ``customer_id``, ``value_tier``, ``lifecycle_stage``, ``churn_risk``,
        ``expected_value``, ``reasons`` (as the store keeps them); other columns are not looked at.
    moves
        Between the tiers, since an earlier run.
    funnel, retention
        As of `training.funnel.stage_rates` and `training.funnel.retention`.
    effect
        As of `training.grading.Grading.comparison`.
    treatments
        The effects that were measured last.
    plan
        The latest one.
    fairness, calibration
        As of `training.fairness.tier_rates` and `training.fairness.calibration_by_group`.
    lost
        As of `models.lost.lost_table`, whom to win back first on top.
    quality
        The report on the staging of the sources.
    facts
        What the bundle says of its training.
    measures
        The table of the evaluation that its training made, as of `training.evaluation.Evaluation`.
    """

    project: str
    run_id: str
    as_of: datetime
    model_version: str
    horizon_days: int
    currency: str
    language: str = "en"
    tier_names: Sequence[str] = ()
    customers: pd.DataFrame | None = None
    moves: Moves | None = None
    funnel: pd.DataFrame | None = None
    retention: pd.DataFrame | None = None
    effect: pd.DataFrame | None = None
    treatments: EffectReport | None = None
    plan: Plan | None = None
    fairness: pd.DataFrame | None = None
    calibration: pd.DataFrame | None = None
    lost: pd.DataFrame | None = None
    quality: DataQuality | None = None
    facts: Mapping[str, Any] | None = None
    measures: pd.DataFrame | None = None

    @property
    def is_labelled(self) -> bool:
        """Whether the model tells a label, and knows no days and no value."""
        return self.facts is not None and self.facts.get("setting") == "labelled"

    @cached_property
    def saving(self) -> pd.DataFrame | None:
        """Who is worth saving, the largest expected loss first; null without a forecast of value."""
        if self.customers is None or self.customers["expected_value"].isna().all():
            return None
        return worth_saving(self.customers)
