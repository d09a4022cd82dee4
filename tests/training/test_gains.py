import numpy as np
import pandas as pd
import pytest

from training import metrics
from training.evaluation import Gain, paired_gain
from training.gains import mean_gains
from training.grade import grade_of, graded

CUSTOMERS = 400


def held_out(noise: dict[str, float], *, origins: int) -> pd.DataFrame:
    """Poisson buyers, fewer at each origin; every model knows their log rate up to its noise."""
    draw, parts = np.random.default_rng(5), []
    for origin in range(origins):
        size = CUSTOMERS - 100 * origin
        rate = draw.gamma(0.6, 1.5, size)
        orders = draw.poisson(rate)
        value = 10.0 * orders * (1 + 9 * origin)
        for model, spread in noise.items():
            guess = rate * np.exp(draw.normal(0, spread, size))
            forecast = {"churn_risk": np.exp(-guess), "expected_value": guess}
            truth = {"orders": orders, "value": value, "origin": origin, "model": model}
            parts.append(pd.DataFrame(forecast | truth).assign(customer_id=[f"c{n}" for n in range(size)]))
    return pd.concat(parts, ignore_index=True)


def test_the_gain_is_the_mean_of_those_at_the_origins() -> None:
    frame = held_out({"blurred": 1.0, "sharp": 0.1, "dull": 2.0}, origins=3)
    found = {
        (gain.rival, gain.metric): gain
        for gain in mean_gains(frame, "sharp", ["dull", "sharp", "blurred"], resamples=20)
    }
    assert set(found) == {(rival, loss) for rival in ("dull", "blurred") for loss in ("log_loss", "gini")}
    for (rival, metric), gain in found.items():
        alone = [
            paired_gain(rows, "sharp", rival, metric, resamples=2).estimate
            for _, rows in frame.groupby("origin")
        ]
        assert gain.estimate == pytest.approx(np.mean(np.array(alone, dtype=float)), rel=1e-6)
        assert gain.better


def test_the_interval_of_a_gain_has_the_width_of_its_standard_error() -> None:
    frame = held_out({"sharp": 0.1, "blurred": 1.0}, origins=1)
    churned = (frame["orders"] == 0).to_numpy(dtype=float)
    losses = frame.assign(loss=metrics.log_losses(churned, frame["churn_risk"].to_numpy()))
    paired = losses.pivot_table(index="customer_id", columns="model", values="loss")
    differences = paired["blurred"] - paired["sharp"]
    gain = mean_gains(frame, "sharp", ["blurred"])[0]
    assert gain.low is not None
    assert gain.high is not None
    assert gain.high - gain.low == pytest.approx(2 * 1.96 * differences.std() / np.sqrt(CUSTOMERS), rel=0.12)


def test_a_customer_repeated_at_another_origin_adds_no_certainty() -> None:
    once = held_out({"sharp": 0.1, "blurred": 1.0}, origins=1)
    twice = pd.concat([once, once.assign(origin=1)], ignore_index=True)
    one, two = (mean_gains(frame, "sharp", ["blurred"], resamples=30) for frame in (once, twice))
    assert one == two


def test_without_any_value_there_is_no_gain_in_it() -> None:
    frame = held_out({"sharp": 0.1, "blurred": 1.0}, origins=2).assign(value=0.0)
    churn, value = mean_gains(frame, "sharp", ["blurred"], resamples=10)
    assert churn.better
    assert (value.metric, value.estimate, value.low, value.high) == ("gini", None, None, None)


def gain(metric: str, rival: str, estimate: float, half: float) -> Gain:
    return Gain(metric, "ours", rival, estimate, estimate - half, estimate + half)


@pytest.mark.parametrize(
    ("churn", "value", "letter"),
    [
        pytest.param(0.02, 0.02, "A", id="better-in-both"),
        pytest.param(0.02, 0.00, "B", id="better-in-churn"),
        pytest.param(0.00, 0.02, "B", id="better-in-value"),
        pytest.param(0.00, 0.00, "C", id="not-to-be-told"),
        pytest.param(0.02, -0.02, "D", id="worse-in-value"),
    ],
)
def test_the_letter_tells_what_is_gained_over_the_best_baseline(
    churn: float, value: float, letter: str
) -> None:
    weak = [gain("log_loss", "weak", 0.5, 0.01), gain("gini", "weak", 0.5, 0.01)]
    found = graded([*weak, gain("log_loss", "best", churn, 0.01), gain("gini", "best", value, 0.01)])
    assert found.letter == letter
    assert {one.rival for one in found.gains} == {"best"}
    assert "over best (95% interval" in found.reason
    assert found.facts() == {"grade": letter, "grade_reason": found.reason}


def test_where_nothing_has_any_value_churn_alone_is_graded() -> None:
    churn = gain("log_loss", "best", 0.02, 0.01)
    assert graded([churn, Gain("gini", "ours", "best", None, None, None)]).letter == "A"


def test_who_was_never_judged_has_the_lowest_grade() -> None:
    for frame in (pd.DataFrame(), held_out({"ours": 0.1}, origins=1)):
        found = grade_of(frame, "ours", ["ours"])
        assert (found.letter, found.gains) == ("D", ())


def test_a_model_that_knows_more_than_its_baselines_is_graded_a() -> None:
    frame = held_out({"ours": 0.1, "rule": 1.0, "process": 0.8}, origins=2)
    found = grade_of(frame, "ours", ["ours", "rule", "process"])
    assert found.letter == "A"
    assert [one.metric for one in found.gains] == ["log_loss", "gini"]
