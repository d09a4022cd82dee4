"""The buyers of the simulated shop: who they are, and how they buy, complain and leave, day by day."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

WEEK = np.array([1.05, 1.0, 1.0, 1.05, 1.1, 1.15, 0.65])
COMPLAINT_RISK = 6.0
"""An unresolved complaint multiplies the hazard of leaving by this ..."""
COMPLAINT_DAYS = 120
"""... and for so many days at most: then it is forgotten."""
LAPSING = (60, 240)
"""Days without an order between which a buyer may be sent a coupon ..."""
PAUSE = 180
"""... but not again within so many days."""
NEVER = 1_000_000
"""The day of what does not happen."""


@dataclass(frozen=True)
class Treatment:
    """Something the shop does for a buyer, from the day after its assignment.

    Parameters
    ----------
    acts_on
        ``speed`` (the rate of orders) or ``risk`` (the hazard of leaving).
    days
        How long it acts.
    holdout
        The share of those intended who are left without, at random.
    cost
        Per treated buyer, in the currency of the shop.
    """

    name: str
    acts_on: Literal["speed", "risk"]
    days: int
    holdout: float
    cost: float
    channel: str

    @property
    def factor(self) -> str:
        """The column of the truth with each buyer's multiplier of what the treatment acts on."""
        return f"{self.name}_factor"


GUIDE = Treatment("newcomer_guide", "speed", days=60, holdout=0.3, cost=0.5, channel="email")
COUPON = Treatment("winback_coupon", "speed", days=30, holdout=0.3, cost=4.0, channel="email")
CARE = Treatment("vip_care", "risk", days=180, holdout=0.5, cost=12.0, channel="phone")
TREATMENTS = {treatment.name: treatment for treatment in (GUIDE, COUPON, CARE)}


def happens(rng: np.random.Generator, share: float | Floats, count: int) -> NDArray[np.bool_]:
    """Draw for each of `count` cases whether something happens that has the given probability."""
    return np.asarray(rng.random(count) < share)


def season(dates: pd.DatetimeIndex) -> Floats:
    """Tell how much faster than on average buyers move on each date: year (mean 1) times week (mean 1)."""
    year = _year(dates.day_of_year.to_numpy()) / _year(np.arange(1, 366)).mean()
    return np.asarray(year * WEEK[dates.day_of_week])


def _year(day: NDArray[np.int32] | Integers) -> Floats:
    def bump(height: float, middle: int, width: int) -> Floats:
        return np.asarray(height * np.exp(-(((day - middle) / width) ** 2)), dtype=np.float64)

    return 1.0 + bump(1.0, 332, 22) - bump(0.25, 215, 30) - bump(0.3, 20, 20)


