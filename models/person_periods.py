"""Person-periods: each contract in each interval after a snapshot, as long as it is at risk and known.

The rows of a discrete-time survival model (Singer and Willett 1993): a contract that still runs where
knowledge ends, or whose interval is not over, adds what was seen of it and no more (censoring).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contracts import RUNS
from models.estimator import CALENDAR, Columns
from models.likelihood import Vector

NO_INPUTS = (CALENDAR, RUNS, "as_of_month")
"""Features that tell when the snapshot was taken, or that are the same for every contract at risk."""
NOTICE_DAYS = 1
"""Who has left shows a day after the last day of the contract."""
MOST_RENEWALS = 4
"""In one interval; more make no difference."""


class PersonPeriods(NamedTuple):
    """m intervals of contracts at risk.

    Attributes
    ----------
    rows
        The place of the contract in its snapshot, of shape (m,).
    begin, end
        Of the interval, days after the snapshot, of shape (m,).
    ended
        1 where the contract ended in the interval, else 0, of shape (m,).
    """

    rows: NDArray[np.intp]
    begin: Vector
    end: Vector
    ended: Vector

    def drawn(self, most: int, *, seed: int) -> "PersonPeriods":
        """Draw at most so many."""
        if self.rows.size <= most:
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(self.rows.size, most, replace=False))
        rows, begin, end, ended = self
        return PersonPeriods(rows[chosen], begin[chosen], end[chosen], ended[chosen])


def person_periods(labels: pd.DataFrame, knots: Sequence[int]) -> PersonPeriods:
    """Part what is known of contracts into intervals.

    Parameters
    ----------
    labels
        One row per contract running at a snapshot: ``ended_{d}``, 1 or 0 for every d of the knots, NaN
        where it is not known yet.
    """
    parts = []
    before, begin = np.zeros(len(labels)), 0
    for end in knots:
        ended = labels[f"ended_{end}"].to_numpy(dtype=float)
        rows = np.flatnonzero((before == 0) & ~np.isnan(ended))
        parts.append(
            PersonPeriods(rows, np.full(rows.size, begin), np.full(rows.size, float(end)), ended[rows])
        )
        before, begin = ended, end
    return PersonPeriods(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def risk_inputs(columns: Columns, begin: Vector, end: Vector) -> dict[str, Vector]:
    """Return what a hazard depends on, by name: the features, and where the interval lies.

    Parameters
    ----------
    columns
        The features of n contracts at risk.
    begin, end
        Of the interval of each, of shape (n,).

    Returns
    -------
    Besides the features: ``lead_days`` to the interval and the log of its length; the log of the
    contract's age when it begins; how many renewals fall into it, and the days to the next one from its
    beginning (NaN without a renewal).
    """
    term = columns["contract_term_days"]
    first = columns["contract_renewal_days"] + NOTICE_DAYS
    every = np.where(term > 0, term, np.nan)
    gone, come = (np.maximum(np.ceil((day - first) / every), 0.0) for day in (begin, end))
    return {
        **{name: values for name, values in columns.items() if name not in NO_INPUTS},
        "lead_days": np.asarray(begin, dtype=float),
        "log_length": np.log(end - begin),
        "log_age_then": np.log1p(columns["contract_age_days"] + begin),
        "renewals_then": np.minimum(np.nan_to_num(come - gone), MOST_RENEWALS),
        "renewal_days_then": first + gone * every - begin,
    }
