"""The staged history of contracts, from which a snapshot of any past day is taken."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from features.batch import match_refunds
from features.contracts import RUNS
from features.instants import Cutoff
from training.contract_labels import contract_label_query, label_contracts
from training.history import EVERYTHING, History, cutoffs_since


@dataclass
class ContractHistory(History):
    """Snapshots of the customers whose contract ran, and labels; as of `History`."""

    def __post_init__(self) -> None:
        self._steps = self.plan.sql()["duckdb"]
        self._label_query = contract_label_query(days=self.days, fee_days=self.plan.fee_days)
        match_refunds(self.connection, self._steps)

    def snapshot(self, as_of: datetime, *, share: float = 1.0) -> pd.DataFrame:
        """Return the feature rows of everybody whose contract runs at `as_of`, indexed by customer_id."""
        key = (as_of, share)
        if key not in self._snapshots:
            self._fill_spine(as_of, share)
            rows = self.connection.execute(
                f"SELECT * EXCLUDE (as_of) FROM ({self._steps['features']}) WHERE {RUNS} = 1 "
                "ORDER BY customer_id"
            ).df()
            self._snapshots[key] = rows.set_index("customer_id")
        return self._snapshots[key]

    def labels(
        self, as_of: datetime, *, known_by: datetime | None = None, share: float = 1.0
    ) -> pd.DataFrame:
        """Return ``ended_{d}`` and ``value_{d}`` of the rows of a snapshot, for every d of `days`."""
        known = EVERYTHING if known_by is None else Cutoff.at(known_by, self.time_zone).micros
        key = (as_of, share, known)
        if key not in self._labels:
            self._fill_spine(as_of, share)
            labels = label_contracts(self.connection, self._label_query, days=self.days, known_by=known)
            labels = labels.set_index("customer_id").loc[self.snapshot(as_of, share=share).index]
            if known_by is not None:
                coming = [day for day in self.days if as_of + timedelta(days=day) > known_by]
                labels[[f"{what}_{day}" for what in ("ended", "value") for day in coming]] = np.nan
            self._labels[key] = labels
        return self._labels[key]

    def cutoffs(self, as_of: datetime) -> list[datetime]:
        """Return the instants whose snapshots may teach at `as_of`, latest first: one in thirty days."""
        first = self.connection.execute(
            "SELECT min(greatest(started_at, ingested_at)) FROM contracts"
        ).fetchall()
        return cutoffs_since(first[0][0], as_of=as_of, time_zone=self.time_zone)

    def lesson(self, as_of: datetime, *, share: float) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the running contracts of the snapshots before `as_of`, oldest first, and their labels.

        The index names the customers; labels are NaN where they are not known at `as_of`.
        """
        cutoffs = list(reversed(self.cutoffs(as_of)))
        rows = [self.snapshot(cutoff, share=share) for cutoff in cutoffs]
        labels = [self.labels(cutoff, known_by=as_of, share=share) for cutoff in cutoffs]
        return pd.concat(rows), pd.concat(labels)
