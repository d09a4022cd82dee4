"""The best treatment for each customer under budget and capacities, by shadow prices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from models.relaxation import NOTHING, Choice, Limit, Relaxation

__all__ = ["NOTHING", "Allocation", "Limit", "allocate"]

STEPS = 300
EXACT = 1e-6
CAUTION = 0.3
PATIENCE = 50


@dataclass(frozen=True)
class Allocation:
    """Who gets what.

    Parameters
    ----------
    chosen
        (n,) arm, -1 for nothing; of free rows what they would get.
    prices
        (len(limits),) what one more unit of each limit would add to the gain; 0 where there is enough.
    bound
        The most that any allocation to the rows that count could gain.
    achieved
        What this one gains, of the rows that count.
    """

    chosen: NDArray[np.int64]
    prices: NDArray[np.float64]
    bound: float
    achieved: float

    @property
    def gap(self) -> float:
        """The share of the bound that is not achieved, at most."""
        return 1.0 - self.achieved / self.bound if self.bound > 0.0 else 0.0


def allocate(
    gain: NDArray[np.float64], limits: Sequence[Limit], *, free: NDArray[np.bool_] | None = None
) -> Allocation:
    """Choose at most one arm per row, so that the gain is highest and all limits hold.

    The linear programme has one price per limit as its dual; the prices are found by cutting planes (Kelley
    1960, "The cutting-plane method for solving convex programs", SIAM Journal 8), then raised until all
    limits hold.
    Each row takes the arm with the highest gain less the price of what it uses, if that is above zero: a rule
    that knows nothing of a row but its gains and uses, so rows held out at random are chosen for by the same.
    At most about one row per limit falls short of the programme's optimum.

    Parameters
    ----------
    gain
        (n, k); not finite where an arm is closed. Rows with equal gains cannot be told apart by a price: make
        them differ a little before (`draws.untied`), else all that are at the limit's edge get nothing.
    limits
        What there is not enough of.
    free
        (n,) rows that use nothing, and are chosen for all the same: those held out, or those already decided.
    """
    counted = np.ones(len(gain), dtype=bool) if free is None else ~free
    relaxed = Relaxation(gain[counted], [limit.of(counted) for limit in limits])
    prices, bound = shadow_prices(relaxed)
    prices, choice = _within(relaxed, prices)
    chosen = Relaxation(gain, limits).choose(prices).chosen
    return Allocation(chosen, prices, max(bound, choice.gain), choice.gain)


def shadow_prices(relaxed: Relaxation) -> tuple[NDArray[np.float64], float]:
    """Minimise the bound over the prices; return them and the bound.

    Every choice is a plane below the bound: ``gain + prices . (most - used)``. The lowest point of all planes
    known is a small linear programme (HiGHS); the next choice is made between it and the best prices so far,
    which spares most detours of the plain method (Wentges 1997, "Weighted Dantzig-Wolfe decomposition").
    """
    at = best_prices = np.zeros(len(relaxed.most))
    choice = relaxed.choose(at)
    bound = scale = relaxed.bound(choice, at)
    if not (choice.used > relaxed.most).any():
        return at, bound
    planes = [choice]
    for _ in range(STEPS):
        lowest, below = _lowest(relaxed, planes, scale)
        if bound - below <= EXACT * bound:
            break
        at = CAUTION * best_prices + (1.0 - CAUTION) * lowest
        choice = relaxed.choose(at)
        planes.append(choice)
        if (here := relaxed.bound(choice, at)) < bound:
            bound, best_prices = here, at
    return best_prices, bound


def _lowest(relaxed: Relaxation, planes: Sequence[Choice], scale: float) -> tuple[NDArray[np.float64], float]:
    """Return the prices at which the highest plane is lowest, and its height there."""
    unit = relaxed.highest
    slopes = np.array([plane.used for plane in planes]) * unit / scale
    found = linprog(
        np.append(relaxed.most * unit / scale, 1.0),
        A_ub=-np.column_stack([slopes, np.ones(len(planes))]),
        b_ub=-np.array([plane.gain for plane in planes]) / scale,
        bounds=[(0.0, 1.0)] * len(unit) + [(0.0, None)],
        method="highs",
    )
    solution = np.asarray(found.x)
    return solution[:-1] * unit, float(found["fun"]) * scale


def _within(relaxed: Relaxation, prices: NDArray[np.float64]) -> tuple[NDArray[np.float64], Choice]:
    """Raise prices by as little as it takes until all limits hold."""
    choice, step = relaxed.choose(prices), 0
    while (choice.used > _edge(relaxed.most)).any():
        limit = int(np.argmax((choice.used - relaxed.most) / np.maximum(relaxed.most, 1e-300)))
        rise = _rise(relaxed, prices, choice.chosen, limit) * 2.0 ** max(0, step - PATIENCE)
        prices = prices.copy()
        prices[limit] = max(prices[limit] + rise, float(np.nextafter(prices[limit], np.inf)))
        choice, step = relaxed.choose(prices), step + 1
    return prices, choice


def _edge(most: NDArray[np.float64]) -> NDArray[np.float64]:
    """Allow for the rounding of sums."""
    return most * (1.0 + 1e-12)


def _rise(relaxed: Relaxation, prices: NDArray[np.float64], chosen: NDArray[np.int64], limit: int) -> float:
    """Return by how much a price must rise for its limit to hold, as if each row gave way once."""
    at, less = [], []
    for arm in range(relaxed.arms):
        rows = np.flatnonzero(chosen == arm)
        use = relaxed.of(limit, arm, rows)
        rows, use = rows[use > 0.0], use[use > 0.0]
        worth = relaxed.worth(arm, prices, rows)
        first, drop = worth / use, use.copy()
        for other in range(relaxed.arms):
            spared = use - relaxed.of(limit, other, rows)
            with np.errstate(divide="ignore", invalid="ignore"):
                turn = (worth - relaxed.worth(other, prices, rows)) / spared
            sooner = (spared > 0.0) & (turn < first)
            first[sooner], drop[sooner] = turn[sooner], spared[sooner]
        at.append(first)
        less.append(drop)
    turns, drops = np.concatenate(at), np.concatenate(less)
    order = np.argsort(turns)
    turns, freed = turns[order], np.cumsum(drops[order])
    used = float(freed[-1])
    last = min(int(np.searchsorted(freed, used - relaxed.most[limit])), len(turns) - 1)
    return _between(turns, last)


def _between(turns: NDArray[np.float64], last: int) -> float:
    """Return a point after this turn and before the next that differs."""
    later = int(np.searchsorted(turns, turns[last], side="right"))
    if later == len(turns):
        return float(turns[last]) * (1.0 + 1e-9)
    return float(turns[last] + turns[later]) / 2.0
