import numpy as np
import pytest
from scipy.special import gammaln, hyp2f1

from models.pareto_nbd import ParetoNbd

Parameters = dict[str, float]
History = tuple[float, float, float]

HISTORIES = [(0, 0, 0.5), (0, 0, 272), (1, 3, 200), (2, 213, 272), (12, 250, 272), (30, 60, 272)]
PARAMETERS = [
    pytest.param({"r": 0.553, "alpha": 74.0, "s": 0.606, "beta": 81.7}, id="alpha-below-beta"),
    pytest.param({"r": 0.9, "alpha": 90.0, "s": 1.0, "beta": 20.0}, id="alpha-above-beta"),
    pytest.param({"r": 2.0, "alpha": 50.0, "s": 3.0, "beta": 50.0}, id="alpha-is-beta"),
]


def integrated(parameters: Parameters, history: History, horizon: float) -> tuple[float, ...]:
    """Likelihood, P(alive), P(no order), expected orders: sums over a grid of both logarithmic rates."""
    x, recency, age = history
    order, dropout = np.meshgrid(np.linspace(-45, 3, 800), np.linspace(-45, 3, 800), indexing="ij")
    both = np.exp(order) + np.exp(dropout)
    prior = 0.0
    for log_rate, shape, scale in (
        (order, parameters["r"], parameters["alpha"]),
        (dropout, parameters["s"], parameters["beta"]),
    ):
        prior = prior + shape * (log_rate + np.log(scale)) - scale * np.exp(log_rate) - gammaln(shape)
    weight = np.exp(prior) * (48 / 799) ** 2
    survived = weight * np.exp(x * order - both * age)
    left = (
        weight * np.exp(x * order + dropout - np.log(both)) * (np.exp(-both * recency) - np.exp(-both * age))
    )
    likelihood = survived.sum() + left.sum()
    silent = (np.exp(dropout) + np.exp(order - both * horizon)) / both
    orders = np.exp(order - dropout) * -np.expm1(-np.exp(dropout) * horizon)
    return (
        np.log(likelihood),
        survived.sum() / likelihood,
        (left.sum() + (survived * silent).sum()) / likelihood,
        (survived * orders).sum() / likelihood,
    )


def closed_form(parameters: Parameters, history: History) -> float:
    r, alpha, s, beta = parameters.values()
    x, recency, age = history
    high, b = (alpha, s + 1) if alpha >= beta else (beta, r + x)

    def term(time: float) -> float:
        series = hyp2f1(r + s + x, b, r + s + x + 1, abs(alpha - beta) / (high + time))
        return float(np.log(series) - (r + s + x) * np.log(high + time))

    survived = -(r + x) * np.log(alpha + age) - s * np.log(beta + age)
    left = s / (r + s + x) * (np.exp(term(recency) - survived) - np.exp(term(age) - survived))
    orders = gammaln(r + x) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
    return float(orders + survived + np.log1p(left))


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("history", HISTORIES)
def test_the_likelihood_is_that_of_the_closed_form(parameters: Parameters, history: History) -> None:
    rows = tuple(np.array([value], dtype=float) for value in history)
    likelihood = ParetoNbd._terms(np.array(list(parameters.values())), rows)[0]  # noqa: SLF001
    assert likelihood == pytest.approx([closed_form(parameters, history)], abs=1e-9)


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_all_answers_are_those_of_integration_over_both_rates(parameters: Parameters) -> None:
    model = ParetoNbd.from_parameters(parameters)
    for history in HISTORIES:
        rows = tuple(np.array([value], dtype=float) for value in history)
        likelihood, alive, silent, orders = integrated(parameters, history, horizon=90)
        assert model._terms(model._fitted, rows)[0][0] == pytest.approx(likelihood, abs=1e-6)  # noqa: SLF001
        assert model.alive(*rows)[0] == pytest.approx(alive, abs=1e-7)
        assert model.no_order(*rows, horizon_days=90)[0] == pytest.approx(silent, abs=1e-7)
        assert model.expected_orders(*rows, horizon_days=90)[0] == pytest.approx(orders, rel=1e-5)
