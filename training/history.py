"""A shop's staged history, from which a snapshot of any past day is taken."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import duckdb
import numpy as np
import pandas as pd

from features.batch import SPINE, match_refunds, put_everybody_on_spine, put_on_spine
from features.contract import DAY
from features.instants import Cutoff
from features.plan import FeaturePlan
from training.labels import label_query, label_spine

EVERYTHING = 2**62
"""An instant after all others: labels as known today."""
EARLIEST_DAYS = 30
"""A snapshot with less history before it teaches nothing."""
MOST_SNAPSHOTS = 24
MOST_CUSTOMERS = 50_000
"""Customers beyond which a draw judges a model, and fits a process, as well as everybody."""
MOST_ROWS = 80_000
"""Rows that all snapshots of a fit may have together; beyond it customers are drawn by a hash."""


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
    """

    connection: duckdb.DuckDBPyConnection
    plan: FeaturePlan
    time_zone: str
    _snapshots: dict[tuple[datetime, float], pd.DataFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._steps = self.plan.sql()["duckdb"]
        self._label_query = label_query(self.plan, horizon_days=self.plan.horizon_days)
        match_refunds(self.connection, self._steps)

    def snapshot(self, as_of: datetime, *, share: float = 1.0) -> pd.DataFrame:
        """Return the feature rows of everybody who ordered before `as_of`, indexed by customer_id.

        Parameters
        ----------
        share
            Of the customers to draw, by a hash of their id: the same ones in every snapshot.
        """
        key = (as_of, share)
        if key not in self._snapshots:
            self._fill_spine(as_of, share)
            rows = self.connection.execute(
                f"SELECT * EXCLUDE (as_of) FROM ({self._steps['features']}) ORDER BY customer_id"
            ).df()
            self._snapshots[key] = rows.set_index("customer_id").dropna(subset="orders_all")
        return self._snapshots[key]

    def labels(
        self, as_of: datetime, *, known_by: datetime | None = None, share: float = 1.0
    ) -> pd.DataFrame:
        """Return ``orders`` and ``value`` in the horizon of the rows of a snapshot.

        Parameters
        ----------
        known_by
            As known at this instant; without one, as known today.
        share
            As in `snapshot`.
        """
        known = EVERYTHING if known_by is None else Cutoff.at(known_by, self.time_zone).micros
        self._fill_spine(as_of, share)
        customers = self.connection.execute(f"SELECT customer_id FROM {SPINE} ORDER BY subject").df()
        labels = label_spine(self.connection, self._label_query, known_by=known).set_index(
            pd.Index(customers["customer_id"])
        )
        return labels.loc[self.snapshot(as_of, share=share).index]

    def cutoffs(self, as_of: datetime) -> list[datetime]:
        """Return the instants whose labels are known at `as_of`, latest first: three to a horizon."""
        horizon = self.plan.horizon_days
        first = self.connection.execute("SELECT min(ordered_at) FROM orders").fetchall()[0][0]
        earliest = Cutoff.at(as_of, self.time_zone).micros - first - EARLIEST_DAYS * DAY
        days = (horizon + number * max(horizon // 3, 1) for number in range(MOST_SNAPSHOTS))
        return [as_of - timedelta(days=back) for back in days if back * DAY <= earliest]

    def crowd(self, as_of: datetime) -> float:
        """Return the share of customers that are at most `MOST_CUSTOMERS` at `as_of`."""
        return min(1.0, MOST_CUSTOMERS / max(self.customers(as_of), 1))

    def share(self, as_of: datetime) -> float:
        """Return the share of customers whose snapshots until `as_of` are `MOST_ROWS` together."""
        rows = self.customers(as_of) * len(self.cutoffs(as_of))
        return min(1.0, MOST_ROWS / max(rows, 1))

    def lesson(self, as_of: datetime, *, share: float) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return what can be taught at `as_of`: labelled snapshots, and the present one without labels.

        Parameters
        ----------
        share
            Of the customers in the labelled snapshots.

        Returns
        -------
        The feature rows with ``snapshot`` (0 is the present, -1 the latest labelled one, and so on),
        oldest first, and their labels, NaN for the present.
        """
        present = self.snapshot(as_of, share=self.crowd(as_of))
        rows = [present.assign(snapshot=0)]
        labels = [pd.DataFrame(np.nan, index=present.index, columns=["orders", "value"])]
        for number, cutoff in enumerate(self.cutoffs(as_of), start=1):
            rows.append(self.snapshot(cutoff, share=share).assign(snapshot=-number))
            labels.append(self.labels(cutoff, known_by=as_of, share=share))
        return _stacked(rows), _stacked(labels)

    def customers(self, as_of: datetime) -> int:
        """Return how many customers were known at `as_of`."""
        return put_everybody_on_spine(self.connection, Cutoff.at(as_of, self.time_zone))

    def _fill_spine(self, as_of: datetime, share: float) -> None:
        cutoff = Cutoff.at(as_of, self.time_zone)
        put_everybody_on_spine(self.connection, cutoff)
        if share < 1.0:
            chosen = f"SELECT customer_id FROM {SPINE} WHERE hash(customer_id) % 1000000 < {share * 1e6:.0f}"
            put_on_spine(self.connection, chosen, cutoff)


def _stacked(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(list(reversed(frames)), ignore_index=True)
