"""A shop's staged history, from which a snapshot of any past day is taken."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import ClassVar

import duckdb
import numpy as np
import pandas as pd

from features.batch import match_refunds
from features.contract import DAY, ORDERS, Table
from features.cut_point import cut_points
from features.instants import Cutoff
from features.plan import FeaturePlan
from training.crowd import KNOWN, PLACE, Crowd, places
from training.labels import label_query, label_spine
from training.untreated import Untreated

EVERYTHING = 2**62
"""An instant after all others: labels as known today."""
EARLIEST_DAYS = 30
"""A snapshot with less history before it teaches nothing."""
STEP_DAYS = 30
"""Between two snapshots."""
MOST_SNAPSHOTS = 26
"""Two years and two months: the season of every snapshot of the last year is known."""
MOST_CUSTOMERS = 50_000
"""Customers beyond which a draw judges a model as well as everybody."""
MOST_CELLS = 10_000_000
"""Rows times features of all snapshots of a fit; beyond it customers are drawn by a hash."""


@dataclass
class History:
    """Snapshots and labels of a staged shop; a snapshot is made once, however often it is asked for.

    Parameters
    ----------
    connection
        With the staged tables.
    plan
        The features.
    time_zone
        Of the project's calendar days.
    days
        After a snapshot, for which labels are wanted.
    """

    records: ClassVar[Table] = ORDERS
    """The table whose first record begins the history."""
    present: ClassVar[str] = "orders_all IS NOT NULL"
    """Who stands in a snapshot, as a condition of feature rows."""
    outcome: ClassVar[str] = "orders"
    """What is labelled beside the value."""

    connection: duckdb.DuckDBPyConnection
    plan: FeaturePlan
    time_zone: str
    days: Sequence[int]
    _snapshots: dict[tuple[datetime, float], pd.DataFrame] = field(default_factory=dict, init=False)
    _places: dict[tuple[datetime, float], "pd.Series[int]"] = field(default_factory=dict, init=False)
    _labels: dict[tuple[datetime, float, int], pd.DataFrame] = field(default_factory=dict, init=False)
    _customers: dict[datetime, int] = field(default_factory=dict, init=False)
    _cuts: dict[datetime, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._steps = self.plan.sql()["duckdb"]
        self._label = self._labeller()
        self._crowd = Crowd(self.connection, self.time_zone)
        match_refunds(self.connection, self._steps)
        self._untreated = Untreated(
            self.connection, outcome=self.outcome, horizon_days=self.plan.horizon_days
        )

    def snapshot(self, as_of: datetime, *, share: float = 1.0) -> pd.DataFrame:
        """Return the feature rows of everybody `present` at `as_of`, indexed by customer_id.

        Parameters
        ----------
        share
            Of the customers to draw, by a hash of their id: the same ones in every snapshot. Shares of
            different origins differ by little, so a snapshot is made for the next power of a half, or
            taken from a larger one.
        """
        return self._snapshots_at([as_of], share)[0]

    def labels(
        self, as_of: datetime, *, known_by: datetime | None = None, share: float = 1.0
    ) -> pd.DataFrame:
        """Return ``{outcome}_{d}`` and ``value_{d}`` of the rows of a snapshot, for every d of `days`.

        Parameters
        ----------
        known_by
            As known at this instant, and NaN for the days not over by then; without one, as known today.
        share
            As in `snapshot`.
        """
        return self._labels_at([as_of], known_by, share)[0]

    def cutoffs(self, as_of: datetime) -> list[datetime]:
        """Return the instants whose snapshots may teach at `as_of`, latest first: one in thirty days.

        Thirty days are known before each.
        """
        ((first,),) = self.connection.execute(
            f"SELECT min(greatest({self.records.clock}, ingested_at)) FROM {self.records.name}"
        ).fetchall()
        earliest = Cutoff.at(as_of, self.time_zone).micros - first - EARLIEST_DAYS * DAY
        days = (STEP_DAYS * number for number in range(1, MOST_SNAPSHOTS + 1))
        return [as_of - timedelta(days=back) for back in days if back * DAY <= earliest]

    def judging_share(self, as_of: datetime) -> float:
        """Return the share of customers that are at most `MOST_CUSTOMERS` at `as_of`."""
        return min(1.0, MOST_CUSTOMERS / max(self.customers(as_of), 1))

    def share(self, as_of: datetime, *, cells: int = MOST_CELLS) -> float:
        """Return the share of customers whose snapshots until `as_of` are so many cells together."""
        rows = sum(self.customers(cutoff) for cutoff in self.cutoffs(as_of))
        return min(1.0, cells / max(rows * len(self.plan.names()), 1))

    def lesson(self, as_of: datetime, *, share: float) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return what can be taught at `as_of`: the snapshots before it, and the present one.

        Parameters
        ----------
        share
            Of the customers, the same ones in every snapshot, so that totals can be compared.

        Returns
        -------
        The feature rows, oldest snapshot first, and their labels, NaN where they are not known at `as_of`.
        """
        cutoffs = [*reversed(self.cutoffs(as_of)), as_of]
        rows, labels = self.snapshots(cutoffs, known_by=as_of, share=share)
        return pd.concat(rows, ignore_index=True), pd.concat(labels, ignore_index=True)

    def snapshots(
        self, cutoffs: Sequence[datetime], *, known_by: datetime, share: float
    ) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
        """Return the `snapshot` and the `labels` of each of several cutoffs, made together, to be taught.

        What treatments did by the end of the horizon is undone in the labels, as of `Untreated`.
        """
        rows, labels = self._snapshots_at(cutoffs, share), self._labels_at(cutoffs, known_by, share)
        *instants, known = (Cutoff.at(each, self.time_zone) for each in (*cutoffs, known_by))
        return rows, self._untreated.labels(labels, instants, known_by=known)

    def notes(self) -> list[str]:
        """Say what was undone of treatments in the last lesson; nothing where there were none."""
        return self._untreated.notes()

    def customers(self, as_of: datetime) -> int:
        """Return how many customers were known at `as_of`."""
        if as_of not in self._customers:
            self._customers[as_of] = self._crowd.size(as_of)
        return self._customers[as_of]

    def cut(self, as_of: datetime) -> float:
        """Return the value from which customers were the top fifth in the horizon before `as_of`."""
        return self.cuts([as_of])[as_of]

    def cuts(self, cutoffs: Sequence[datetime]) -> dict[datetime, float]:
        """Return the `cut` of each of several cutoffs."""
        missing = sorted(as_of for as_of in cutoffs if as_of not in self._cuts)
        for share, days in groupby(missing, self.judging_share):
            for several in self._crowd.together(list(days), share=share):
                self._crowd.put_on_spine(several, share=share)
                instants = [Cutoff.at(as_of, self.time_zone) for as_of in several]
                found = cut_points(self.connection, self.plan, instants)
                self._cuts |= dict(zip(several, found, strict=True))
        return {as_of: self._cuts[as_of] for as_of in cutoffs}

    def _labeller(self) -> Callable[..., pd.DataFrame]:
        """Prepare the labels, which then ask for the connection, the days and ``known_by``."""
        return partial(label_spine, query=label_query(self.plan, days=self.days))

    def _snapshots_at(self, cutoffs: Sequence[datetime], share: float) -> list[pd.DataFrame]:
        keys = [(as_of, self._made(as_of, share)) for as_of in cutoffs]
        for made in {made for _, made in keys}:
            missing = sorted(as_of for as_of, of in keys if of == made and (as_of, of) not in self._snapshots)
            for several in self._crowd.together(missing, share=made):
                self._make_snapshots(several, made)
        return [
            self._snapshots[key]
            if share == key[1]
            else self._snapshots[key][self._places[key] < places(share)]
            for key in keys
        ]

    def _made(self, as_of: datetime, share: float) -> float:
        """Return the share of the snapshot that holds the customers of this share, there or to be made."""
        larger = [made for day, made in self._snapshots if day == as_of and made >= share]
        return min(larger, default=2.0 ** math.ceil(math.log2(share)))

    def _make_snapshots(self, cutoffs: Sequence[datetime], share: float) -> None:
        self._crowd.put_on_spine(cutoffs, share=share)
        query = (
            f'SELECT told.*, "{PLACE}" FROM ({self._steps["features"]}) AS told '
            f"JOIN {KNOWN} USING (customer_id) WHERE {self.present} ORDER BY as_of, customer_id"
        )
        rows = self.connection.execute(query).df().set_index("customer_id")
        at, place = rows.pop("as_of"), rows.pop(PLACE)
        for as_of in cutoffs:
            instant = Cutoff.at(as_of, self.time_zone).micros
            mine = slice(*np.searchsorted(at, [instant, instant + 1]))
            self._snapshots[as_of, share], self._places[as_of, share] = rows.iloc[mine], place.iloc[mine]

    def _labels_at(
        self, cutoffs: Sequence[datetime], known_by: datetime | None, share: float
    ) -> list[pd.DataFrame]:
        known = EVERYTHING if known_by is None else Cutoff.at(known_by, self.time_zone).micros
        missing = sorted(as_of for as_of in cutoffs if (as_of, share, known) not in self._labels)
        for several in self._crowd.together(missing, share=share):
            sizes = self._crowd.put_on_spine(several, share=share)
            labels = self._label(self.connection, days=self.days, known_by=known).set_index("customer_id")
            for as_of, end, size in zip(several, np.cumsum(sizes), sizes, strict=True):
                told = labels.iloc[end - size : end].loc[self.snapshot(as_of, share=share).index]
                coming = [day for day in self.days if known_by and as_of + timedelta(days=day) > known_by]
                told[[f"{what}_{day}" for what in (self.outcome, "value") for day in coming]] = np.nan
                self._labels[as_of, share, known] = told
        return [self._labels[as_of, share, known] for as_of in cutoffs]
