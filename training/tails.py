"""Whether intervals of value hold: the randomised probability integral transform, and the pinball loss."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.likelihood import Vector
from models.spread import HIGH, LOW
from training import metrics
from training.metrics import BINS


class Tails(NamedTuple):
    """How likely the transform of each value lies below the low, and above the high quantile: (n,) each."""

    below: Vector
    above: Vector


def tails(value: Vector, no_order: Vector, low: Vector, high: Vector) -> Tails:
    """Transform values by their forecast distribution.

    The probability integral transform of what was forecast right is uniform (Dawid 1984); where a
    distribution has an atom, as here at 0, a random point of the atom's share stands for it (Smith 1985;
    Czado, Gneiting and Held 2009). Of that point the expectation is taken instead of a draw.

    Parameters
    ----------
    value
        What came; negative counts as 0.
    no_order
        The forecast chance of 0.
    low, high
        The forecast 10% and 90% quantiles.
    """
    none, atom = value <= 0, np.maximum(no_order, np.finfo(float).tiny)
    below = np.where(none, np.minimum(LOW / atom, 1.0), value < low)
    above = np.where(none, np.clip((no_order - HIGH) / atom, 0.0, 1.0), value > high)
    return Tails(np.asarray(below, dtype=float), np.asarray(above, dtype=float))


def pinball(value: Vector, quantile: Vector, *, share: float) -> Vector:
    """Return the loss of each quantile (Koenker and Bassett 1978), shape (n,); negative value counts as 0."""
    over = np.maximum(value, 0.0) - quantile
    return np.maximum(share * over, (share - 1.0) * over)


def interval_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Judge the interval of value of every model, over all origins and by tenth of the expected value.

    Parameters
    ----------
    frame
        One row per origin, customer and model: ``model``, ``origin``, ``churn_risk``, ``expected_value``,
        ``value_low``, ``value_high`` and ``value``.

    Returns
    -------
    One row per model and ``tenth`` of its expected values (1 to 10, lowest first; 0 for all), with the
    shares ``below`` the low and ``above`` the high quantile; 0.1 each is right.
    """
    rows = []
    for model, part in frame.groupby("model", sort=False):
        columns = ("value", "churn_risk", "value_low", "value_high")
        found = tails(*(part[name].to_numpy(dtype=float) for name in columns))
        bins = _tenths(part)
        for tenth in range(BINS + 1):
            mine = np.ones(len(part), dtype=bool) if tenth == 0 else bins == tenth - 1
            if mine.any():
                below, above = found.below[mine].mean(), found.above[mine].mean()
                rows.append({"model": model, "tenth": tenth, "below": below, "above": above})
    return pd.DataFrame(rows)


def pinball_table(frame: pd.DataFrame, *, horizon: pd.Timedelta) -> pd.DataFrame:
    """Compare the pinball losses of every model with those of binned empirical quantiles.

    These are the quantiles of the values that came at all earlier origins whose horizon was over, in the
    same tenth of the model's own expected values; origins without such an origin before are left out.

    Returns
    -------
    One row per model that can be compared: mean losses ``low`` and ``high`` of its quantiles, and
    ``binned_low`` and ``binned_high``.
    """
    rows = []
    over = pd.Series(frame["origin"] + horizon, index=frame.index)
    for model, part in frame.groupby("model", sort=False):
        compared = []
        for origin in sorted(part["origin"].unique()):
            before = part[over[part.index] <= origin]
            if not before.empty:
                compared.append(_losses(part[part["origin"] == origin], before))
        if compared:
            means = pd.concat(compared).mean()
            rows.append({"model": model, **means.to_dict()})
    return pd.DataFrame(rows, columns=["model", "low", "high", "binned_low", "binned_high"])


def _losses(now: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    value, came = now["value"].to_numpy(dtype=float), np.maximum(before["value"].to_numpy(dtype=float), 0.0)
    mine = _tenths(now)
    past = np.concatenate([_tenths(rows) for _, rows in before.groupby("origin", sort=False)])
    losses = {}
    for name, share in (("low", LOW), ("high", HIGH)):
        binned = np.array(
            [
                np.quantile(came[past == tenth], share) if (past == tenth).any() else 0.0
                for tenth in range(BINS)
            ]
        )
        losses[name] = pinball(value, now[f"value_{name}"].to_numpy(dtype=float), share=share)
        losses[f"binned_{name}"] = pinball(value, binned[mine], share=share)
    return pd.DataFrame(losses)


def _tenths(forecast: pd.DataFrame) -> NDArray[np.intp]:
    return metrics.equal_bins(forecast["expected_value"].to_numpy(dtype=float)).groups
