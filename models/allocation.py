"""The best treatment for each customer under budget and capacities, by shadow prices."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.relaxation import NO_ARM, ROUNDING, Limit, Relaxation
from models.shadow_prices import ShadowPrices, shadow_prices

GOLDEN = (5.0**0.5 - 1.0) / 2.0
"""Multiples of it, less their whole part, fall evenly into [0, 1), however few are taken."""
LATE = 20_000
"""Rows at most that get what is left."""


@dataclass(frozen=True)
class Allocation:
    """Who gets what.

    Parameters
    ----------
    chosen
        (n,) arm, -1 for nothing; of free rows what they would get.
    prices
        (len(limits),) what one more unit of each limit would add to the gain; 0 where there is enough. Where
        there is too little for anybody, the most that a first unit could gain.
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
        """The share of the bound that is not achieved."""
        return 1.0 - self.achieved / self.bound if self.bound > 0.0 else 0.0


def allocate(
    gain: NDArray[np.float64], limits: Sequence[Limit], *, free: NDArray[np.bool_] | None = None
) -> Allocation:
    """Choose at most one arm per row, so that the gain is highest and all limits hold.

    1. The linear programme, in which rows may be shared out between arms, is solved by its prices: at these
       nearly every row takes the arm with the highest gain less the price of what it uses.
    2. The few for whom arms are worth the same are shared out evenly, as the programme does.
    3. All take their turn, first who would lose most without their arm, and get it while there is enough.
    4. What is left goes to those who lose least by it at the prices, if it gains.

    Whether a row itself is free bears on what is chosen for it by its small part in prices and leftovers
    alone: so rows that are held out at random are chosen for as others like them.

    Parameters
    ----------
    gain
        (n, k); not finite where an arm is closed. Where gains are equal the order of rows decides: part them
        before (`draws.untied`).
    limits
        What there is not enough of.
    free
        (n,) rows that use nothing, and are chosen for all the same: those held out, or those decided before.
    """
    counted = np.ones(len(gain), dtype=bool) if free is None else ~free
    relaxed = Relaxation.of(gain, limits, counted)
    solved = shadow_prices(relaxed)
    chosen = np.full(relaxed.rows, NO_ARM, dtype=np.int64)
    left = _serve_wanted(relaxed, solved, chosen)
    _serve_late(relaxed, solved.prices, chosen, left)
    achieved, _ = relaxed.account(chosen)
    shut = np.array([limit.first_unit(gain) for limit in limits])
    return Allocation(chosen, np.maximum(solved.prices, shut), max(solved.bound, achieved), achieved)


def _serve_wanted(
    relaxed: Relaxation, solved: ShadowPrices, chosen: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Serve what the programme wants, and return what is left of each limit."""
    wanted = _wanted(relaxed, solved)
    rows = np.flatnonzero(wanted != NO_ARM)
    _, keen = _wishes(relaxed, solved.prices, relaxed.most, rows)
    rows = rows[np.argsort(-keen, kind="stable")]
    return _serve(relaxed, chosen, relaxed.most, rows, wanted[rows])


def _serve_late(
    relaxed: Relaxation,
    prices: NDArray[np.float64],
    chosen: NDArray[np.int64],
    left: NDArray[np.float64],
) -> None:
    """Serve others while anybody's wish fits into what is left."""
    rows = np.flatnonzero(chosen == NO_ARM)
    while len(rows):
        arms, keen = _wishes(relaxed, prices, left, rows)
        order = np.argsort(-keen, kind="stable")[: min(LATE, np.count_nonzero(arms != NO_ARM))]
        rows = rows[order]
        left = _serve(relaxed, chosen, left, rows, arms[order])
        rows = rows[chosen[rows] == NO_ARM]


def _serve(
    relaxed: Relaxation,
    chosen: NDArray[np.int64],
    left: NDArray[np.float64],
    rows: NDArray[np.int64],
    arms: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Give rows their arms, in their order, while there is enough for all before them; return what is left.

    Free rows are served where there would be enough for them, and leave it.
    """
    counted = relaxed.counted[rows]
    uses = relaxed.uses(rows, arms)
    before = np.cumsum(uses * counted, axis=1) - uses * counted
    served = np.all((uses == 0.0) | (before + uses <= left[:, None]), axis=0)
    chosen[rows[served]] = arms[served]
    used: NDArray[np.float64] = uses[:, served & counted].sum(axis=1)
    return left - used


def _wishes(
    relaxed: Relaxation, prices: NDArray[np.float64], left: NDArray[np.float64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each row's best arm that gains and fits, and how keen it is on that.

    That is what it would lose by its second best or by nothing; below zero where nothing is better.
    """
    best, second = np.full(len(rows), -np.inf), np.full(len(rows), -np.inf)
    arms = np.full(len(rows), NO_ARM, dtype=np.int64)
    for arm in range(relaxed.arms):
        worth = np.where(relaxed.fits(arm, left, rows), relaxed.worth(arm, prices, rows), -np.inf)
        better = worth > best
        second = np.where(better, best, np.maximum(second, worth))
        best = np.where(better, worth, best)
        arms[better] = arm
    return arms, np.where(best > 0.0, best - np.maximum(second, 0.0), best)


def _wanted(relaxed: Relaxation, solved: ShadowPrices) -> NDArray[np.int64]:
    """Draw each row's arm from the mixture: alike rows one after another, by evenly spread numbers."""
    reached = np.cumsum([weight for weight, _ in solved.mixture])
    choices = [relaxed.choose(at)[0] for _, at in solved.mixture]
    if not len(reached) or reached[-1] < 1.0 - ROUNDING:
        choices.append(np.full(relaxed.rows, NO_ARM, dtype=np.int16))
    table = np.array(choices)
    wanted: NDArray[np.int64] = table[0].astype(np.int64)
    split = np.flatnonzero((table != table[0]).any(axis=0))
    split = split[np.lexsort(table[:, split])]
    drawn = (np.arange(len(split)) + 0.5) * GOLDEN % 1.0
    which = np.searchsorted(reached, drawn, side="right").clip(max=len(table) - 1)
    wanted[split] = table[which, split]
    return wanted
