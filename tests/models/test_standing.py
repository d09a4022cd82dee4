import numpy as np
import pytest

from models.standing import confidence, percentile, quantile_grid, rank

ORDERS = np.array([np.nan, 1, 2, 3, 3, 9])
TENURE = np.array([np.nan, 500, 500, 89, 90, 90])


def test_a_percentile_is_the_share_of_others_that_lie_below() -> None:
    standing = percentile([1, 2, 3, 4], np.array([0, 1, 2.5, 4, 9, np.nan]))
    np.testing.assert_array_equal(standing, [0, 0, 50, 75, 100, np.nan])


def test_who_shares_the_lowest_value_stands_above_nobody() -> None:
    assert percentile([0, 0, 0, 5], np.array([0.0, 5.0])).tolist() == [0, 75]


def test_the_grid_of_1001_values_is_those_values_in_order() -> None:
    shuffled = np.random.default_rng(0).permutation(1001).astype(float)
    assert quantile_grid(shuffled) == pytest.approx(list(range(1001)))


def test_values_that_are_no_numbers_enter_no_grid() -> None:
    assert set(quantile_grid(np.array([2, np.nan, np.inf]))) == {2.0}
    assert quantile_grid(np.array([np.nan])) == []
    assert percentile([], np.array([3.0])).tolist() == [0]


def test_one_value_has_a_rank_where_there_are_others() -> None:
    assert rank([1, 2, 3, 4], 2.5) == 50
    assert rank([1, 2, 3, 4], None) is None
    assert rank([], 2.5) is None


@pytest.mark.parametrize(
    ("was_judged", "grades"),
    [(True, [None, "C", "B", "B", "A", "A"]), (False, [None, "C", "C", "C", "B", "B"])],
)
def test_a_grade_asks_for_three_orders_over_a_horizon_and_a_judged_model(
    was_judged: bool, grades: list[str | None]
) -> None:
    assert confidence(ORDERS, TENURE, horizon_days=90, was_judged=was_judged, skill=np.ones(6)) == grades


@pytest.mark.parametrize(
    ("skill", "grades"),
    [
        pytest.param(0.05, [None, "C", "B", "B", "A", "A"], id="told-clearly-more-than-the-rate"),
        pytest.param(0.04, [None, "C", "C", "C", "B", "B"], id="told-hardly-more"),
        pytest.param(np.nan, [None, "C", "C", "C", "B", "B"], id="told-nobody-knows-what"),
        pytest.param(-0.01, [None, "C", "C", "C", "C", "C"], id="told-less"),
    ],
)
def test_a_group_that_was_forecast_badly_is_graded_down(skill: float, grades: list[str | None]) -> None:
    of_all = np.full(6, skill)
    assert confidence(ORDERS, TENURE, horizon_days=90, was_judged=True, skill=of_all) == grades


def test_no_grade_gets_better_where_the_forecast_was_worse() -> None:
    skills = np.linspace(-0.5, 1.0, 31)
    orders, tenure = np.repeat([1.0, 2.0, 5.0], 31), np.full(93, 400.0)
    grades = confidence(orders, tenure, horizon_days=90, was_judged=True, skill=np.tile(skills, 3))
    places = np.array(["ABC".index(str(grade)) for grade in grades]).reshape(3, 31)
    assert (np.diff(places, axis=1) <= 0).all()
    assert (np.diff(places, axis=0) <= 0).all()
