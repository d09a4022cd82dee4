"""How near a plan comes to the best there can be, and what that takes, beside HiGHS and plain ranking.

A million simulated customers, eight treatments over three channels, a budget, a capacity of each channel and
of each treatment. Times are those of the processor, on one thread. Prints Markdown tables.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"

import resource
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, eye_array, kron, vstack

from models.allocation import allocate
from models.draws import Draws, unit, untied
from models.relaxation import NO_ARM, Limit

CUSTOMERS, FEW = 1_000_000, 20_000
CHANNELS = ("e-mail", "phone", "letter")
COST = np.array([0.05, 0.5, 0.8, 1.5, 2.0, 4.0, 6.0, 8.0])
EFFECT = np.array([0.004, 0.01, 0.015, 0.02, 0.03, 0.05, 0.06, 0.08])
"""Share of a customer's value that a treatment adds."""
HOLDOUT, EXPLORE = 0.1, 0.05

Numbers = NDArray[np.float64]
Problem = tuple[Numbers, list[Limit]]


def differing(customers: int, *, plenty: float, money: float = 2.0) -> Problem:
    """Simulate gains that are a share of a customer's value, other for each customer and treatment."""
    random = np.random.default_rng(0)
    value = random.lognormal(4.0, 1.2, (customers, 1))
    effect = EFFECT * value * random.lognormal(0.0, 0.5, (customers, len(EFFECT)))
    cost = COST + 0.02 * value * (np.arange(len(COST)) % 3 == 0)
    gain = np.where(random.random(effect.shape) < 0.4, -np.inf, effect - cost)
    return gain, limits(cost, random.choice(3, effect.shape, p=[0.5, 0.2, 0.3]), plenty, money)


def alike(customers: int, *, plenty: float) -> Problem:
    """Simulate gains that are assumed, the same for all who are eligible."""
    random = np.random.default_rng(0)
    cost = np.tile(COST, (customers, 1))
    gain = np.where(random.random(cost.shape) < 0.4, -np.inf, 1.5 * COST + 1.0)
    return gain, limits(cost, np.tile(np.arange(len(COST)) % 3, (customers, 1)), plenty)


def limits(cost: Numbers, channel: NDArray[np.int64], plenty: float, money: float = 2.0) -> list[Limit]:
    """Return the budget and the capacities: so much per customer."""
    there, treatments = plenty * len(cost), np.eye(len(COST))
    return [
        Limit("budget", cost, money * there),
        *(Limit(name, channel == at, 0.1 * there) for at, name in enumerate(CHANNELS)),
        *(Limit(f"treatment {at}", row, 0.02 * (1 + at % 3) * there) for at, row in enumerate(treatments)),
    ]


CASES = {
    "differ": lambda customers: differing(customers, plenty=1.0),
    "differ, everything scarce": lambda customers: differing(customers, plenty=0.1),
    "differ, little money": lambda customers: differing(customers, plenty=1.0, money=0.1),
    "alike": lambda customers: alike(customers, plenty=1.0),
    "alike, everything scarce": lambda customers: alike(customers, plenty=0.1),
}


def main() -> None:
    """Report all cases."""
    large = [(name, *planned(*make(CUSTOMERS))) for name, make in CASES.items()]
    print(f"### {CUSTOMERS:,} customers\n")
    print(markdown(("gains", "limits reached", "draws, s", "allocation, s", "gap to the bound"), large))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"At most {peak:.1f} GB of memory.\n")
    print(f"### {FEW:,} customers\n")
    small = [(name, *row) for name, make in CASES.items() for row in compared(*make(FEW))]
    print(markdown(("gains", "plan", "seconds", "of the bound"), small))


def planned(gain: Numbers, limits: Sequence[Limit]) -> tuple[str, ...]:
    """Draw and allocate as a plan does, and tell what it took and how near it came."""
    customers = [f"customer {number}" for number in range(len(gain))]
    start = time.process_time()
    units = unit(customers, "plan")
    draws = Draws.of(units, np.isfinite(gain), limits, holdout=HOLDOUT, explore=EXPLORE)
    parted = untied(gain, customers, "plan")
    drawn = time.process_time()
    allocation = allocate(parted, draws.left(limits), free=draws.free)
    done = time.process_time()
    rows = np.flatnonzero(draws.done(allocation.chosen) != NO_ARM)
    arms = draws.done(allocation.chosen)[rows]
    for limit in limits:
        used = float(np.broadcast_to(limit.use, gain.shape)[rows, arms].sum())
        if used > limit.most * (1.0 + 1e-9):
            raise AssertionError(f"{limit.name}: {used} of {limit.most} used")
    reached = np.count_nonzero(allocation.prices)
    return (
        f"{reached} of {len(limits)}",
        f"{drawn - start:.1f}",
        f"{done - drawn:.1f}",
        f"{allocation.gap:.4%}",
    )


def compared(gain: Numbers, limits: Sequence[Limit]) -> list[tuple[str, ...]]:
    """Solve the same by other means."""
    start = time.process_time()
    bound = whole(gain, limits)
    rows = [("HiGHS, the whole linear programme (the bound)", f"{time.process_time() - start:.2f}", "100%")]
    parted = untied(gain, [str(number) for number in range(len(gain))], "plan")
    plans: dict[str, Callable[[], float]] = {
        "Tierwise": lambda: allocate(parted, limits).achieved,
        "highest gain first": lambda: ranked(gain, gain, limits),
        "highest gain per cost first": lambda: ranked(gain, gain / limits[0].use, limits),
    }
    for name, plan in plans.items():
        start = time.process_time()
        achieved = plan()
        rows.append((name, f"{time.process_time() - start:.2f}", f"{achieved / bound:.2%}"))
    return rows


def whole(gain: Numbers, limits: Sequence[Limit]) -> float:
    """Return the optimum of the linear programme, with a variable per customer and treatment."""
    once = kron(eye_array(len(gain)), np.ones((1, gain.shape[1])))
    uses = [csr_matrix(np.broadcast_to(limit.use, gain.shape).astype(float).ravel()) for limit in limits]
    found = linprog(
        -np.where(np.isfinite(gain), gain, -1.0).ravel(),
        A_ub=vstack([once, *uses]),
        b_ub=[*[1.0] * len(gain), *(limit.most for limit in limits)],
        bounds=(0.0, 1.0),
        method="highs",
    )
    return float(-found["fun"])


def ranked(gain: Numbers, score: Numbers, limits: Sequence[Limit]) -> float:
    """Go through all pairs of customer and treatment, best first, and take each that still fits."""
    pairs = np.argsort(-score, axis=None, kind="stable")
    pairs = pairs[gain.ravel()[pairs] > 0.0]
    uses = np.array([np.broadcast_to(limit.use, gain.shape).ravel()[pairs] for limit in limits], dtype=float)
    left = np.array([limit.most for limit in limits])
    served, total = np.zeros(len(gain), dtype=bool), 0.0
    for pair, use in zip(pairs, uses.T, strict=True):
        row = pair // gain.shape[1]
        if not served[row] and (use <= left).all():
            served[row] = True
            left -= use
            total += gain.flat[pair]
    return total


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out as a table."""
    lines = [columns, ("---", *("---:" for _ in columns[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    main()
