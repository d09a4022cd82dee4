from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import hyp2f1
from scipy.stats import beta

from models.bg_nbd import BgNbd


@pytest.mark.parametrize("a", [0.3, 0.793, 2.4])
@pytest.mark.parametrize(
    ("x", "recency", "age", "horizon"), [(0, 0, 40, 90), (2, 213, 272, 273), (9, 80, 90, 30)]
)
def test_expected_orders_are_those_of_the_closed_form(
    a: float, x: float, recency: float, age: float, horizon: float
) -> None:
    r, alpha, b = 0.243, 30.9, 2.426
    series = hyp2f1(r + x, b + x, a + b + x - 1, horizon / (alpha + age + horizon))
    some = 1 - ((alpha + age) / (alpha + age + horizon)) ** (r + x) * series
    gone = (x > 0) * a / (b + x - 1) * ((alpha + age) / (alpha + recency)) ** (r + x)
    closed = (a + b + x - 1) / (a - 1) * some / (1 + gone)
    model = BgNbd.from_parameters({"r": r, "alpha": alpha, "a": a, "b": b})
    answer = model.expected_orders(*np.array([[x], [recency], [age]], dtype=float), horizon_days=horizon)
    assert answer == pytest.approx([closed], rel=1e-9)


@pytest.mark.parametrize(("x", "age", "horizon"), [(2_000, 9_990, 365), (300, 400, 3_650), (0, 0, 3_650)])
def test_expected_orders_hold_for_long_histories_and_long_horizons(
    x: float, age: float, horizon: float
) -> None:
    r, alpha, a, b = 0.6, 12.0, 0.8, 2.5

    def orders(p: float) -> float:
        some = -np.expm1(-(r + x) * np.log1p(p * horizon / (alpha + age)))
        return float(some / p * beta.pdf(p, a, b + x))

    pieces = np.concatenate([[0], np.geomspace(1e-9, 1, 40)])
    whole = sum(quad(orders, *piece)[0] for piece in pairwise(pieces))
    model = BgNbd.from_parameters({"r": r, "alpha": alpha, "a": a, "b": b})
    history = np.array([[x], [age], [age]], dtype=float)
    alive = model.alive(*history)[0]
    assert model.expected_orders(*history, horizon_days=horizon)[0] == pytest.approx(whole * alive, rel=1e-4)


def test_no_order_by_hand() -> None:
    model = BgNbd.from_parameters({"r": 1.0, "alpha": 10.0, "a": 1.0, "b": 1.0})
    # one repeat order on day 10 of 30: odds of having left 1/1 x (40/20)^2 = 4; silent if alive: (40/80)^2
    history = np.array([[1.0], [10.0], [30.0]])
    assert model.alive(*history) == pytest.approx([0.2])
    assert model.no_order(*history, horizon_days=40) == pytest.approx([1 - 0.2 * 0.75])
