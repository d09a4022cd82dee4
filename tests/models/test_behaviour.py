from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.behaviour import Behaviour, Capacity, longest_known
from models.curve import KNOTS
from models.snapshots import Snapshot, inputs

CAPACITY = Capacity(rounds=10, leaves=4, learning_rate=0.1, seed=0)
TWO_MONTHS = 3
"""The place of the horizon among the knots."""


def taught(past: Sequence[Snapshot], *, day: float) -> Behaviour:
    names = list(inputs(past[0].columns, past[0].described, knot=0))
    return Behaviour(names, horizon=TWO_MONTHS).fit(past, KNOTS, CAPACITY, day=day)


def texts(behaviour: Behaviour) -> dict[str, str]:
    return {target: booster.model_to_string() for target, booster in behaviour.boosters_.items()}


@pytest.mark.parametrize(("days_later", "knot"), [(29, None), (30, 30), (59, 30), (60, 60), (400, 60)])
def test_a_snapshot_teaches_by_its_longest_known_knot(
    parted: list[Snapshot], days_later: int, knot: int | None
) -> None:
    place = longest_known(parted[0], KNOTS[: TWO_MONTHS + 1], day=parted[0].day + days_later)
    assert (None if place is None else KNOTS[place]) == knot


def test_a_knot_whose_labels_are_not_all_known_does_not_teach(parted: list[Snapshot]) -> None:
    gap = parted[0].orders.copy()
    gap[TWO_MONTHS, 0] = np.nan
    assert longest_known(replace(parted[0], orders=gap), KNOTS[:4], day=parted[-1].day) == 2


def test_a_horizon_shorter_than_a_month_teaches_by_itself(parted: list[Snapshot]) -> None:
    assert longest_known(parted[0], KNOTS[:2], day=parted[0].day + 14) == 1


def test_where_nothing_is_known_nothing_is_added(parted: list[Snapshot]) -> None:
    first = parted[0]
    behaviour = taught(parted, day=first.day + 29)
    assert (behaviour.boosters_, behaviour.rows_) == ({}, 0)
    for margin in behaviour.margins(first.columns, first.described).values():
        assert margin.tolist() == [0.0] * len(first.columns["recency_days"])


def test_what_came_after_the_day_teaches_nothing(parted: list[Snapshot]) -> None:
    day = parted[4].day
    poisoned = [
        replace(
            one,
            orders=np.where((one.day + np.array(KNOTS) > day)[:, None], 99.0, one.orders),
            value=np.where((one.day + np.array(KNOTS) > day)[:, None], 1e9, one.value),
        )
        for one in parted
    ]
    assert texts(taught(poisoned, day=day)) == texts(taught(parted, day=day))
    assert texts(taught(poisoned, day=parted[-1].day)) != texts(taught(parted, day=parted[-1].day))


def test_a_shop_that_has_not_settled_teaches_nothing(parted: list[Snapshot]) -> None:
    young = replace(parted[0], columns=parted[0].columns | {"tenure_days": np.full(9, 59.0)})
    assert taught([young], day=parted[-1].day).rows_ == 0
    assert taught(parted[:1], day=parted[-1].day).rows_ == len(parted[0].columns["tenure_days"])


def test_a_constant_outcome_has_no_trees(parted: list[Snapshot]) -> None:
    never = [replace(one, orders=one.orders * 0, value=one.value * 0) for one in parted]
    assert taught(never, day=parted[-1].day).boosters_ == {}
    counted = [replace(one, value=one.value * 0) for one in parted]
    assert set(taught(counted, day=parted[-1].day).boosters_) == {"no_order"}


def test_contributions_add_up_to_the_margin(parted: list[Snapshot]) -> None:
    behaviour, last = taught(parted, day=parted[-1].day), parted[-1]
    margins = behaviour.margins(last.columns, last.described)
    for target, parts in behaviour.contributions(last.columns, last.described).items():
        np.testing.assert_allclose(parts.sum(axis=1), margins[target], atol=1e-9)
