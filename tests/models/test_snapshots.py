from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from models.snapshots import CERTAIN, Snapshot, inputs, log_odds, log_value

Lesson = tuple[pd.DataFrame, pd.DataFrame]
TWO_MONTHS = 3
"""The place of 60 days among the knots."""


def test_a_lesson_is_parted_by_day_and_each_part_has_its_own_process(
    parted: list[Snapshot], lesson: Lesson
) -> None:
    frame, labels = lesson
    assert [each.day for each in parted] == sorted(set(frame["as_of_day"]))
    for snapshot in parted:
        rows = frame["as_of_day"] == snapshot.day
        np.testing.assert_array_equal(snapshot.columns["recency_days"], frame.loc[rows, "recency_days"])
        np.testing.assert_array_equal(snapshot.orders[TWO_MONTHS], labels.loc[rows, "orders_60"])
        np.testing.assert_array_equal(snapshot.value[-1], labels.loc[rows, "value_365"])
    assert len({str(each.process.state()) for each in parted}) == len(parted)


def test_a_knot_is_known_once_its_days_are_over(parted: list[Snapshot]) -> None:
    present = parted[-1].day
    for snapshot in parted:
        known = [snapshot.is_known(place) for place in range(8)]
        assert known == [snapshot.day + days <= present for days in (7, 14, 30, 60, 90, 180, 270, 365)]


@pytest.mark.parametrize("knot", [0, TWO_MONTHS, 7])
def test_moved_by_its_level_a_forecast_gives_the_totals_that_came(parted: list[Snapshot], knot: int) -> None:
    snapshot = parted[2]
    curve, came, value = snapshot.described.curve, snapshot.orders[knot], snapshot.value[knot].sum()
    risk, per_buyer, worth = snapshot.level(knot)
    moved = expit(log_odds(curve.no_order[knot]) + risk)
    assert moved.mean() == pytest.approx((came == 0).mean(), abs=1e-6)
    each_came = (came.sum() + 1) / ((came > 0).sum() + 1)
    each_said = (curve.orders[knot].sum() + 1) / ((1 - curve.no_order[knot]).sum() + 1)
    assert each_said * np.exp(per_buyer) == pytest.approx(each_came)
    price = snapshot.described.order_value.mean()
    assert (curve.value[knot].sum() + price) * np.exp(worth) == pytest.approx(value + price)


@pytest.mark.parametrize("orders", [0.0, 1.0])
def test_a_level_is_finite_where_nobody_or_everybody_came(parted: list[Snapshot], orders: float) -> None:
    came = np.full_like(parted[0].orders, orders)
    level = replace(parted[0], orders=came, value=came).level(TWO_MONTHS)
    assert np.isfinite(level).all()
    assert (level[0] < 0) == (orders > 0)


def test_log_odds_are_kept_from_certainty() -> None:
    ends = log_odds(np.array([0.0, 1.0]))
    assert expit(ends) == pytest.approx([CERTAIN, 1 - CERTAIN])


def test_trees_see_the_features_and_the_process_but_not_the_day(parted: list[Snapshot]) -> None:
    snapshot = parted[0]
    given = inputs(snapshot.columns, snapshot.described, knot=TWO_MONTHS)
    assert given.keys() >= snapshot.columns.keys() - {"as_of_day"}
    assert "as_of_day" not in given
    np.testing.assert_array_equal(given["process_value"], snapshot.described.curve.value[TWO_MONTHS])


def test_the_log_of_a_value_is_finite_for_who_pays_nothing(parted: list[Snapshot]) -> None:
    described = parted[-1].described
    assert np.isfinite(log_value(described._replace(order_value=described.order_value * 0), 0)).all()
