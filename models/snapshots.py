"""Snapshots as the learning forecaster sees them: what was known, what the process said, what then came."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.special import expit

from models.estimator import CALENDAR, Columns, columns_of
from models.likelihood import CERTAIN, Vector, log_odds
from models.purchase_forecaster import Described, PurchaseForecaster

SETTLED_DAYS = 60
"""Of history before a snapshot; a younger shop tells of its first customers only."""
NEGLIGIBLE = 1e-3
"""Of an order: who is expected to buy less counts as that, and is long gone."""
ENORMOUS = 20.0
"""Times the 99th percentile of the values above 0: a larger one is learnt from as if it were that."""
STEPS = 50
PROCESS = ("process_alive", "process_no_order", "process_orders", "process_order_value", "process_value")
"""What trees are told of the process."""


@dataclass(frozen=True)
class Snapshot:
    """Everybody at one `as_of`.

    Attributes
    ----------
    day
        Of the `as_of`, days since 1970-01-01.
    columns
        The features of n customers.
    orders, value
        What came by each of k knots, of shape (k, n); NaN where it is not known yet.
    process
        The purchase process fitted to this snapshot, started from that of the one before.
    described
        What it says of the customers.
    """

    day: float
    columns: Columns
    orders: Vector
    value: Vector
    process: PurchaseForecaster
    described: Described

    @property
    def history_days(self) -> float:
        """Days since the shop's first order."""
        return float(self.columns["tenure_days"].max())

    def is_known(self, knot: int) -> bool:
        """Tell whether all is known of what came by the knot of this place."""
        return not np.isnan(self.orders[knot]).any()

    def level(self, knot: int) -> tuple[float, float, float]:
        """Return how far the process as a whole was off by a known knot.

        Returns
        -------
        By how much the log-odds of no order, and the logs of the orders per buyer and of the value, must
        move for their totals to be right; an order is added to either side, so that nobody is infinite.
        """
        return self._levels[knot]

    def total(self, knot: int) -> float:
        """Return the `log_total` that came by a known knot."""
        return log_total(self.described, self.value[knot])

    @cached_property
    def _levels(self) -> dict[int, tuple[float, float, float]]:
        return {knot: self._off(knot) for knot in range(len(self.orders)) if self.is_known(knot)}

    def _off(self, knot: int) -> tuple[float, float, float]:
        curve, orders = self.described.curve, self.orders[knot]
        buyers, said = (orders > 0).sum() + 1.0, (1.0 - curve.no_order[knot]).sum() + 1.0
        per_buyer = (orders.sum() + 1.0) / buyers / ((curve.orders[knot].sum() + 1.0) / said)
        worth = self.total(knot) - log_total(self.described, curve.value[knot])
        return (
            _shift(log_odds(curve.no_order[knot]), float((orders == 0).mean())),
            float(np.log(per_buyer)),
            float(np.nan_to_num(worth)),
        )


def snapshots(frame: pd.DataFrame, labels: pd.DataFrame, process: PurchaseForecaster) -> Iterator[Snapshot]:
    """Part a frame into snapshots, oldest first, each with its own fit of the process."""
    fitted = None
    for day, rows in frame.groupby(CALENDAR):
        columns, came = columns_of(rows), labels.loc[rows.index]
        fitted = PurchaseForecaster(**process.get_params()).learn(columns, near=fitted)
        yield Snapshot(
            day=float(day),  # type: ignore[arg-type]
            columns=columns,
            orders=came[[f"orders_{knot}" for knot in process.knots]].to_numpy(dtype=float).T,
            value=np.array([_tamed(came[f"value_{knot}"].to_numpy(dtype=float)) for knot in process.knots]),
            process=fitted,
            described=fitted.describe(columns),
        )


def inputs(columns: Columns, described: Described, *, knot: int) -> dict[str, Vector]:
    """Return what trees learn from, by name: the features, and what the process says at one knot."""
    curve = described.curve
    said = (
        described.alive,
        curve.no_order[knot],
        curve.orders[knot],
        described.order_value,
        curve.value[knot],
    )
    known = {name: values for name, values in columns.items() if name != CALENDAR}
    return known | dict(zip(PROCESS, said, strict=True))


def log_value(described: Described, knot: int | slice) -> Vector:
    """Return the log of the value that the process expects by a knot, of shape (n,); above a least part.

    By k knots at once it is of shape (k, n).

    Where orders are worth nothing so far, it is 0.
    """
    least = np.where(described.order_value > 0, NEGLIGIBLE * described.order_value, 1.0)
    return np.asarray(np.log(np.maximum(described.curve.value[knot], least)))


def log_total(described: Described, value: Vector) -> float:
    """Return the log of the total of values, of shape (n,), and of one order more, so that it is never none.

    NaN where orders are worth nothing so far.
    """
    price = float(described.order_value.mean())
    return float(np.log(_tamed(np.maximum(value, 0.0)).sum() + price)) if price > 0 else float("nan")


def _tamed(value: Vector) -> Vector:
    """Return values, of shape (n,), none of them enormous: one must not decide what all the others teach."""
    above = value[value > 0]
    if above.size == 0:
        return value
    return np.minimum(value, ENORMOUS * np.quantile(above, 0.99, method="lower"))


def _shift(odds: Vector, share: float) -> float:
    """Solve for the shift of log-odds at which they have this mean as probabilities (Newton's method)."""
    wanted = float(np.clip(share, 0.5 / odds.size, 1 - 0.5 / odds.size))
    shift = 0.0
    for _ in range(STEPS):
        risk = expit(odds + shift)
        step = (wanted - risk.mean()) / max(float((risk * (1 - risk)).mean()), CERTAIN)
        shift += float(np.clip(step, -1.0, 1.0))
        if abs(step) < CERTAIN:
            break
    return shift
