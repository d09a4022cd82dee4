"""The rules of standing as of a training, and how customers moved between tiers in the horizon before it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa

from features.configuration import Configuration
from models.estimator import ForecastEstimator, columns_of
from models.placement import Placement
from models.potential import Potential
from models.standing import quantile_grid
from models.transitions import Transitions
from training.history import History
from training.placing import measured

MOST = 20_000
"""Customers whose moves teach; of more a draw tells as well."""
_MOVED = """
(SELECT subjects.*, before.value_tier AS previous_tier, false AS has_moved, {days} AS days_in_tier
FROM subjects LEFT JOIN placed_before AS before USING (customer_id))
"""


@dataclass(frozen=True)
class Standings:
    """Who stands where by the forecasts of today's model, now and a horizon ago.

    Parameters
    ----------
    configuration
        Of the project.
    history
        Of the shop.
    forecaster, potential
        As just taught.
    """

    configuration: Configuration
    history: History
    forecaster: ForecastEstimator
    potential: Potential
    _present: dict[datetime, tuple[pd.DataFrame, pd.DataFrame]] = field(default_factory=dict, init=False)

    def risk_grid(self, as_of: datetime) -> list[float]:
        """Return the `quantile_grid` of the churn risk of everybody at `as_of`."""
        _, forecasts = self._now(as_of)
        return quantile_grid(forecasts["churn_risk"].to_numpy())

    def learnt(self, as_of: datetime) -> tuple[Placement, Transitions | None]:
        """Measure the rules at `as_of`, and learn how customers came there.

        The model of today forecasts the past as well: one that was taught then makes other differences
        between customers, and what is learnt from these did not hold.

        Returns
        -------
        The rules, and the transitions: null where history is younger than the horizon.

        Raises
        ------
        InputError
            The ``[tiers]`` of the configuration are no policy for such customers.
        """
        days = self.history.plan.horizon_days
        start = as_of - timedelta(days=days)
        is_known = min(self.history.cutoffs(as_of), default=as_of) <= start
        before = self._placed_before(start, as_of) if is_known else None
        placement = self._measured(as_of, *self._now(as_of))
        if before is None:
            return placement, None
        connection = self.history.connection
        connection.register("placed_before", pa.Table.from_pandas(before.reset_index(), preserve_index=False))
        followed = connection.sql(
            f"SELECT customer_id, value_tier FROM ({placement.follow_sql(_MOVED.format(days=days))})"
        ).df()
        connection.unregister("placed_before")
        moved = before.join(followed.set_index("customer_id").add_suffix("_now"), how="inner")
        names = (moved[name].to_numpy(dtype=object) for name in ("value_tier", "value_tier_now"))
        forecasts = columns_of(moved.select_dtypes("number"))
        return placement, Transitions().fit(forecasts, *names, policy=placement.policy)

    def _placed_before(self, start: datetime, as_of: datetime) -> pd.DataFrame:
        """Return forecasts and ``value_tier`` of those who were known at the start, by customer_id."""
        share = min(self.history.judging_share(as_of), MOST / self.history.customers(as_of))
        frame, forecasts = self._told(start, share=share)
        placement = self._measured(start, frame, forecasts)
        placed = self.history.connection.sql(
            f"SELECT customer_id, value_tier FROM ({placement.place_sql('subjects')})"
        ).df()
        return forecasts.join(placed.set_index("customer_id"))

    def _now(self, as_of: datetime) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return what `_told` does of everybody, once."""
        if as_of not in self._present:
            self._present[as_of] = self._told(as_of, share=self.history.judging_share(as_of))
        return self._present[as_of]

    def _told(self, at: datetime, *, share: float) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return a snapshot, and its forecasts with the potential."""
        frame = self.history.snapshot(at, share=share)
        columns = columns_of(frame)
        told = self.forecaster.forecast(columns)
        score = self.potential.score(columns, told, cut=self.history.cut(at))
        return frame, pd.DataFrame({**told, "potential_score": score}, index=frame.index)

    def _measured(self, at: datetime, frame: pd.DataFrame, forecasts: pd.DataFrame) -> Placement:
        connection = self.history.connection
        return measured(self.configuration, connection, as_of=at, present=frame, forecasts=forecasts)
