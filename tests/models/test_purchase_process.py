import logging
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bg_nbd import BgNbd
from models.likelihood import Rows, Vector
from models.pareto_nbd import ParetoNbd
from models.purchase_process import PurchaseProcess

BOTH = pytest.mark.parametrize("process", [BgNbd, ParetoNbd])
SHAPE = st.floats(0.02, 50.0)
SCALE = st.floats(0.1, 5_000.0)
STEADY = settings(deadline=None, derandomize=True)
HORIZON = st.floats(0.01, 3_650.0)


@st.composite
def fitted_processes(draw: st.DrawFn) -> PurchaseProcess:
    if draw(st.booleans()):
        return BgNbd.from_parameters(
            {"r": draw(SHAPE), "alpha": draw(SCALE), "a": draw(SHAPE), "b": draw(SHAPE)}
        )
    return ParetoNbd.from_parameters(
        {"r": draw(SHAPE), "alpha": draw(SCALE), "s": draw(SHAPE), "beta": draw(SCALE)}
    )


@st.composite
def histories(draw: st.DrawFn) -> Rows:
    age = draw(st.floats(0.0, 10_000.0))
    repeats = draw(st.integers(0, 2_000)) if age > 0 else 0
    recency = age * draw(st.floats(0.0, 1.0)) if repeats else 0.0
    return np.array([float(repeats)]), np.array([recency]), np.array([age])


def shop(customers: int = 400, seed: int = 5) -> Rows:
    rng = np.random.default_rng(seed)
    age = rng.integers(1, 400, customers).astype(float)
    active = np.minimum(age, rng.exponential(150, customers))
    frequency = rng.poisson(rng.gamma(0.7, 0.03, customers) * active).astype(float)
    last = np.floor(active * rng.beta(np.maximum(frequency, 1), 1))
    return frequency, np.where(frequency > 0, last, 0.0), age


TRUE_BG = {"r": 0.6, "alpha": 30.0, "a": 0.8, "b": 2.5}
TRUE_PARETO = {"r": 0.8, "alpha": 40.0, "s": 0.9, "beta": 150.0}
CUSTOMERS = 20_000


def bg_shop(*, horizon_days: float) -> tuple[Rows, Vector]:
    """Histories and orders to come of customers who drop out after an order."""
    rng = np.random.default_rng(1)
    age = rng.uniform(100, 700, CUSTOMERS)
    rate = rng.gamma(TRUE_BG["r"], 1 / TRUE_BG["alpha"], CUSTOMERS)
    dropout = rng.beta(TRUE_BG["a"], TRUE_BG["b"], CUSTOMERS)
    clock, alive = np.zeros(CUSTOMERS), np.ones(CUSTOMERS, dtype=bool)
    frequency, recency, future = np.zeros((3, CUSTOMERS))
    while alive.any():
        clock += rng.exponential(1 / rate)
        alive &= clock <= age + horizon_days
        known = alive & (clock <= age)
        frequency += known
        recency = np.where(known, clock, recency)
        future += alive & (clock > age)
        alive &= rng.random(CUSTOMERS) > dropout
    return (frequency, recency, age), future


def pareto_shop(*, horizon_days: float) -> tuple[Rows, Vector]:
    """Histories and orders to come of customers who drop out at any time."""
    rng = np.random.default_rng(1)
    age = rng.uniform(100, 700, CUSTOMERS)
    rate = rng.gamma(TRUE_PARETO["r"], 1 / TRUE_PARETO["alpha"], CUSTOMERS)
    life = rng.exponential(1 / rng.gamma(TRUE_PARETO["s"], 1 / TRUE_PARETO["beta"], CUSTOMERS))
    active = np.minimum(life, age)
    frequency = rng.poisson(rate * active).astype(float)
    recency = np.where(frequency > 0, active * rng.beta(np.maximum(frequency, 1), 1), 0)
    future = rng.poisson(rate * (np.minimum(life, age + horizon_days) - active).clip(0) * (life > age))
    return (frequency, recency, age), future


