import numpy as np
import pandas as pd
import pytest

from training.shop import simulate_shop
from training.shop_buyers import TREATMENTS, draw_customers, draw_truth
from training.shop_truth import Twins, basket, basket_price, true_effects

DATES = pd.date_range("2023-01-01", periods=400, tz="UTC")


def twins(**truth: float) -> Twins:
    rng = np.random.default_rng(0)
    drawn = draw_truth(draw_customers(300, len(DATES), rng), rng).assign(**truth)
    return Twins(drawn, DATES, rng, horizon_days=60)


def test_a_treatment_that_does_nothing_makes_no_difference_between_twins() -> None:
    lived = twins(**{treatment.factor: 1.0 for treatment in TREATMENTS.values()})
    for name in TREATMENTS:
        np.testing.assert_array_equal(np.concatenate(lived.with_[name]), np.concatenate(lived.without_[name]))


def test_a_coupon_that_triples_the_pace_in_half_of_the_horizon_brings_about_twice_the_orders() -> None:
    lived = twins(winback_coupon_factor=3.0)
    with_, without = (np.concatenate(each["winback_coupon"])[:, 0] for each in (lived.with_, lived.without_))
    assert 1.4 < with_.mean() / without.mean() < 2.6


def test_effects_are_told_per_assignment_and_the_coupon_pays_in_orders() -> None:
    told = true_effects(customers=300, days=400, horizon_days=60, seed=1)
    assert set(told["treatment"]) == set(TREATMENTS)
    assert told.groupby("treatment")["orders"].mean()["winback_coupon"] > 0


def test_large_baskets_and_small_ones_bring_their_part_of_the_revenue() -> None:
    shop = simulate_shop(customers=1000, days=400)
    bought = shop.orders[shop.orders["is_return"] == 0].drop_duplicates("order_id")
    baskets = pd.Series(basket(shop.truth), index=shop.truth["customer_id"])
    is_large = baskets > baskets.median()
    expected = (baskets * bought["customer_id"].value_counts()).groupby(is_large).sum() * basket_price(shop)
    revenue = shop.orders.groupby(is_large.loc[shop.orders["customer_id"]].to_numpy())["amount"].sum()
    assert expected.to_numpy() == pytest.approx(revenue.to_numpy(), rel=0.1)
    assert revenue[True] > 2 * revenue[False]
