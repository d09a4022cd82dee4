"""What chance decides in a plan: who is held out, who gets a random arm, and how probable all that was."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.relaxation import NO_ARM, Limit

FEWEST = 20
"""Uses that a limit must allow, so that some of it is spent on exploring."""
AT_MOST = 0.5
SURELY = 5.0
"""Standard deviations of what exploring uses that must find room within a limit."""
APART = 1e-6
ODD = 0x9E3779B97F4A7C15


def unit(customer_ids: Iterable[str], key: str) -> NDArray[np.float64]:
    """Draw a number in [0, 1) for each customer, by a keyed hash: the same on every machine, in any order.

    The hash is BLAKE2b (RFC 7693).

    Parameters
    ----------
    customer_ids
        As text.
    key
        What the draw is for; under another key all is drawn anew.
    """
    return _fraction(_hashes(customer_ids, key))


def untied(gain: NDArray[np.float64], customer_ids: Iterable[str], key: str) -> NDArray[np.float64]:
    """Part equal gains by chance: each is changed by at most half a millionth of itself.

    Parameters
    ----------
    gain
        (n, k).
    customer_ids, key
        As of `unit`.
    """
    hashes = _hashes(customer_ids, key)
    parted = np.empty_like(gain)
    for arm in range(gain.shape[1]):
        drawn = _fraction(_mixed(hashes + np.uint64((arm + 1) * ODD % 2**64)))
        parted[:, arm] = gain[:, arm] * (1.0 + APART * (drawn - 0.5))
    return parted


def _hashes(customer_ids: Iterable[str], key: str) -> NDArray[np.uint64]:
    secret = blake2b(key.encode()).digest()
    digests = (blake2b(customer.encode(), digest_size=8, key=secret).digest() for customer in customer_ids)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter numbers (the finaliser of SplitMix64: Steele, Lea, Flood 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def _fraction(numbers: NDArray[np.uint64]) -> NDArray[np.float64]:
    return np.asarray((numbers >> np.uint64(11)) * np.float64(2.0**-53))


@dataclass(frozen=True)
class Draws:
    """Who is left to chance, and with which probability.

    Row i is held out with probability ``h_i`` and gets arm j at random with probability ``e_ij``; else the
    arm k that is chosen for it (`models.allocation`), or nothing where none is worth it. So what is done
    has, as inverse propensity weights want it (Horvitz, Thompson 1952), the probability

    ======================================  ===================================
    an arm k is chosen, and k is done       ``1 - h_i - sum_j e_ij + e_ik``
    an arm k is chosen, nothing is done     ``h_i``
    nothing is chosen, and nothing is done  ``1 - sum_j e_ij``
    arm j is done, another is chosen        ``e_ij``
    ======================================  ===================================

    The prices of the plan move a little with everybody's draws; with many customers that is negligible.

    Parameters
    ----------
    held
        (n,) left untreated at random, should an arm be chosen.
    explored
        (n,) arm that chance gave, -1 where it gave none.
    holdout
        (n,) ``h``; 0 where nothing is drawn.
    shares
        (n, k) ``e``; 0 where an arm is closed or nothing is drawn.
    """

    held: NDArray[np.bool_]
    explored: NDArray[np.int64]
    holdout: NDArray[np.float64]
    shares: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        units: NDArray[np.float64],
        is_open: NDArray[np.bool_],
        limits: Sequence[Limit] = (),
        *,
        holdout: float,
        explore: float,
    ) -> Self:
        """Read what was drawn: the lowest units are held out, the highest explore.

        ``e_ij = explore / (open arms of i) x scale_ij``. The scale is 1, unless a limit that the arm uses
        is small: exploring takes half of any limit at most, so little that it stays within the limit by 5
        standard deviations, and nothing of a limit for fewer than 20 average uses.

        Parameters
        ----------
        units
            (n,) of `unit`, under a key of this plan.
        is_open
            (n, k) arms open; nothing is drawn for rows without any.
        limits
            As of the allocation.
        holdout, explore
            Shares, together at most 1.
        """
        among = is_open.sum(axis=1)
        held = np.where(among > 0, holdout, 0.0)
        shares = np.where(is_open, (explore / np.maximum(among, 1))[:, None], 0.0)
        shares *= _scale(shares, limits)
        return cls(units < held, _arms(units, shares), held, shares)

    @property
    def free(self) -> NDArray[np.bool_]:
        """Rows that use nothing of what is left: those held out, and those that chance gave an arm."""
        return np.asarray(self.held | (self.explored != NO_ARM))

    def left(self, limits: Sequence[Limit]) -> list[Limit]:
        """Return the limits less what the random arms use."""
        rows = np.flatnonzero(self.explored != NO_ARM)
        arms = self.explored[rows]
        return [
            Limit(
                limit.name,
                limit.use,
                limit.most - float(np.broadcast_to(limit.use, self.shares.shape)[rows, arms].sum()),
            )
            for limit in limits
        ]

    def done(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the arm that is done, -1 for nothing, given the arm chosen for each row."""
        return np.where(self.explored != NO_ARM, self.explored, np.where(self.held, NO_ARM, chosen))

    def propensity(self, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the probability of what is done, given the arm chosen for each row."""
        done, rows = self.done(chosen), np.arange(len(chosen))
        chance = np.where(done == NO_ARM, 0.0, self.shares[rows, done])
        kept = 1.0 - self.shares.sum(axis=1)
        treated = kept - np.where(chosen == NO_ARM, 0.0, self.holdout)
        return np.where(done == chosen, treated + chance, np.where(done == NO_ARM, self.holdout, chance))


def _arms(units: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Cut the upper end of [0, 1) into the shares, and find each row's piece."""
    explored = np.full(len(units), NO_ARM, dtype=np.int64)
    rows = np.flatnonzero(units >= 1.0 - shares.sum(axis=1))
    reached = np.cumsum(shares[rows], axis=1)
    within = (1.0 - units[rows])[:, None] <= reached
    explored[rows[within[:, -1]]] = within[within[:, -1]].argmax(axis=1)
    return explored


def _scale(shares: NDArray[np.float64], limits: Sequence[Limit]) -> NDArray[np.float64]:
    """Return by how much each arm's share shrinks."""
    scale = np.ones_like(shares)
    for limit in limits:
        use = np.broadcast_to(limit.use, shares.shape).astype(np.float64)
        mean = float(np.vdot(shares, use))
        if mean > 0.0:
            spread = float(np.sqrt(np.vdot(shares, use * use)))
            typical = mean / float(shares[use > 0.0].sum())
            room = _room(mean, spread, limit.most) if limit.most >= FEWEST * typical else 0.0
            np.minimum(scale, np.where(use > 0.0, room, 1.0), out=scale)
    return scale


def _room(mean: float, spread: float, most: float) -> float:
    """Return the most x <= 1 with ``x mean <= most / 2`` and ``x mean + 5 sqrt(x) spread <= most``."""
    if np.isinf(most):
        return 1.0
    root = (np.sqrt((SURELY * spread) ** 2 + 4.0 * mean * most) - SURELY * spread) / (2.0 * mean)
    return float(min(1.0, AT_MOST * most / mean, root**2))
