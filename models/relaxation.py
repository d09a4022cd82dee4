"""Arms with their limits relaxed: what each customer takes when limited things have prices."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

NO_ARM = -1
ROUNDING = 1e-9
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

    def first_unit(self, gain: NDArray[np.float64]) -> float:
        """Return what a first unit could gain where there is too little for anybody, else 0."""
        if self.most >= np.max(self.use, initial=0.0):
            return 0.0
        use = np.broadcast_to(self.use, gain.shape)
        wanted = (use > 0.0) & (gain > 0.0)
        if not wanted.any() or (use[wanted] <= self.most).any():
            return 0.0
        return float((gain[wanted] / use[wanted]).max())


@dataclass(frozen=True)
class Relaxation:
    """The Lagrangian relaxation of an allocation.

    With a price per unit of each limit, every row is a problem of its own: it takes the arm with the
    highest gain less the price of what it uses, or nothing where that is not above zero. The sum of these
    and ``prices . most`` is convex in the prices and nowhere below the gain of the best allocation (Fisher
    1981, "The Lagrangian relaxation method for solving integer programming problems", Management Science 27).

    Parameters
    ----------
    gain
        (k, n), minus infinity where an arm is closed.
    use
        By limit and arm: by row, or one number where all rows use alike.
    most
        (m,) finite.
    counted
        (n,) rows that gain and use; the others are chosen for at the same prices.
    """

    gain: NDArray[np.float64]
    use: list[list[float | NDArray[np.float64]]]
    most: NDArray[np.float64]
    counted: NDArray[np.bool_]

    @classmethod
    def of(cls, gain: NDArray[np.float64], limits: Sequence[Limit], counted: NDArray[np.bool_]) -> Self:
        """Lay out by arm what came by row: gains of shape (n, k), not finite where closed.

        An arm that alone takes more than there is of a limit is closed, too.
        """
        columns = [np.broadcast_to(limit.use, gain.shape).T for limit in limits]
        use = [[_plain(column) for column in limited] for limited in columns]
        whole = [sum(float(np.mean(use)) * len(gain) for use in uses) if len(gain) else 0.0 for uses in use]
        most = np.clip([limit.most for limit in limits], 0.0, np.multiply(whole, 1.0 + ROUNDING))
        by_arm = np.where(np.isfinite(gain.T), gain.T, -np.inf)
        for uses, there in zip(use, most, strict=True):
            for arm, each in zip(by_arm, uses, strict=True):
                arm[np.broadcast_to(each > there, arm.shape)] = -np.inf
        return cls(by_arm, use, most, counted)

    @property
    def arms(self) -> int:
        """How many there are."""
        return len(self.gain)

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.counted)

    def thinned(self, step: int) -> Self:
        """Return the same for every n-th row, with as much less of everything."""
        use = [[x if isinstance(x, float) else x[::step] for x in uses] for uses in self.use]
        return type(self)(self.gain[:, ::step], use, self.most / step, self.counted[::step])

    def choose(self, prices: NDArray[np.float64]) -> tuple[NDArray[np.int16], float, NDArray[np.float64]]:
        """Return what each row takes at these prices, the gain of that, and what it uses of each limit."""
        chosen = np.full(self.rows, NO_ARM, dtype=np.int16)
        for start in range(0, self.rows, BLOCK):
            block = slice(start, start + BLOCK)
            taken = chosen[block]
            best = np.zeros(len(taken))
            for arm in range(self.arms):
                worth = self.worth(arm, prices, block)
                better = worth > best
                np.copyto(best, worth, where=better)
                taken[better] = arm
        return chosen, *self.account(chosen)

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

    def account(self, chosen: NDArray[np.signedinteger]) -> tuple[float, NDArray[np.float64]]:
        """Sum what the rows that count gain by what is chosen, and what they use of each limit."""
        gain, used = 0.0, np.zeros(len(self.use))
        for arm in range(self.arms):
            rows = np.flatnonzero((chosen == arm) & self.counted)
            gain += float(self.gain[arm, rows].sum())
            for limit, uses in enumerate(self.use):
                use = uses[arm]
                used[limit] += use * len(rows) if isinstance(use, float) else use[rows].sum()
        return gain, used

    def uses(self, rows: NDArray[np.int64], arms: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what these rows use of each limit by these arms: (m, rows)."""
        used = np.zeros((len(self.use), len(rows)))
        for arm in range(self.arms):
            places = np.flatnonzero(arms == arm)
            for limit, uses in enumerate(self.use):
                use = uses[arm]
                used[limit, places] = use if isinstance(use, float) else use[rows[places]]
        return used

    def fits(self, arm: int, left: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell for which rows an arm gains, and there is enough left for it."""
        fits = np.asarray(self.gain[arm, rows] > 0.0)
        for uses, rest in zip(self.use, left, strict=True):
            use = uses[arm]
            fits &= use <= rest if isinstance(use, float) else use[rows] <= rest
        return fits

    @property
    def highest(self) -> NDArray[np.float64]:
        """A price of each limit at which nobody takes anything of it."""
        gains = [float(gain.max(initial=0.0)) for gain in self.gain]
        return np.array(
            [
                max((gain / _least(use) for gain, use in zip(gains, uses, strict=True)), default=0.0)
                for uses in self.use
            ]
        )


def _plain(use: NDArray[np.generic]) -> float | NDArray[np.float64]:
    """Keep one number where all rows use alike."""
    if len(use) == 0 or (use == use[0]).all():
        return float(use[0]) if len(use) else 0.0
    return np.ascontiguousarray(use, dtype=np.float64)


def _least(use: float | NDArray[np.float64]) -> float:
    """Return the least that anybody uses, infinite where nobody does."""
    return float(np.min(use, where=np.asarray(use) > 0.0, initial=np.inf))
