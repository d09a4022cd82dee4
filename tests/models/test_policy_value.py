import numpy as np
import pytest

from models.policy_value import CONTRADICTED, NO_OVERLAP, RandomisedLog

Flags = np.ndarray
CHANCE = 0.4


def drawn(*, rows: int = 400, seed: int = 0, told: bool = False) -> tuple[RandomisedLog, Flags]:
    """Draw a log, and who was treated: the first half of the rows gains 1 by it, the others nothing."""
    rng = np.random.default_rng(seed)
    treated = rng.random(rows) < CHANCE
    known = rng.normal(size=(rows, 1))
    outcome = 10 + 2 * known[:, 0] + rng.normal(size=rows) + treated * (np.arange(rows) < rows / 2)
    chances = np.where(treated, CHANCE, 1 - CHANCE)
    return RandomisedLog(outcome, chances, np.arange(rows), known if told else None), treated


def test_rows_in_the_head() -> None:
    log = RandomisedLog(np.tile([8.0, 4.0, 2.0, 6.0], 60), np.full(240, 0.5), np.arange(240))
    treated = np.tile([True, False, True, False], 60)
    gain = log.gain(treated, over=~treated)
    assert gain.value == pytest.approx((8 + 2) / 2 - (4 + 6) / 2)
    # The differences from the rule's own mean, doubled: +-6 and +-2.
    assert gain.standard_error == pytest.approx(np.sqrt((6**2 + 2**2) / 2 / 239))
    first_two = np.tile([True, False, False, True], 60)
    assert log.gain(first_two, over=~treated).value == pytest.approx((8 + 6) / 2 - 5)


@pytest.mark.parametrize("told", [False, True], ids=["by inverse propensity", "doubly robust"])
def test_intervals_cover_the_truth_as_often_as_they_say(told: bool) -> None:
    covered = 0
    for seed in range(200):
        log, treated = drawn(seed=seed, told=told)
        the_half_that_gains = treated == (np.arange(400) < 200)
        gain = log.gain(the_half_that_gains, over=~treated)
        covered += gain.low <= 0.5 <= gain.high
    assert 0.9 <= covered / 200 <= 0.99


def test_what_was_known_before_narrows_the_interval_and_what_tells_nothing_does_not_mislead() -> None:
    (plain, treated), (robust, _) = drawn(rows=4_000), drawn(rows=4_000, told=True)
    noise = np.random.default_rng(1).normal(size=(4_000, 1))
    nonsense = RandomisedLog(plain.outcome, plain.propensity, plain.customer, noise)
    told = [log.gain(treated, over=~treated) for log in (robust, plain, nonsense)]
    assert told[0].standard_error < 0.6 * told[1].standard_error
    assert told[2].standard_error == pytest.approx(told[1].standard_error, rel=0.02)
    assert all(each.low < 0.5 < each.high for each in told)


def test_a_rule_gains_nothing_over_itself() -> None:
    log, treated = drawn()
    assert log.gain(treated, over=treated).value == 0


@pytest.mark.parametrize("told", [False, True])
def test_the_order_of_rows_changes_nothing(told: bool) -> None:
    log, treated = drawn(told=told)
    order = np.random.default_rng(1).permutation(400)
    before = None if log.before is None else log.before[order]
    other = RandomisedLog(log.outcome[order], log.propensity[order], log.customer[order], before)
    one, two = log.gain(treated, over=~treated), other.gain(treated[order], over=~treated[order])
    assert (one.value, one.standard_error) == pytest.approx((two.value, two.standard_error))


def test_rows_of_the_same_customers_tell_no_more_than_the_customers() -> None:
    log, treated = drawn()
    twice = RandomisedLog(*(np.tile(each, 2) for each in (log.outcome, log.propensity, log.customer)))
    one, two = log.gain(treated, over=~treated), twice.gain(np.tile(treated, 2), over=np.tile(~treated, 2))
    assert (one.value, one.standard_error) == pytest.approx((two.value, two.standard_error))


def test_a_rule_that_was_hardly_ever_followed_is_refused_with_what_it_weighs() -> None:
    log, _ = drawn()
    gain = log.gain(np.arange(400) < 29, over=np.arange(400) >= 29)
    assert (gain.reason, np.isnan(gain.value)) == (NO_OVERLAP, True)
    assert gain.number == pytest.approx(28, abs=1.5)
    never = np.zeros(400, dtype=bool)
    assert log.gain(never, over=~never).number == 0


def test_propensities_that_are_not_those_of_what_was_done_are_refused() -> None:
    log, treated = drawn(rows=4_000)
    wrong = RandomisedLog(log.outcome, np.full(4_000, 0.5), log.customer)
    gain = wrong.gain(treated, over=~treated)
    assert (gain.reason, gain.number) == (CONTRADICTED, pytest.approx(4 / 6, abs=0.05))
