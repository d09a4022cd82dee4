"""A shop's staged history, from which a snapshot of any past day is taken."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar

import duckdb
import numpy as np
import pandas as pd

from features.batch import SPINE, match_refunds, put_everybody_on_spine, put_on_spine
from features.contract import DAY, ORDERS, Table
from features.cut_point import cut_point, cut_query
from features.instants import Cutoff
from features.plan import FeaturePlan
from training.labels import label_query, label_spine

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
PLACES = 1_000_000
"""That customers are hashed to; a share draws those in the first of them."""
PLACE = f"hash(customer_id) % {PLACES}"


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
        match_refunds(self.connection, self._steps)

    def snapshot(self, as_of: datetime, *, share: float = 1.0) -> pd.DataFrame:
        """Return the feature rows of everybody `present` at `as_of`, indexed by customer_id.

        Parameters
        ----------
        share
            Of the customers to draw, by a hash of their id: the same ones in every snapshot. Shares of
            different origins differ by little, so a snapshot is made for the next power of a half, or
            taken from a larger one.
        """
        larger = [made for day, made in self._snapshots if day == as_of and made >= share]
        made = min(larger, default=2.0 ** math.ceil(math.log2(share)))
        key = (as_of, made)
        if key not in self._snapshots:
            self._fill_spine(as_of, made)
            rows = self.connection.execute(
                f'SELECT * EXCLUDE (as_of), {PLACE} AS "{PLACE}" '
                f"FROM ({self._steps['features']}) WHERE {self.present} ORDER BY customer_id"
            ).df()
            rows = rows.set_index("customer_id")
            self._places[key] = rows.pop(PLACE)
            self._snapshots[key] = rows
        rows = self._snapshots[key]
        return rows if share == made else rows[self._places[key] < _places(share)]

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
        known = EVERYTHING if known_by is None else Cutoff.at(known_by, self.time_zone).micros
        key = (as_of, share, known)
        if key not in self._labels:
            self._fill_spine(as_of, share)
            labels = self._label(self.connection, days=self.days, known_by=known)
            labels = labels.set_index("customer_id").loc[self.snapshot(as_of, share=share).index]
            if known_by is not None:
                coming = [day for day in self.days if as_of + timedelta(days=day) > known_by]
                labels[[f"{what}_{day}" for what in (self.outcome, "value") for day in coming]] = np.nan
            self._labels[key] = labels
        return self._labels[key]

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

    def crowd(self, as_of: datetime) -> float:
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
        rows = [self.snapshot(cutoff, share=share) for cutoff in cutoffs]
        labels = [self.labels(cutoff, known_by=as_of, share=share) for cutoff in cutoffs]
        return pd.concat(rows, ignore_index=True), pd.concat(labels, ignore_index=True)

    def customers(self, as_of: datetime) -> int:
        """Return how many customers were known at `as_of`."""
        if as_of not in self._customers:
            cutoff = Cutoff.at(as_of, self.time_zone)
            self._customers[as_of] = put_everybody_on_spine(self.connection, cutoff)
        return self._customers[as_of]

    def cut(self, as_of: datetime) -> float:
        """Return the value from which customers were the top fifth in the horizon before `as_of`."""
        if as_of not in self._cuts:
            cutoff, last = Cutoff.at(as_of, self.time_zone), _places(self.crowd(as_of))
            ordered = f"SELECT customer_id FROM {ORDERS.name} WHERE ordered_at < {cutoff.micros}"
            put_on_spine(self.connection, f"{ordered} AND {PLACE} < {last}", cutoff)
            self._cuts[as_of] = cut_point(self.connection, cut_query(self.plan))
        return self._cuts[as_of]

    def _labeller(self) -> Callable[..., pd.DataFrame]:
        """Prepare the labels, which then ask for the connection, the days and ``known_by``."""
        return partial(label_spine, query=label_query(self.plan, days=self.days))

    def _fill_spine(self, as_of: datetime, share: float) -> None:
        cutoff = Cutoff.at(as_of, self.time_zone)
        self._customers[as_of] = put_everybody_on_spine(self.connection, cutoff)
        if share < 1.0:
            chosen = f"SELECT customer_id FROM {SPINE} WHERE {PLACE} < {_places(share)}"
            put_on_spine(self.connection, chosen, cutoff)


def _places(share: float) -> int:
    return round(share * PLACES)
