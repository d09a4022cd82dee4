"""Shops that are unlike any other: each gets finite and coherent scores from every forecaster."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

from models.baselines import OwnRate, RecencyRule
from models.estimator import OUTPUTS, ForecastEstimator
from models.purchase_forecaster import PurchaseForecaster
from models.tree_forecaster import TreeForecaster

Lesson = tuple[pd.DataFrame, pd.DataFrame]
Kind = Callable[..., ForecastEstimator]
KINDS = {
    "trees": lambda **given: TreeForecaster(rounds=5, **given),
    "pareto_nbd": PurchaseForecaster,
    "bg_nbd": lambda **given: PurchaseForecaster(process="bg_nbd", **given),
    "own_rate": OwnRate,
    "recency_rule": RecencyRule,
}


def counts_only(shop: pd.DataFrame) -> pd.DataFrame:
    return shop.assign(amount=0.0)


def paid_back(shop: pd.DataFrame) -> pd.DataFrame:
    return shop.assign(amount=shop["amount"].where(shop["customer"] % 3 > 0, -5.0))


def one_enormous_order(shop: pd.DataFrame) -> pd.DataFrame:
    return shop.assign(amount=shop["amount"].where(shop.index != len(shop) // 2, 1e9))


def bought_once(shop: pd.DataFrame) -> pd.DataFrame:
    return shop.groupby("customer", as_index=False).first()


def never_came_back(shop: pd.DataFrame) -> pd.DataFrame:
    return shop[shop["day"] < 80]


def came_every_week(shop: pd.DataFrame) -> pd.DataFrame:
    weeks = pd.MultiIndex.from_product([range(60), range(0, shop["day"].max(), 7)]).to_frame(index=False)
    return weeks.set_axis(["customer", "day"], axis=1).eval("day = day + customer % 7").assign(amount=10.0)


def gap_of_months(shop: pd.DataFrame) -> pd.DataFrame:
    return shop[~shop["day"].between(250, 450)]


def free_at_first(shop: pd.DataFrame) -> pd.DataFrame:
    return shop.assign(amount=shop["amount"].where(shop["day"] > 400, 0.0))


def ten_customers(shop: pd.DataFrame) -> pd.DataFrame:
    first = shop.groupby("customer")["day"].min().nsmallest(10).index
    return shop[shop["customer"].isin(first)]


def one_order(shop: pd.DataFrame) -> pd.DataFrame:
    return shop.nsmallest(1, "day")


ODD = [
    counts_only,
    paid_back,
    one_enormous_order,
    bought_once,
    never_came_back,
    came_every_week,
    gap_of_months,
    free_at_first,
    ten_customers,
    one_order,
]


@pytest.fixture(scope="module")
def lesson_of_odd(shop: pd.DataFrame, lesson_of: Callable[..., Lesson]) -> Callable[..., Lesson]:
    """Make what there is to learn from a shop, once for all kinds of forecasters."""
    return cache(lambda odd, present=690: lesson_of(odd(shop), present=present))


def scores(kind: str, lesson: Lesson, *, horizon_days: int = 60) -> pd.DataFrame:
    """Fit and forecast the present."""
    frame, _ = lesson
    present = frame[frame["as_of_day"] == frame["as_of_day"].max()]
    return KINDS[kind](horizon_days=horizon_days).fit(*lesson).predict(present)


@pytest.mark.parametrize(("present", "horizon_days"), [(690, 60), (100, 270)], ids=["long", "short"])
@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("kind", KINDS)
def test_every_score_is_finite_and_they_fit_together(
    lesson_of_odd: Callable[..., Lesson],
    kind: str,
    odd: Callable[[pd.DataFrame], pd.DataFrame],
    present: int,
    horizon_days: int,
) -> None:
    given = scores(kind, lesson_of_odd(odd, present), horizon_days=horizon_days)
    assert list(given.columns) == list(OUTPUTS)
    assert np.isfinite(given.drop(columns="next_order_days")).all(axis=None)
    assert given["churn_risk"].between(0, 1).all()
    assert (given["expected_orders"] >= 1 - given["churn_risk"] - 1e-9).all()
    assert (given[["expected_value", "value_low", "clv"]] >= 0).all(axis=None)
    assert (given["value_low"] <= given["value_high"]).all()
    assert (given["next_order_days"].isna() | (given["next_order_days"] >= 0)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_where_nobody_pays_nothing_is_expected(lesson_of_odd: Callable[..., Lesson], kind: str) -> None:
    given = scores(kind, lesson_of_odd(counts_only))
    assert (given[["expected_value", "value_high", "clv"]] == 0).all(axis=None)
    assert given["expected_orders"].mean() > 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_one_enormous_order_does_not_make_everybody_rich(
    shop: pd.DataFrame, lesson: Lesson, lesson_of_odd: Callable[..., Lesson], kind: str
) -> None:
    spoilt = one_enormous_order(shop)
    customers = shop.loc[shop["day"] < 690, "customer"].sort_values().unique()
    others = customers != spoilt.loc[spoilt["amount"].idxmax(), "customer"]
    before, after = (scores(kind, each).loc[others] for each in (lesson, lesson_of_odd(one_enormous_order)))
    assert after["expected_value"].sum() < 5 * before["expected_value"].sum()


@pytest.mark.parametrize("kind", ["trees", "pareto_nbd", "bg_nbd", "recency_rule"])
def test_risks_tell_a_shop_that_all_have_left_from_one_that_all_come_back_to(
    lesson_of_odd: Callable[..., Lesson], kind: str
) -> None:
    assert scores(kind, lesson_of_odd(never_came_back))["churn_risk"].mean() > 0.95
    assert scores(kind, lesson_of_odd(came_every_week))["churn_risk"].mean() < 0.05
