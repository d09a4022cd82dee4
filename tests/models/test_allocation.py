"""The allocation against HiGHS, whole and in integers."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint, linprog, milp

from models.allocation import Allocation, allocate
from models.draws import untied
from models.relaxation import Limit

Numbers = NDArray[np.float64]


def shop(seed: int, customers: int = 60, arms: int = 3) -> tuple[Numbers, list[Limit]]:
    random = np.random.default_rng(seed)
    gain = random.normal(1.0, 2.0, (customers, arms))
    gain[random.random(gain.shape) < 0.3] = -np.inf
    channel = random.integers(0, 2, gain.shape)
    limits = [
        Limit("budget", random.uniform(0.0, 2.0, gain.shape), customers / 5),
        Limit("phone", channel == 0, customers // 6),
        Limit("first arm", np.eye(arms)[0], customers // 10),
    ]
    return gain, limits


def programme(gain: Numbers, limits: list[Limit]) -> tuple[Numbers, Numbers, list[float]]:
    """Write the programme out: objective, matrix and right side."""
    customers, arms = gain.shape
    one_each = np.kron(np.eye(customers), np.ones(arms))
    uses = [np.broadcast_to(limit.use, gain.shape).ravel() for limit in limits]
    matrix = np.vstack([one_each, *uses]).astype(float)
    return (
        np.where(np.isfinite(gain), gain, -1e6).ravel(),
        matrix,
        [*[1.0] * customers, *[x.most for x in limits]],
    )


def used(allocation: Allocation, limit: Limit, shape: tuple[int, int]) -> float:
    rows = np.flatnonzero(allocation.chosen >= 0)
    return np.broadcast_to(limit.use, shape)[rows, allocation.chosen[rows]].sum()


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_is_the_linear_programme_and_the_choice_is_near_the_best_in_integers(seed: int) -> None:
    gain, limits = shop(seed)
    objective, matrix, right = programme(gain, limits)
    relaxed = linprog(-objective, A_ub=matrix, b_ub=right, bounds=(0, 1))
    whole = milp(
        -objective,
        constraints=LinearConstraint(matrix, ub=right),
        integrality=np.ones(gain.size),
        bounds=(0, 1),
    )
    allocation = allocate(gain, limits)
    assert allocation.bound == pytest.approx(-relaxed.fun, rel=2e-6)
    assert -whole.fun - 2 * gain.max() <= allocation.achieved <= -whole.fun * (1 + 1e-6)
    for limit in limits:
        assert used(allocation, limit, gain.shape) <= limit.most + 1e-9


def test_without_limits_everybody_gets_the_best_arm_that_is_worth_it() -> None:
    gain = np.array([[1.0, 2.0], [-1.0, -2.0], [np.nan, 0.5], [-np.inf, -np.inf]])
    allocation = allocate(gain, [])
    assert allocation.chosen.tolist() == [1, -1, 1, -1]
    assert allocation.achieved == allocation.bound == 2.5


def test_a_price_is_what_one_more_call_is_worth() -> None:
    gain = np.array([[5.0], [4.0], [3.0], [2.0]])
    allocation = allocate(gain, [Limit("calls", np.ones(1), 2)])
    assert allocation.chosen.tolist() == [0, 0, -1, -1]
    assert 3.0 <= allocation.prices[0] < 4.0


@pytest.mark.parametrize("most", [0.0, -1.0])
def test_where_there_is_nothing_to_spend_nobody_gets_anything(most: float) -> None:
    allocation = allocate(np.array([[5.0], [4.0]]), [Limit("budget", np.array([[1.0], [2.0]]), most)])
    assert allocation.chosen.tolist() == [-1, -1]
    assert allocation.achieved == 0.0


def test_only_what_there_is_too_little_of_has_a_price() -> None:
    gain, limits = shop(7, customers=500)
    roomy = [Limit("letters", np.ones((500, 1)), 450.0), Limit("stamps", np.full(3, 0.5), 240.0)]
    prices = allocate(gain, [*limits, *roomy]).prices
    assert (prices > 0.0).tolist() == [True, True, True, False, False]


def test_what_a_first_call_is_worth_is_told_where_there_are_none() -> None:
    gain = np.array([[5.0, 1.0], [4.0, np.nan]])
    allocation = allocate(gain, [Limit("calls", np.array([2.0, 0.0]), 0.0)])
    assert allocation.chosen.tolist() == [1, -1]
    assert allocation.prices.tolist() == [2.5]
    assert allocation.bound == 1.0


def test_what_costs_more_than_it_gains_is_left() -> None:
    allocation = allocate(np.array([[-5.0], [-4.0]]), [Limit("budget", np.ones(1), 10.0)])
    assert allocation.chosen.tolist() == [-1, -1]
    assert allocation.gap == 0.0


def test_a_limit_that_is_never_reached_costs_nothing() -> None:
    allocation = allocate(
        np.array([[5.0], [4.0]]), [Limit("calls", np.ones(1), 2), Limit("money", np.ones(1), np.inf)]
    )
    assert allocation.chosen.tolist() == [0, 0]
    assert allocation.prices.tolist() == [0.0, 0.0]


def test_nobody_is_planned_for_where_there_is_nobody() -> None:
    allocation = allocate(np.empty((0, 2)), [Limit("calls", np.ones(1), 2)])
    assert allocation.chosen.tolist() == []


def test_those_held_out_use_nothing_and_others_get_what_they_leave() -> None:
    gain = np.array([[5.0], [4.0], [3.0], [2.0]])
    free = np.array([True, False, False, False])
    allocation = allocate(gain, [Limit("calls", np.ones(1), 2)], free=free)
    assert allocation.chosen.tolist() == [0, 0, 0, -1]
    assert allocation.achieved == allocation.bound == 7.0


def test_being_held_out_hardly_bears_on_what_is_chosen() -> None:
    gain, limits = shop(3, customers=400)
    free = np.random.default_rng(0).random(400) < 0.3
    chosen = allocate(gain, limits, free=free).chosen
    others = 0
    for row in range(0, 400, 40):
        turned = free.copy()
        turned[row] ^= True
        others += allocate(gain, limits, free=turned).chosen[row] != chosen[row]
    assert others <= 1


def test_of_customers_who_gain_alike_as_many_are_served_as_there_are_places() -> None:
    customers = [str(number) for number in range(5_000)]
    gain = untied(np.tile([5.0, 4.0, 0.2], (5_000, 1)), customers, "plan")
    limits = [
        Limit("budget", np.array([3.0, 2.0, 0.5]), 4_000.0),
        Limit("calls", np.array([1, 0, 0]), 500),
        Limit("letters", np.array([0, 1, 0]), 700),
    ]
    allocation = allocate(gain, limits)
    counts = np.bincount(allocation.chosen + 1)
    assert counts[1:].tolist() == pytest.approx([500, 700, 2_200], abs=10)
    assert allocation.gap < 3e-3


def test_the_currency_does_not_matter() -> None:
    gain, limits = shop(5, customers=300)
    cents = [Limit("budget", limits[0].use * 100.0, limits[0].most * 100.0), *limits[1:]]
    assert allocate(gain * 100.0, cents).chosen.tolist() == allocate(gain, limits).chosen.tolist()


def test_many_customers_come_as_near_to_the_bound() -> None:
    gain, limits = shop(1, customers=100_000)
    allocation = allocate(gain, limits)
    assert allocation.gap < 1e-4
    for limit in limits:
        assert used(allocation, limit, gain.shape) <= limit.most + 1e-6


def test_there_may_be_any_number_of_arms() -> None:
    gain = np.full((3, 300), -np.inf)
    gain[0, 299], gain[1, 200], gain[2, 40] = 5.0, 4.0, 3.0
    limit = Limit("places", np.ones((1, 300)), 2.0)
    assert allocate(gain, [limit]).chosen.tolist() == [299, 200, -1]
