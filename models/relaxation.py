"""Arms with their limits relaxed: what each customer takes when limited things have prices."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

NOTHING = -1
BLOCK = 1 << 14
"""Rows at a time: few enough to stay in the processor's cache."""


@dataclass(frozen=True)
class Limit:
    """Something of which there is not enough for all: money, calls, coupons.

    Parameters
    ----------
    name
        What it is, for people.
    use
        How much each arm of each row takes, at least 0: (n, k), or a shape that broadcasts to it.
    most
        How much there is; infinite: any amount, below 0: none.
    """

    name: str
    use: NDArray[np.generic]
    most: float

    def of(self, rows: NDArray[np.bool_]) -> Self:
        """Return the limit for some of the rows."""
        use = self.use[rows] if self.use.shape[:-1] == rows.shape else self.use
        return type(self)(self.name, use, self.most)


@dataclass(frozen=True)
class Choice:
    """What rows take at some prices.

    Parameters
    ----------
    chosen
        (n,) arm, `NOTHING` where none is worth its price.
    gain
        Altogether, prices not taken off.
    used
        (m,) of each limit.
    """

    chosen: NDArray[np.int64]
    gain: float
    used: NDArray[np.float64]


class Relaxation:
    """The Lagrangian relaxation of an allocation.

    With a price per unit of each limit, every row is a problem of its own: it takes the arm with the
    highest gain less the price of what it uses, or nothing where that is not above zero. The bound, the sum
    of these and ``prices . most``, is convex in the prices and nowhere below the best allocation (Fisher
    1981, "The Lagrangian relaxation method for solving integer programming problems", Management Science 27).

    Parameters
    ----------
    gain
        (n, k); not finite where an arm is closed.
    limits
        m of them.
    """

    def __init__(self, gain: NDArray[np.float64], limits: Sequence[Limit]) -> None:
        self.rows, self.arms = gain.shape
        self.gain = np.where(np.isfinite(gain.T), gain.T, -np.inf)
        self.use = [
            [_plain(np.broadcast_to(limit.use, gain.shape)[:, arm]) for arm in range(self.arms)]
            for limit in limits
        ]
        whole = [sum(self._total(use) for use in uses) for uses in self.use]
        self.most = np.array(
            [min(max(limit.most, 0.0), most) for limit, most in zip(limits, whole, strict=True)]
        )
        self.highest = np.array([self._highest(uses) for uses in self.use])

    def choose(self, prices: NDArray[np.float64]) -> Choice:
        """Return what each row takes at these prices."""
        chosen = np.empty(self.rows, dtype=np.int64)
        for block in self._blocks():
            best, taken = np.zeros(block.stop - block.start), chosen[block]
            taken[:] = NOTHING
            for arm in range(self.arms):
                worth = self.worth(arm, prices, block)
                better = worth > best
                np.copyto(best, worth, where=better)
                taken[better] = arm
        return Choice(chosen, *self.account(chosen))

    def worth(
        self, arm: int, prices: NDArray[np.float64], rows: slice | NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the gain of an arm less the price of what it uses, by row."""
        worth: NDArray[np.float64] = self.gain[arm, rows]
        for limit in np.flatnonzero(prices):
            use = self.use[limit][arm]
            if isinstance(use, float):
                worth = worth - prices[limit] * use if use else worth
            else:
                worth = worth - prices[limit] * use[rows]
        return worth

    def account(self, chosen: NDArray[np.int64]) -> tuple[float, NDArray[np.float64]]:
        """Sum the gain of what is chosen, and what it uses of each limit."""
        gain, used = 0.0, np.zeros(len(self.use))
        for arm in range(self.arms):
            rows = np.flatnonzero(chosen == arm)
            gain += float(self.gain[arm, rows].sum())
            used += [float(self.of(limit, arm, rows).sum()) for limit in range(len(self.use))]
        return gain, used

    def of(self, limit: int, arm: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what an arm uses of a limit, by row."""
        use = self.use[limit][arm]
        return np.full(len(rows), use) if isinstance(use, float) else use[rows]

    def bound(self, choice: Choice, prices: NDArray[np.float64]) -> float:
        """Return what no allocation can exceed, from the choice at these prices."""
        return choice.gain + float(prices @ (self.most - choice.used))

    def _blocks(self) -> Iterator[slice]:
        for start in range(0, self.rows, BLOCK):
            yield slice(start, min(start + BLOCK, self.rows))

    def _total(self, use: float | NDArray[np.float64]) -> float:
        return use * self.rows if isinstance(use, float) else float(use.sum())

    def _highest(self, uses: Sequence[float | NDArray[np.float64]]) -> float:
        """Return the price at which nobody takes anything of a limit."""
        highest = 0.0
        for gain, use in zip(self.gain, uses, strict=True):
            taken = (gain > 0.0) & (np.asarray(use) > 0.0)
            if taken.any():
                highest = max(highest, float((gain[taken] / np.broadcast_to(use, gain.shape)[taken]).max()))
        return highest


def _plain(use: NDArray[np.generic]) -> float | NDArray[np.float64]:
    """Keep one number where all rows use alike."""
    if len(use) == 0 or (use == use[0]).all():
        return float(use[0]) if len(use) else 0.0
    return np.ascontiguousarray(use, dtype=np.float64)