@pytest.mark.parametrize(
    ("process", "in_weeks", "log_likelihood"),
    [
        (BgNbd, {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, -9582.4),
        (ParetoNbd, {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669}, -9595.0),
    ],
)
def test_the_published_fit_to_the_cdnow_sample(
    cdnow_spend_by_day: dict[str, dict[int, float]],
    process: type[PurchaseProcess],
    in_weeks: dict[str, float],
    log_likelihood: float,
) -> None:
    days = [sorted(spend) for spend in cdnow_spend_by_day.values()]
    frequency = np.array([len(d) - 1.0 for d in days])
    recency = np.array([float(d[-1] - d[0]) for d in days])
    age = np.array([272.0 - d[0] for d in days])  # the papers' age ends with the last day, not after it
    model = process().fit(frequency, recency, age)
    for name, value in in_weeks.items():
        weeks = model.parameters_[name] / (7 if name in {"alpha", "beta"} else 1)
        assert weeks == pytest.approx(value, rel=0.001, abs=0.0005)
    assert model.log_likelihood_ + frequency.sum() * np.log(7) == pytest.approx(log_likelihood, abs=0.1)
    assert not model.note_


@pytest.mark.parametrize(
    ("process", "shop_of", "parameters"),
    [(BgNbd, bg_shop, TRUE_BG), (ParetoNbd, pareto_shop, TRUE_PARETO)],
)
def test_known_parameters_are_recovered_and_the_forecast_is_calibrated(
    process: type[PurchaseProcess],
    shop_of: Callable[..., tuple[Rows, Vector]],
    parameters: dict[str, float],
) -> None:
    history, future = shop_of(horizon_days=90)
    model = process().fit(*history)
    assert model.parameters_ == pytest.approx(parameters, rel=0.15)
    silent = model.no_order(*history, horizon_days=90)
    assert silent.mean() == pytest.approx((future == 0).mean(), abs=0.008)
    often = silent < np.quantile(silent, 0.2)
    assert silent[often].mean() == pytest.approx((future[often] == 0).mean(), abs=0.025)
    expected = model.expected_orders(*history, horizon_days=90)
    assert expected.sum() == pytest.approx(future.sum(), rel=0.03)


@BOTH
def test_many_horizons_at_once_are_those_one_by_one(process: type[PurchaseProcess]) -> None:
    model, history = process().fit(*shop()), shop()
    days = np.array([7.0, 90.0, 365.0])
    together = model.outlook(*history, horizon_days=days[:, None])
    for place, day in enumerate(days):
        alone = model.outlook(*history, horizon_days=day)
        np.testing.assert_allclose(together.no_order[place], alone.no_order, rtol=1e-12)
        np.testing.assert_allclose(together.expected_orders[place], alone.expected_orders, rtol=1e-12)


@BOTH
def test_a_fit_started_near_another_arrives_where_a_fit_from_nothing_does(
    process: type[PurchaseProcess],
) -> None:
    other = process().fit(*shop(2_000, seed=8))
    near, alone = process().fit(*shop(2_000), near=other), process().fit(*shop(2_000))
    assert near.parameters_ == pytest.approx(alone.parameters_, rel=0.02)
    assert near.log_likelihood_ == pytest.approx(alone.log_likelihood_, abs=0.01)


@STEADY
@given(fitted_processes(), histories())
def test_alive_is_a_probability(process: PurchaseProcess, history: Rows) -> None:
    assert 0.0 <= process.alive(*history)[0] <= 1.0


@STEADY
@given(fitted_processes(), histories(), HORIZON, HORIZON)
def test_a_longer_horizon_makes_no_order_less_likely(
    process: PurchaseProcess, history: Rows, one: float, other: float
) -> None:
    short, long = sorted((one, other))
    sooner = process.no_order(*history, horizon_days=short)[0]
    later = process.no_order(*history, horizon_days=long)[0]
    assert 0.0 <= later <= sooner + 1e-9 <= 1.0 + 2e-9


@STEADY
@given(fitted_processes(), histories(), HORIZON, HORIZON)
def test_a_longer_horizon_brings_more_orders(
    process: PurchaseProcess, history: Rows, one: float, other: float
) -> None:
    short, long = sorted((one, other))
    sooner = process.expected_orders(*history, horizon_days=short)[0]
    later = process.expected_orders(*history, horizon_days=long)[0]
    assert 0.0 <= sooner <= later * (1 + 1e-9)
    assert np.isfinite(later)


@STEADY
@given(fitted_processes(), histories(), HORIZON)
def test_at_least_as_many_orders_are_expected_as_the_chance_of_one(
    process: PurchaseProcess, history: Rows, horizon_days: float
) -> None:
    some = 1.0 - process.no_order(*history, horizon_days=horizon_days)[0]
    assert process.expected_orders(*history, horizon_days=horizon_days)[0] >= some * (1 - 1e-6) - 1e-9


@BOTH
def test_each_history_is_answered_by_itself(process: type[PurchaseProcess]) -> None:
    model, history = process().fit(*shop()), shop(5_000, seed=6)
    some = slice(2_040, 2_060)
    for answer in (model.no_order, model.expected_orders):
        whole = answer(*history, horizon_days=90)[some]
        np.testing.assert_allclose(whole, answer(*(c[some] for c in history), horizon_days=90), rtol=1e-12)


@BOTH
def test_the_order_of_the_customers_changes_nothing(process: type[PurchaseProcess]) -> None:
    history = shop()
    shuffle = np.random.default_rng(0).permutation(history[0].size)
    assert process().fit(*(c[shuffle] for c in history)).parameters_ == process().fit(*history).parameters_


@BOTH
def test_another_unit_of_time_changes_only_the_parameters_that_are_times(
    process: type[PurchaseProcess],
) -> None:
    frequency, recency, age = shop(2_000)
    days, weeks = process().fit(frequency, recency, age), process().fit(frequency, recency / 7, age / 7)
    for name, value in days.parameters_.items():
        unit = 7.0 if name in {"alpha", "beta"} else 1.0
        assert weeks.parameters_[name] * unit == pytest.approx(value, rel=1e-3)
    assert weeks.log_likelihood_ == pytest.approx(
        days.log_likelihood_ + frequency.sum() * np.log(7), abs=1e-3
    )


@BOTH
def test_a_process_is_restored_from_its_parameters(process: type[PurchaseProcess]) -> None:
    model = process().fit(*shop())
    restored = process.from_parameters(model.parameters_)
    np.testing.assert_array_equal(
        restored.no_order(*shop(), horizon_days=30), model.no_order(*shop(), horizon_days=30)
    )


@BOTH
def test_the_slopes_of_the_likelihood_are_its_derivatives(process: type[PurchaseProcess]) -> None:
    rows = tuple(np.array(c) for c in ([0, 0, 1, 9, 200], [0, 0, 30, 80, 395], [0, 300, 90, 300, 400.0]))
    for parameters in (np.array([0.6, 70.0, 0.7, 20.0]), np.array([2.0, 15.0, 3.0, 40.0])):
        slopes = process._terms(parameters, rows)[1]  # noqa: SLF001  (what the optimiser is given)
        for i, step in enumerate(np.diag(1e-5 * parameters)):
            up, down = (process._terms(parameters + sign * step, rows)[0] for sign in (1, -1))  # noqa: SLF001
            np.testing.assert_allclose(slopes[i], (up - down) / (2 * step[i]), rtol=1e-5, atol=1e-6)


@BOTH
@pytest.mark.parametrize(
    "history",
    [
        pytest.param(([], [], []), id="nobody"),
        pytest.param(([0], [0], [0]), id="one-first-order-today"),
        pytest.param(([0] * 300, [0] * 300, list(range(300))), id="no-repeat-order"),
        pytest.param(([10] * 300, [100] * 300, [105] * 300), id="all-alike"),
        pytest.param(([3] * 300, [10] * 300, [1000] * 300), id="all-gone"),
    ],
)
def test_data_that_tell_too_little_get_usual_parameters_and_a_note(
    process: type[PurchaseProcess], history: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    history = tuple(np.array(column, dtype=float) for column in history)
    with caplog.at_level(logging.INFO):
        model = process().fit(*history)
    assert "usual values" in model.note_
    assert model.note_ in caplog.text
    asked = np.array([0.0, 2.0]), np.array([0.0, 40.0]), np.array([0.0, 50.0])
    assert np.isfinite(model.expected_orders(*asked, horizon_days=365)).all()


@BOTH
def test_one_customer_with_an_enormous_history_leaves_the_others_sane(process: type[PurchaseProcess]) -> None:
    frequency, recency, age = (np.append(c, v) for c, v in zip(shop(), (2_000, 9_999, 10_000), strict=True))
    model = process().fit(frequency, recency, age)
    expected = model.expected_orders(frequency, recency, age, horizon_days=90)
    assert expected[-1] == pytest.approx(18, abs=1)
    assert expected[:-1].max() < 30
