import json

import numpy as np
import pytest

from features.contract import Kind
from features.tier_settings import Level, TierSettings
from models.likelihood import Vector
from models.tiers import TierPolicy
from models.transitions import Names, Transitions

HALF = [Level(name="good", when="top(clv, 0.5)"), Level(name="poor")]


def policy(*levels: Level) -> TierPolicy:
    settings = TierSettings(levels=levels or tuple(HALF))
    return TierPolicy.of(settings, setting="transactional", columns={"clv": Kind.NUMBER})


def names(*counts: tuple[str, int]) -> Names:
    return np.repeat(np.array([name for name, _ in counts], dtype=object), [count for _, count in counts])


def alike(count: int) -> dict[str, Vector]:
    return {"clv": np.full(count, 100.0), "churn_risk": np.full(count, 0.5)}


def spread_out(count: int, *, risk: float = 0.5) -> dict[str, Vector]:
    """Customers whose risks run from near 0 to twice the mean, or from that mean's mirror to near 1."""
    part = np.linspace(0.01, 0.99, count)
    return {"clv": 100.0 * (1.0 - part), "churn_risk": part ** (np.log(risk) / np.log(0.5))}


@pytest.fixture(name="leaving")
def leaving_fixture() -> Transitions:
    """Half of the good ones fell, those with the higher risk; the poor ones, as many, stayed."""
    columns = {name: np.tile(values, 2) for name, values in spread_out(400).items()}
    before, after = names(("good", 400), ("poor", 400)), names(("good", 200), ("poor", 600))
    return Transitions().fit(columns, before, after, policy=policy())


def test_where_forecasts_tell_nothing_last_periods_shares_return() -> None:
    before, after = names(("good", 100), ("poor", 300)), names(("good", 75), ("poor", 295), ("good", 30))
    transitions = Transitions().fit(alike(400), before, after, policy=policy())
    expected = transitions.expected(alike(40), names(("good", 20), ("poor", 20)))
    np.testing.assert_allclose(expected, [[15, 5], [2, 18]], atol=0.01)


def test_the_period_that_taught_is_told_as_it_was(leaving: Transitions) -> None:
    columns = {name: np.tile(values, 2) for name, values in spread_out(400).items()}
    expected = leaving.expected(columns, names(("good", 400), ("poor", 400)))
    np.testing.assert_allclose(expected, [[200, 200], [0, 400]], atol=0.2)


def test_who_is_likelier_to_churn_is_expected_to_fall(leaving: Transitions) -> None:
    now = names(("good", 400))
    usual, riskier = (leaving.expected(spread_out(400, risk=risk), now)[0] for risk in (0.5, 0.7))
    np.testing.assert_allclose(usual, [200, 200], atol=5)
    assert riskier[1] > usual[1] + 10


def test_chances_of_everybody_add_up_to_everybody(leaving: Transitions) -> None:
    expected = leaving.expected(spread_out(50), names(("good", 10), ("poor", 40)))
    np.testing.assert_allclose(expected.sum(axis=1), [10, 40])


def test_who_has_no_forecast_is_left_out(leaving: Transitions) -> None:
    columns = spread_out(50)
    columns["clv"][:5] = np.nan
    assert leaving.expected(columns, names(("good", 50))).sum() == pytest.approx(45)


def test_the_currency_does_not_matter(leaving: Transitions) -> None:
    dear = {name: np.tile(values, 2) for name, values in spread_out(400).items()}
    dear["clv"] *= 1_000
    before, after = names(("good", 400), ("poor", 400)), names(("good", 200), ("poor", 600))
    taught = Transitions().fit(dear, before, after, policy=policy())
    there, now = spread_out(50, risk=0.6), names(("good", 25), ("poor", 25))
    here = taught.expected({**there, "clv": there["clv"] * 1_000}, now)
    np.testing.assert_allclose(here, leaving.expected(there, now), rtol=1e-5)


def test_a_tier_that_nobody_was_in_is_expected_to_stay() -> None:
    levels = (Level(name="best", when="top(clv, 0.1)"), *HALF)
    before = after = names(("good", 100), ("poor", 100))
    transitions = Transitions().fit(alike(200), before, after, policy=policy(*levels))
    expected = transitions.expected(alike(10), names(("best", 10)))
    np.testing.assert_allclose(expected[0], [10, 0, 0], atol=0.01)


def test_a_move_that_nobody_made_is_hardly_expected() -> None:
    levels = (Level(name="best", when="top(clv, 0.1)"), *HALF)
    before, after = names(("best", 100)), names(("best", 60), ("poor", 40))
    transitions = Transitions().fit(spread_out(100), before, after, policy=policy(*levels))
    expected = transitions.expected(spread_out(100), before)[0]
    np.testing.assert_allclose(expected, [60, 0, 40], atol=0.1)


def test_what_was_learnt_survives_as_plain_data(leaving: Transitions) -> None:
    again = Transitions.restore(json.loads(json.dumps(leaving.state())))
    now = names(("good", 30), ("poor", 20))
    np.testing.assert_array_equal(again.expected(spread_out(50), now), leaving.expected(spread_out(50), now))
    assert again.are_of(policy())
    assert not again.are_of(policy(Level(name="good", when="top(clv, 0.4)"), HALF[1]))


def test_nobody_gives_nothing(leaving: Transitions) -> None:
    nobody = {name: np.array([]) for name in ("clv", "churn_risk")}
    assert leaving.expected(nobody, np.array([], dtype=object)).tolist() == [[0, 0], [0, 0]]
