"""Outcomes as they would have come without treatments, as far as customers held out at random tell."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from features.batch import tables_in
from features.contract import DAY, TREATMENTS
from features.instants import Cutoff
from features.treatment_settings import NOTHING
from models.draws import unit
from models.likelihood import Vector

FEWEST = 30
"""Customers held out of a treatment, and treated by it, from which on they tell its effect."""
MOST_WEIGHT = 20.0
"""Of an assignment: one over its propensity, but a rare one must not tell all."""
SEEN = 0.005
"""A smaller share rounds to nothing."""
MADE = {"orders": ("ordered", "stayed away"), "ended": ("left", "stayed")}
"""What a customer did by what is labelled, if it came and if not."""


@dataclass(frozen=True)
class Undone:
    """What was undone of a treatment.

    Parameters
    ----------
    treated, held
        Rows of snapshots that were treated, or held out, within the horizon.
    held_customers
        The fewer of the customers behind either.
    adds
        Whether the outcome came more often with the treatment.
    share
        Of the treated rows with the more frequent outcome, those that have it because of the treatment; null
        where too few were held out to tell.
    changed
        Rows that teach the outcome of somebody held out instead.
    """

    treatment: str
    treated: int
    held: int
    held_customers: int
    adds: bool
    share: float | None
    changed: int

    def told(self, outcome: str) -> str:
        """Say it in a few words."""
        if self.share is None:
            few = f"{self.held_customers:,} customers to compare, {FEWEST} are needed"
            return f"{self.treatment} teaches as it happened ({few})"
        rows = f"({self.treated:,} rows treated, {self.held:,} held out)"
        if self.share < SEEN:
            return f"{self.treatment} made no difference that is seen {rows}"
        did = MADE[outcome][0 if self.adds else 1]
        return (
            f"{self.treatment}: of those treated who then {did}, {self.share:.0%} did so because of it {rows}"
        )


class Untreated:
    """Undoes the effect of treatments on what snapshots teach.

    A model taught on customers who were called learns that risky customers stay. Who was held out at random
    tells which share of what the treated did they did because of the treatment (the attributable fraction:
    Levin 1953), and it is undone row by row, as by the structural nested models of Robins (1994): so large a
    share of the treated rows, drawn by a hash, takes over the labels of one who was held out of the same
    treatment at the same snapshot, and whose outcome was the opposite. The shares are shrunk by their noise.
    Rows are neither left out nor weighted, which would cost half of what there is to learn from.

    Parameters
    ----------
    connection
        With the staged ``treatments``, where there are any.
    outcome
        What is labelled, ``orders`` or ``ended``.
    horizon_days
        A snapshot was treated if an assignment fell within so many days after it.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, outcome: str, horizon_days: int) -> None:
        self._connection = connection
        self._outcome = outcome
        self._horizon_days = horizon_days
        self._is_logged = TREATMENTS.name in tables_in(connection)
        self.undone_: list[Undone] = []

    def labels(
        self, labels: Sequence[pd.DataFrame], cutoffs: Sequence[Cutoff], *, known_by: Cutoff
    ) -> list[pd.DataFrame]:
        """Return the labels of snapshots with the effects of treatments undone.

        Parameters
        ----------
        labels
            Of each snapshot, indexed by customer_id, as known at `known_by`.
        cutoffs
            Of the snapshots.
        known_by
            Assignments before it are seen.
        """
        self.undone_ = []
        cases = self._cases(labels, cutoffs, known_by) if self._is_logged else pd.DataFrame()
        if cases.empty:
            return list(labels)
        changed = [each.to_numpy(dtype=float, copy=True) for each in labels]
        for name in sorted(cases["treatment"].unique()):
            self.undone_.append(_undo(str(name), cases, changed))
        return [
            pd.DataFrame(values, index=each.index, columns=each.columns)
            for values, each in zip(changed, labels, strict=True)
        ]

    def notes(self) -> list[str]:
        """Say what was undone last, in one remark; nothing where nobody was treated."""
        if not self.undone_:
            return []
        rows = sum(each.changed for each in self.undone_)
        told = "; ".join(each.told(self._outcome) for each in self.undone_)
        what = f"{rows:,} rows teach what a customer held out did instead"
        return [f"treatments: {what}, so that the forecast is that without treatment; {told}"]

    def _cases(
        self, labels: Sequence[pd.DataFrame], cutoffs: Sequence[Cutoff], known_by: Cutoff
    ) -> pd.DataFrame:
        """List the first assignment of each treatment within the horizon of each snapshot.

        Returns
        -------
        One row per snapshot, customer and treatment: ``snapshot`` and ``row``, their places; ``is_held``,
        ``weight``; whether the outcome ``came`` by the longest known knot, which ``is_whole`` if it is the
        horizon. Customers whose outcome came before the assignment are left out.
        """
        found = self._connection.execute(
            _ASSIGNED.format(
                snapshots=", ".join(f"({place}, {at.micros})" for place, at in enumerate(cutoffs)),
                horizon=self._horizon_days * DAY,
                known_by=known_by.micros,
            ),
            {"nothing": NOTHING, "most": MOST_WEIGHT},
        ).df()
        parts = [self._outcomes(found[found["snapshot"] == place], each) for place, each in enumerate(labels)]
        return pd.concat(parts, ignore_index=True)

    def _outcomes(self, assigned: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
        known = labels.filter(regex=f"^{self._outcome}_").dropna(axis="columns")
        days = np.array([int(str(name).rpartition("_")[2]) for name in known])
        days = days[days <= self._horizon_days]
        rows = labels.index.get_indexer(pd.Index(assigned["customer_id"]))
        there = rows >= 0
        if not days.size or not there.any():
            return assigned[:0].assign(row=0, came=False, is_whole=False)
        listed, rows = assigned[there], rows[there]
        came = known.to_numpy()[rows] > 0
        last = np.searchsorted(days, listed["days"], side="right") - 1
        before = (last >= 0) & came[np.arange(len(rows)), last]
        is_whole = bool(days[-1] == self._horizon_days)
        return listed.assign(row=rows, came=came[:, days.size - 1], is_whole=is_whole)[~before]


_ASSIGNED = f"""
SELECT snapshot, customer_id, treatment, min(assigned_at - cutoff) / {DAY} AS days,
    arg_min(coalesce(is_holdout, 0) = 1, assigned_at) AS is_held,
    least(1 / coalesce(nullif(arg_min(propensity, assigned_at), 0), 1), $most) AS weight
FROM {TREATMENTS.name} JOIN (VALUES {{snapshots}}) AS snapshots(snapshot, cutoff)
    ON assigned_at >= cutoff AND assigned_at < cutoff + {{horizon}} AND assigned_at < {{known_by}}
WHERE treatment <> $nothing
    AND (is_holdout IS NOT NULL OR (SELECT count(is_holdout) = 0 FROM {TREATMENTS.name}))
GROUP BY snapshot, customer_id, treatment
ORDER BY snapshot, treatment, customer_id
"""


def _undo(treatment: str, cases: pd.DataFrame, values: Sequence[Vector]) -> Undone:
    """Let some of the treated teach what somebody held out did; changes both arguments."""
    mine = cases[cases["treatment"] == treatment]
    whole, held = mine[mine["is_whole"]], mine["is_held"]
    customers = [whole.loc[whole["is_held"] == arm, "customer_id"].nunique() for arm in (False, True)]
    counts = int((~held).sum()), int(held.sum()), min(customers)
    if min(customers) < FEWEST:
        return Undone(treatment, *counts, adds=False, share=None, changed=0)
    adds, share = _made(whole)
    changed = 0
    for place in mine["snapshot"].unique().tolist():
        part = mine[mine["snapshot"] == place]
        treated = part[~part["is_held"] & (part["came"] == adds)]
        donors = part.loc[part["is_held"] & (part["came"] != adds), "row"].to_numpy()
        drawn = unit(treated["customer_id"], f"{treatment} {place}")
        chosen = drawn < (share if donors.size else 0.0)
        rows = treated["row"].to_numpy()[chosen]
        values[place][rows] = values[place][donors[(drawn[chosen] / share * donors.size).astype(int)]]
        cases.loc[(cases["snapshot"] == place) & cases["row"].isin(rows), "came"] = not adds
        changed += rows.size
    return Undone(treatment, *counts, adds=adds, share=share, changed=changed)


def _made(cases: pd.DataFrame) -> tuple[bool, float]:
    """Return whether the treatment adds to the outcome, and the share of the treated who owe theirs to it."""
    came, weight = cases["came"].to_numpy(dtype=float), cases["weight"].to_numpy()
    held = cases["is_held"].to_numpy(dtype=bool)
    means = [float(np.average(came[arm], weights=weight[arm])) for arm in (~held, held)]
    difference = means[0] - means[1]
    off = np.where(held, came - means[1], means[0] - came) * weight
    off /= np.where(held, weight[held].sum(), weight[~held].sum())
    noise = float((pd.Series(off).groupby(cases["customer_id"].to_numpy()).sum() ** 2).sum())
    adds = difference > 0
    with_it = means[0] if adds else 1.0 - means[0]
    believed = abs(difference) * difference**2 / max(difference**2 + noise, 1e-12)
    return adds, min(believed / max(with_it, 1e-12), 1.0)
