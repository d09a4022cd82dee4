"""What past plans earned as a whole, and what simpler rules would have earned in their place."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from features.treatment_settings import NOTHING
from models.effects import FEWEST, NOBODY_HELD, compare, least_worth
from models.likelihood import Vector
from models.policy_value import FOLDS, Flags, PolicyGain, RandomisedLog

AS_MADE = "as_made"
WHAT_PAYS = "what_pays"
EVERYBODY = "everybody"
UNKNOWN_CHANCES = "unknown_chances"
NO_COST = "no_cost"
COLUMNS = (
    *("rule", "treatment", "run_id", "began", "assignments", "left_out"),
    *("gain", "gain_low", "gain_high", "ips", "ips_low", "ips_high"),
    *("total", "total_low", "total_high", "more", "more_low", "more_high", "reason", "number"),
)


@dataclass(frozen=True)
class Assigned:
    """Assignments that could have been withheld, as a log of what chance did.

    Parameters
    ----------
    rows
        As of `policy_table`; all have a propensity below 1, and the cost of all who were treated is known.
    before
        Columns of the time before the assignment.
    """

    rows: pd.DataFrame
    before: Sequence[str]

    @cached_property
    def held(self) -> Flags:
        """Who was left alone."""
        return np.asarray(self.rows["is_holdout"] == 1)

    @cached_property
    def net(self) -> Vector:
        """The value within the horizon less the cost of what was done."""
        cost = self.rows["cost"].where(~self.held, 0.0)
        return (self.rows["value"] - cost).to_numpy(dtype=float)

    @cached_property
    def customer(self) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Codes of the customers, the same in whichever order the rows come."""
        return np.unique(self.rows["customer_id"].to_numpy(dtype=str), return_inverse=True)[1]

    @cached_property
    def known(self) -> Vector:
        """What was known of each at the assignment: the time before, and which treatment was intended."""
        intended = pd.get_dummies(self.rows["treatment"], drop_first=True, dtype=float)
        return np.column_stack([self.rows[list(self.before)].to_numpy(dtype=float), intended.to_numpy()])

    def log(self, *, robust: bool) -> RandomisedLog:
        """Return the log, with what outcomes are expected by, or without."""
        chance = self.rows["propensity"].to_numpy(dtype=float)
        return RandomisedLog(self.net, chance, self.customer, self.known if robust else None)

    def pays(self) -> Flags:
        """Tell whose treatment earned more than it cost among other customers; of too few it is kept.

        The effect of a fold's treatments is measured on the other folds alone, so that no customer's outcome
        has a say in what is done for them.
        """
        pays, fold = np.ones(len(self.rows), dtype=bool), self.customer % FOLDS
        weight = 1 / self.rows["propensity"].to_numpy(dtype=float)
        before = self.rows[list(self.before)].to_numpy(dtype=float)
        for treatment in self.rows["treatment"].unique():
            mine = (self.rows["treatment"] == treatment).to_numpy()
            for block in range(FOLDS):
                taught = mine & (fold != block)
                if least_worth(~self.held[taught], weight[taught]) >= FEWEST:
                    given = (each[taught] for each in (self.net, ~self.held, weight, self.customer, before))
                    pays[mine & (fold == block)] = compare(*given).increment > 0
        return pays


class Drawn(Assigned):
    """Whatever plans left to chance: nothing and explorations, too."""

    @cached_property
    def held(self) -> Flags:
        """Who was left alone."""
        return np.asarray((self.rows["is_holdout"] == 1) | (self.rows["treatment"] == NOTHING))

    @cached_property
    def known(self) -> Vector:
        """What was known of each before: the treatment of some was chance's own."""
        return self.rows[list(self.before)].to_numpy(dtype=float)


