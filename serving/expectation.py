"""Where the customers of a run will stand when the horizon is over, as far as can be expected."""

from typing import Any

import numpy as np
import pyarrow as pa

from models.bundle import Bundle
from models.placement import Placement
from serving.feature_rows import numbers


def expected_transitions(
    bundle: Bundle, forecasts: pa.Table, placed: pa.Table, rules: Placement
) -> dict[str, Any] | None:
    """Add the chances of everybody who has ordered up to a matrix.

    Parameters
    ----------
    forecasts
        One row per customer, with the potential of everybody.
    placed
        The same rows with ``value_tier``.
    rules
        By which they were placed.

    Returns
    -------
    ``horizon_days``, ``tiers`` (best first) and ``rows``: of each tier how many customers will be in each,
    in the order of ``tiers``. Null where the model knows no chances, or those of other tiers.
    """
    transitions = bundle.transitions()
    if transitions is None or not transitions.are_of(rules.policy):
        return None
    columns = {name: numbers(forecasts, name) for name in ("clv", "churn_risk", *transitions.names_)}
    now = np.asarray(placed["value_tier"].to_numpy(zero_copy_only=False), dtype=object)
    rows = transitions.expected(columns, now)
    return {"horizon_days": rules.horizon_days, "tiers": list(transitions.tiers_), "rows": rows.tolist()}