def draw_customers(count: int, days: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw what the shop knows of its customers: one row each, with the day of joining (from 0)."""
    early = happens(rng, 1 / 3, count)
    joined = np.where(early, rng.integers(0, 120, count), rng.integers(0, days, count))
    return pd.DataFrame(
        {
            "customer_id": [f"K{number:06d}" for number in range(count)],
            "joined_day": np.sort(np.minimum(joined, days - 1)),
            "region": rng.choice(["north", "east", "south", "west"], count, p=[0.4, 0.3, 0.2, 0.1]),
            "age_group": rng.choice(["18-29", "30-44", "45-59", "60+"], count, p=[0.2, 0.35, 0.3, 0.15]),
            "acquisition": rng.choice(["search", "friend", "advert"], count, p=[0.5, 0.2, 0.3]),
            "email_consent": happens(rng, 0.7, count).astype(np.int64),
        }
    )


def draw_truth(customers: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Draw what nobody knows of the customers: the parameters by which they behave, one row each."""
    count = len(customers)
    hazard = customers["acquisition"].map({"search": 1.0, "friend": 0.6, "advert": 1.6}).to_numpy()
    level = customers["age_group"].map({"18-29": 0.7, "30-44": 1.0, "45-59": 1.2, "60+": 1.1}).to_numpy()
    affinity = rng.beta(1.5, 4.5, count)
    return pd.DataFrame(
        {
            "customer_id": customers["customer_id"],
            "joined_day": customers["joined_day"],
            "rate_per_day": rng.gamma(1.8, 1 / (1.8 * 110), count),
            "gap_shape": rng.choice([1, 5], count, p=[0.6, 0.4]),
            "dropout_rate_per_day": hazard * rng.gamma(0.9, 1 / (0.9 * 1000), count),
            "buys_at_joining": happens(rng, 0.93, count),
            "complaint_share": rng.beta(0.8, 12, count),
            "price_level": level * rng.lognormal(-0.125, 0.5, count),
            "lines_per_order": 1 + rng.gamma(3.0, 0.8, count),
            "discount_affinity": affinity,
            "visits_per_day": rng.gamma(2.0, 0.01, count),
            "email_open_share": customers["email_consent"] * rng.beta(2.0, 5.0, count),
            GUIDE.factor: 1 + rng.gamma(4.0, 0.15, count),
            COUPON.factor: 1 + 3 * affinity,
            CARE.factor: rng.beta(3.0, 5.0, count),
        }
    )


class Course:
    """How fast each buyer moves towards the next order, and how likely leaves, on each day.

    A gap between orders has mean 1 in the sum of ``speed``; a buyer leaves within a day with
    probability 1 - exp(-``risk``). Both have the shape (days, buyers).
    """

    def __init__(self, truth: pd.DataFrame, dates: pd.DatetimeIndex) -> None:
        self._truth = truth
        self.speed = np.outer(season(dates), truth["rate_per_day"])
        self.risk = np.tile(truth["dropout_rate_per_day"].to_numpy(), (len(dates), 1))

    def only(self, rows: Integers) -> "Course":
        """Return the course of some buyers."""
        some = copy.copy(self)
        vars(some).update(_truth=self._truth.iloc[rows], speed=self.speed[:, rows], risk=self.risk[:, rows])
        return some

    def treat(self, treatment: Treatment, *, day: int, rows: Integers) -> None:
        """Let a treatment act on some buyers from the day after `day`."""
        acted = self.speed if treatment.acts_on == "speed" else self.risk
        acted[day + 1 : day + 1 + treatment.days, rows] *= self._truth[treatment.factor].to_numpy()[rows]

    def complain(self, complaints: Iterable[tuple[int, int, int]]) -> None:
        """Raise the risk of (buyer, from day, to day) for each complaint until it is resolved."""
        for row, first, resolved in complaints:
            self.risk[first : min(resolved, first + COMPLAINT_DAYS), row] *= COMPLAINT_RISK


class Lives:
    """The lives of all buyers, day by day: orders, complaints, treatments, and the day of leaving.

    A buyer has a renewal process: gaps are Erlang (``gap_shape`` stages; 1 is the memoryless, irregular
    buyer) in the buyer's own time, which runs with ``Course.speed``; the clock of a gap starts
    on the day after an order, or after joining. Leaving is for good, and comes before that day's order.

    Parameters
    ----------
    truth
        One row per buyer, as drawn by `draw_truth`.
    dates
        The days to live through.
    """

    def __init__(self, truth: pd.DataFrame, dates: pd.DatetimeIndex, rng: np.random.Generator) -> None:
        self._rng = rng
        self._course = Course(truth, dates)
        self._joined = truth["joined_day"].to_numpy()
        self._shape = truth["gap_shape"].to_numpy()
        self._buys_at_joining = truth["buys_at_joining"].to_numpy()
        self._complaint_share = truth["complaint_share"].to_numpy()
        self._price_level = truth["price_level"].to_numpy()
        self._wait = rng.gamma(self._shape, 1 / self._shape)
        self._patience = rng.exponential(size=len(truth))
        self._last_order = self._joined.copy()
        self._last_coupon = np.full(len(truth), -NEVER)
        self._worth = np.zeros(len(truth))
        self.left_ = np.full(len(truth), NEVER)
        self.orders_: list[tuple[int, Integers]] = []
        self.complaints_: list[tuple[int, int, int]] = []
        self.treatments_: list[tuple[Treatment, int, Integers, NDArray[np.bool_]]] = []
        for today in range(len(dates)):
            self._live(today)
            self._treat(today)

    def _live(self, today: int) -> None:
        here = (self._joined < today) & (self.left_ == NEVER)
        self._patience[here] -= self._course.risk[today, here]
        self.left_[here & (self._patience <= 0)] = today
        here &= self._patience > 0
        self._wait[here] -= self._course.speed[today, here]
        first = (self._joined == today) & self._buys_at_joining
        self._buy(today, np.flatnonzero(first | (here & (self._wait <= 0))))

    def _buy(self, today: int, rows: Integers) -> None:
        self.orders_.append((today, rows))
        self._wait[rows] = self._rng.gamma(self._shape[rows], 1 / self._shape[rows])
        self._last_order[rows] = today
        self._worth *= np.exp(-1 / 365)
        self._worth[rows] += self._price_level[rows]
        unhappy = rows[happens(self._rng, self._complaint_share[rows], len(rows))]
        first = today + self._rng.integers(1, 10, len(unhappy))
        resolved = first + 1 + self._rng.gamma(1.5, 10.0, len(unhappy)).astype(np.int64)
        resolved[happens(self._rng, 0.4, len(unhappy))] = NEVER
        complaints = list(zip(unhappy.tolist(), first.tolist(), resolved.tolist(), strict=True))
        self._course.complain(complaints)
        self.complaints_ += complaints

    def _treat(self, today: int) -> None:
        self._assign(GUIDE, today, self._joined == today - 3)
        if today % 60 == 0:
            silent = today - self._last_order
            chosen = (self._joined < today) & (silent >= LAPSING[0]) & (silent < LAPSING[1])
            chosen &= today - self._last_coupon >= PAUSE
            self._last_coupon[chosen] = today
            self._assign(COUPON, today, chosen)
        if today % CARE.days == CARE.days - 1:
            self._assign(CARE, today, self._worth > np.quantile(self._worth, 0.85))

    def _assign(self, treatment: Treatment, today: int, chosen: NDArray[np.bool_]) -> None:
        rows = np.flatnonzero(chosen)
        held = happens(self._rng, treatment.holdout, len(rows))
        self._course.treat(treatment, day=today, rows=rows[~held])
        self.treatments_.append((treatment, today, rows, held))