def policy_table(
    log: pd.DataFrame, drawn: pd.DataFrame | None = None, *, before: Sequence[str]
) -> pd.DataFrame:
    """Tell what the plans earned beyond leaving everybody alone, and what simpler rules would have.

    Parameters
    ----------
    log
        One row per assignment that is over and was no exploration: ``treatment``, ``customer_id``,
        ``is_holdout``, ``propensity`` (of what was done, NaN where unknown), ``value``, ``cost`` (per
        treated, NaN where unknown), ``run_id``, ``assigned_at``, and the columns of `before`.
    drawn
        One row per plan and customer about whom chance decided and whose horizon is over, nothing and
        explorations too: as the log, less its run, ``is_explored``, and ``candidates``, the names of the
        treatments that had a chance, as a JSON list.
    before
        Columns of the time before the assignment.

    Returns
    -------
    One row for all plans ``as_made``, one for ``what_pays`` (what was intended, where it earned more than its
    cost among other customers, else nothing) unless that is all the same, one as made for each run where
    there are several, and one for each ``treatment`` that had a chance, given to ``everybody`` who had it.
    Columns: ``rule, treatment, run_id``, ``began`` (int64, us UTC; of a run), ``assignments`` that are judged
    and ``left_out`` of them (of unknown propensity or cost, or who could not have been held out). Beyond
    leaving everybody alone, costs taken off, with 95% intervals clustered by customer: ``gain`` per
    assignment, doubly robust; ``ips``, by inverse propensity alone; ``total`` of the gain; ``more``, the gain
    beyond that of the plans as made. ``reason``: null, or why all this is NaN; and its ``number``.
    """
    rows = [*_rows(log, before), *([] if drawn is None else _of_everybody(drawn, before))]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(log: pd.DataFrame, before: Sequence[str]) -> Iterator[dict[str, Any]]:
    if log.empty:
        return
    judged = _judged(log, before)
    yield _made(log, judged)
    if judged.held.any() and not (pays := judged.pays()).all():
        yield {"rule": WHAT_PAYS, "treatment": None, "run_id": None} | _gained(
            judged, pays != judged.held, ~judged.held
        )
    if log.groupby("run_id", dropna=False).ngroups > 1:
        for run, part in log.groupby("run_id"):
            yield _made(part, _judged(part, before)) | {
                "run_id": run,
                "began": int(part["assigned_at"].min()),
            }


def _of_everybody(drawn: pd.DataFrame, before: Sequence[str]) -> Iterator[dict[str, Any]]:
    sets = {names: json.loads(names) for names in drawn["candidates"].unique()}
    for treatment in sorted({name for names in sets.values() for name in names}):
        had = drawn["candidates"].isin([names for names, each in sets.items() if treatment in each])
        rows = Drawn(drawn[had], before)
        gets = np.asarray(rows.rows["treatment"] == treatment) & ~rows.held
        made = np.asarray((rows.rows["is_holdout"] == 0) & (rows.rows["is_explored"] == 0))
        row = {"rule": EVERYBODY, "treatment": treatment, "run_id": None, "assignments": len(gets)}
        unknown = int(np.isnan(rows.net).sum())
        refused = {"reason": NO_COST, "number": unknown} if unknown else None
        yield row | {"left_out": 0} | (refused or _gained(rows, gets, made))


def _judged(log: pd.DataFrame, before: Sequence[str]) -> Assigned:
    return Assigned(log[~_unknown(log) & (log["propensity"] < 1)], before)


def _made(log: pd.DataFrame, judged: Assigned) -> dict[str, Any]:
    row = {"rule": AS_MADE, "treatment": None, "run_id": None, "assignments": len(judged.rows)}
    row |= {"left_out": len(log) - len(judged.rows)}
    if not judged.held.any():
        return row | _refusal(log)
    return row | _gained(judged, ~judged.held, ~judged.held)


def _unknown(log: pd.DataFrame) -> "pd.Series[bool]":
    """Tell of which assignments the propensity is unknown, or what their treatment costs."""
    lacks = log["cost"].isna() & (log["is_holdout"] == 0)
    return log["propensity"].isna() | lacks.groupby(log["treatment"]).transform("any")


def _refusal(log: pd.DataFrame) -> dict[str, Any]:
    """Say why nobody who was left alone is there to compare with."""
    if unknown := int(log["propensity"].isna().sum()):
        return {"reason": UNKNOWN_CHANCES, "number": unknown}
    if unknown := int(_unknown(log).sum()):
        return {"reason": NO_COST, "number": unknown}
    return {"reason": NOBODY_HELD}


def _gained(judged: Assigned, does: Flags, made: Flags) -> dict[str, Any]:
    """Tell what a rule earns, given whether what was done is what it does, and what the plan chose."""
    robust = judged.log(robust=True)
    gain = robust.gain(does, over=judged.held)
    if gain.reason is not None:
        return {"reason": gain.reason, "number": gain.number}
    rows = len(judged.rows)
    more = PolicyGain() if (does == made).all() else robust.gain(does, over=made)
    return {
        "assignments": rows,
        **_told("gain", gain),
        **_told("ips", judged.log(robust=False).gain(does, over=judged.held)),
        **_told("total", PolicyGain(rows * gain.value, rows * gain.standard_error)),
        **_told("more", more),
        "reason": None,
    }


def _told(name: str, gain: PolicyGain) -> dict[str, float]:
    return {name: gain.value, f"{name}_low": gain.low, f"{name}_high": gain.high}
