"""The staged history of contracts, from which a snapshot of any past day is taken."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import ClassVar

import pandas as pd

from features.contract import CONTRACTS, Table
from features.contracts import RUNS
from training.contract_labels import contract_label_query, label_contracts
from training.history import History


@dataclass
class ContractHistory(History):
    """Snapshots of the customers whose contract ran, and labels; as of `History`."""

    records: ClassVar[Table] = CONTRACTS
    present: ClassVar[str] = f"{RUNS} = 1"
    outcome: ClassVar[str] = "ended"

    def lesson(self, as_of: datetime, *, share: float) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the running contracts of the snapshots before `as_of`, oldest first, and their labels.

        The index names the customers; labels are NaN where they are not known at `as_of`.
        """
        cutoffs = list(reversed(self.cutoffs(as_of)))
        rows, labels = self.snapshots(cutoffs, known_by=as_of, share=share)
        return pd.concat(rows), pd.concat(labels)

    def _labeller(self) -> Callable[..., pd.DataFrame]:
        query = contract_label_query(days=self.days, fee_days=self.plan.fee_days)
        return partial(label_contracts, query=query)
