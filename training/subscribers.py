"""The subscribers of a simulated business: who they are, and how they use, complain, pay more and leave."""

from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

TERMS = np.array([30, 365])
"""Days from one renewal to the next, by plan: monthly, yearly."""
FEES = np.array([20.0, 15.0])
"""Per month, by plan, before a customer's own factor."""
AT_RENEWAL = np.array([1.0, 5.0])
"""At a renewal the chance to leave is the customer's own monthly chance times this ..."""
BETWEEN = np.array([0.4, 0.3]) / 30
"""... and on any other day times this."""
COMPLAINT, COMPLAINT_DAYS = 4.0, 45
"""A complaint multiplies the chance to leave, for so many days."""
RAISE, RAISE_DAYS = 2.5, 90
"""So does a higher fee."""
IDLE = 2.5
"""And so does using the service rarely."""
RAISES_EVERY = 365
"""Days of a contract after which its fee may rise, at the next renewal."""
YEARLY, EARLY, RAISED = 0.4, 0.25, 0.6
"""Shares: of the yearly plan, of those who begin early, and of the fees that rise when they may."""
NEVER = 1_000_000


class Day(NamedTuple):
    """What happened to each of n subscribers on one day."""

    renewed: Flags
    left: Flags
    complained: Flags
    logins: Integers


@dataclass(eq=False)
class Subscribers:
    """The state of n subscribers; days are counted from the start of the business.

    Parameters
    ----------
    chance
        A customer's own chance to leave, per month.
    plan
        The place of the plan in `TERMS`.
    begun
        The day on which the contract begins.
    fee
        Per month, now.
    left
        The day of leaving; `NEVER` while the contract runs.
    idle
        Whether the service is used rarely now.
    complained, raised
        The day of the last complaint, and of the last raise of the fee.
    logins, complaints
        Per day: how often the service is used when not idle, and complained of.
    """

    chance: Floats
    plan: Integers
    begun: Integers
    fee: Floats
    left: Integers
    idle: Flags
    complained: Integers
    raised: Integers
    logins: Floats
    complaints: Floats

    @classmethod
    def draw(cls, count: int, *, days: int, rng: np.random.Generator) -> Self:
        """Draw subscribers: a quarter begins in the first three months, the others evenly after."""
        plan = (rng.random(count) < YEARLY).astype(np.int64)
        early = rng.random(count) < EARLY
        begun = np.where(early, rng.integers(90, size=count), rng.integers(90, days, size=count))
        never = np.full(count, -NEVER)
        return cls(
            chance=rng.beta(1.2, 18.0, size=count),
            plan=plan,
            begun=begun,
            fee=np.round(FEES[plan] * np.exp(rng.normal(0, 0.3, size=count)), 2),
            left=np.full(count, NEVER),
            idle=np.zeros(count, dtype=bool),
            complained=never.copy(),
            raised=never.copy(),
            logins=rng.gamma(2.0, 0.1, size=count),
            complaints=rng.gamma(1.0, 0.7 / 365, size=count),
        )

    def here(self, day: int) -> Flags:
        """Tell whose contract runs at the beginning of a day; of shape (n,)."""
        return np.asarray((self.begun <= day) & (self.left == NEVER))

    def live(self, day: int, rng: np.random.Generator) -> Day:
        """Live through a day: renew or leave, use the service, complain."""
        here, size = self.here(day), self.begun.size
        age = day - self.begun
        renews = here & (age > 0) & (age % TERMS[self.plan] == 0)
        left = here & (age > 0) & (rng.random(size) < self._hazard(day, renews))
        self.left[left] = day
        renewed = (renews & ~left) | (here & (age == 0))
        rises = renewed & (age - np.maximum(self.raised - self.begun, 0) >= RAISES_EVERY)
        rises &= rng.random(size) < RAISED
        self.fee[rises] = np.round(self.fee[rises] * rng.uniform(1.04, 1.2, size=size)[rises], 2)
        self.raised[rises] = day
        complained = here & ~left & (rng.random(size) < self.complaints)
        self.complained[complained] = day
        turned = rng.random(size) < np.where(self.idle, 1 / 120, 1 / 300)
        self.idle ^= here & turned
        logins = rng.poisson(self.logins * np.where(self.idle, 0.1, 1.0)) * (here & ~left)
        return Day(renewed, left, complained, logins)

    def copies(self, chosen: Flags, times: int) -> "Subscribers":
        """Return those chosen, each so many times in turn."""
        return Subscribers(
            **{one.name: np.repeat(getattr(self, one.name)[chosen], times) for one in fields(self)}
        )

    def _hazard(self, day: int, renews: Flags) -> Floats:
        """Return the chance to leave on a day."""
        often = np.where(renews, AT_RENEWAL[self.plan], BETWEEN[self.plan])
        worse = np.where(day - self.complained <= COMPLAINT_DAYS, COMPLAINT, 1.0)
        worse = worse * np.where(day - self.raised <= RAISE_DAYS, RAISE, 1.0)
        return np.minimum(self.chance * often * worse * np.where(self.idle, IDLE, 1.0), 0.9)
