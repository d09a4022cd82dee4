"""The levels of a shop by part and knot: how far it lay from the process, and what it came to before."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from models.level import YEAR_DAYS, Level, own_share
from models.likelihood import Vector
from models.snapshots import SETTLED_DAYS, Snapshot

PARTS = ("no_order", "orders", "value")
"""What has a level: the log-odds of no order, the logs of the orders per buyer and of the value."""
EVEN = 0.5
"""How much the total of a window before counts beside the level, before either was seen to be nearer: even
weights are hard to beat when forecasts are combined (Clemen 1989)."""
PATIENCE = 1.0
"""How much squared difference of both forecasts must be seen until what was seen counts as much as that.

Chosen as the level's own settings were; from 0.5 on it hardly matters.
"""
SHORTEST_DAYS = 30
"""Of the windows that tell which forecast is nearer; what came in a week is mostly chance."""
MOST_KNOWN = 1_000
"""Levels that are remembered, because requests ask for the same day again and again."""


class Totals(NamedTuple):
    """What all customers of a settled shop were worth by one knot, oldest snapshot first.

    Attributes
    ----------
    days
        Of the snapshots, days since 1970-01-01, of shape (s,).
    came
        The logs of the totals, of shape (s,); NaN where orders were worth nothing so far.
    said
        The log of the total that is expected at present, on no level.
    knot
        A total is known so many days after its snapshot.
    """

    days: Vector
    came: Vector
    said: float
    knot: float

    def naive(self, day: float) -> float:
        """Forecast the log of a day's total: that of the same window last year, of the customers known then.

        Where last year is not known, the last window that is over stands for it; NaN without any.
        """
        known = (self.days + self.knot <= day) & ~np.isnan(self.came)
        days, came = self.days[known], self.came[known]
        if days.size == 0:
            return float("nan")
        then = day - max(YEAR_DAYS, self.knot)
        return float(np.interp(then, days, came) if days[0] <= then else came[-1])

    def level(self, day: float) -> float:
        """Return the level on which what is expected at present comes to the naive total of a day."""
        return self.naive(day) - self.said

    def state(self) -> dict[str, Any]:
        """Return what was learnt as plain data."""
        known = ~np.isnan(self.came)
        days, came = self.days[known].tolist(), self.came[known].tolist()
        return {"days": days, "came": came, "said": self.said, "knot": self.knot}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "Totals":
        """Take up what was learnt."""
        return cls(np.array(state["days"]), np.array(state["came"]), state["said"], state["knot"])

    def compared(self, level: Level, levels: Vector) -> Vector:
        """Tell at past snapshots how naive totals differed from a level's own forecasts, and what came did.

        Parameters
        ----------
        level
            Fitted to these snapshots.
        levels
            That they turned out to have, of shape (s,).

        Returns
        -------
        Both in logs, of shape (2, s), each less the more its window overlaps with the next ones.
        """
        said = self.came - levels
        naive = np.array([self.naive(day) for day in self.days]) - said
        share = own_share(self.days, self.knot)
        return np.asarray(np.stack([naive - level.tried_, levels - level.tried_]) * np.sqrt(share))


class ShopLevel:
    """The levels of every part of a forecast by every knot.

    That of the value combines two forecasts (Bates and Granger 1969): its `Level`, which believes the
    process in how many customers there are by now, and the total of a window before, which does not.

    Attributes
    ----------
    levels_
        Per part of `PARTS` a `Level` by each knot, until the longest that is known.
    totals_
        `Totals` by each of these knots.
    lean_
        How much the total of a window before counts, from 0 to 1: one figure for all knots, because few of
        the longer windows are ever over.
    """

    def __init__(self) -> None:
        self.levels_: dict[str, list[Level]] = {part: [] for part in PARTS}
        self.totals_: list[Totals] = []
        self.lean_ = EVEN
        self._known: dict[tuple[str, float], Vector] = {}

    def fit(self, past: Sequence[Snapshot], knots: Sequence[int], *, said: Vector) -> Self:
        """Learn from snapshots, oldest first.

        Parameters
        ----------
        said
            The log of the total value that is expected at present on no level, by each knot, of as large a
            share of the customers as the snapshots hold.
        """
        compared = []
        for place, days in enumerate(knots):
            known = [snapshot for snapshot in past if snapshot.is_known(place)]
            if not known:
                break
            told = np.array(
                [(one.day, one.history_days, one.total(place), *one.level(place)) for one in known]
            ).T
            for part, levels in zip(PARTS, told[3:], strict=True):
                self.levels_[part].append(Level().fit(told[0], told[1], levels, knot=days))
            settled = told[:, told[1] >= SETTLED_DAYS]
            totals = Totals(settled[0], settled[2], float(said[place]), days)
            self.totals_.append(totals)
            if days >= SHORTEST_DAYS:
                compared.append(totals.compared(self.levels_["value"][-1], settled[-1]))
        self.lean_ = _lean(compared)
        return self

    def at(self, days: Vector, *, knots: int) -> dict[str, Vector]:
        """Forecast by part the level by each of k knots, for rows by their snapshots' days, of shape (n,).

        A knot whose level is not known yet has that of the last that is. Each has shape (k, n), or (k, 1)
        where all rows are of one day.
        """
        if days.size and (days == days[0]).all():
            return {part: self._on(part, float(days[0]), knots)[:, None] for part in PARTS}
        return {part: self._of_many(part, days, knots) for part in PARTS}

    def _of_many(self, part: str, days: Vector, knots: int) -> Vector:
        asked, places = np.unique(days, return_inverse=True)
        known = np.array([self._on(part, day, knots) for day in asked.tolist()])
        return known.reshape(-1, knots).T[:, places]

    def _on(self, part: str, day: float, knots: int) -> Vector:
        level = self._known.get((part, day))
        if level is None:
            own = np.array([each.at(day) for each in self.levels_[part]] or [0.0])
            if part == "value" and self.totals_:
                naive = np.array([totals.level(day) for totals in self.totals_])
                own = own + self.lean_ * np.nan_to_num(naive - own)
            level = np.append(own, np.repeat(own[-1:], knots - own.size))
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[part, day] = level
        return level

    def state(self) -> dict[str, Any]:
        """Return what was learnt as plain data."""
        levels = {part: [level.state() for level in levels] for part, levels in self.levels_.items()}
        return levels | {"totals": [one.state() for one in self.totals_], "lean": self.lean_}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "ShopLevel":
        """Take up what was learnt."""
        shop = cls()
        shop.levels_ = {part: [Level.restore(one) for one in state[part]] for part in PARTS}
        shop.totals_ = [Totals.restore(one) for one in state["totals"]]
        shop.lean_ = state["lean"]
        return shop


def _lean(compared: Sequence[Vector]) -> float:
    """Learn how far to go from one forecast to the other: a ridge regression around `EVEN`.

    Parameters
    ----------
    compared
        By knot how far the other forecast lay off, and what came, of shape (2, s); NaN where there was none.
    """
    other, came = np.concatenate([*compared, np.empty((2, 0))], axis=1)
    known = ~np.isnan(other)
    other, came = other[known], came[known]
    lean = (PATIENCE * EVEN + other @ came) / (PATIENCE + other @ other)
    return float(np.clip(lean, 0.0, 1.0))
