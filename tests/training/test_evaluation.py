import json

import numpy as np
import pandas as pd
import pytest

from training import metrics
from training.evaluation import Evaluation, evaluate, paired_gain


def held_out(
    noise: dict[str, float], *, customers: int = 400, origins: int = 2, seed: int = 5
) -> pd.DataFrame:
    """Poisson buyers of known rates; each model knows the log rate up to its noise."""
    draw = np.random.default_rng(seed)
    rate = draw.gamma(0.6, 1.5, customers)
    parts = []
    for origin in range(origins):
        orders = draw.poisson(rate)
        value = orders * draw.gamma(4, 10, customers)
        for model, spread in noise.items():
            guess = rate * np.exp(draw.normal(0, spread, customers))
            forecast = {"churn_risk": np.exp(-guess), "expected_orders": guess, "expected_value": guess * 40}
            truth = {"orders": orders, "value": value, "origin": origin, "model": model}
            parts.append(
                pd.DataFrame(forecast | truth).assign(customer_id=[f"c{n}" for n in range(customers)])
            )
    return pd.concat(parts, ignore_index=True)


def estimate_of(evaluation: Evaluation, model: str, metric: str) -> pd.Series:
    table = evaluation.table.set_index(["model", "metric"])
    return table.loc[(model, metric)]


def test_estimates_are_the_metrics_of_all_rows_and_lie_within_their_intervals() -> None:
    frame = held_out({"sharp": 0.1, "blurred": 1.0})
    evaluation = evaluate(frame, resamples=60)
    rows = frame[frame["model"] == "blurred"]
    churned, risk = (rows["orders"] == 0).to_numpy(dtype=float), rows["churn_risk"].to_numpy()
    auc = estimate_of(evaluation, "blurred", "auc")
    assert auc["estimate"] == pytest.approx(metrics.auc(churned, risk))
    gini = estimate_of(evaluation, "blurred", "gini")
    assert gini["estimate"] == pytest.approx(
        metrics.gini(rows["value"].to_numpy(), rows["expected_value"].to_numpy())
    )
    table = evaluation.to_frame()
    assert len(table) == 2 * 9
    assert table["estimate"].between(table["low"], table["high"]).all()
    assert (table["low"] < table["high"]).all()


def test_single_origins_are_measured_apart() -> None:
    frame = held_out({"sharp": 0.1})
    both = [
        metrics.auc((rows["orders"] == 0).to_numpy(dtype=float), rows["churn_risk"].to_numpy())
        for _, rows in frame.groupby("origin")
    ]
    auc = estimate_of(evaluate(frame, resamples=2), "sharp", "auc")
    assert (auc["lowest_origin"], auc["highest_origin"]) == pytest.approx((min(both), max(both)))


def test_the_interval_of_a_mean_has_the_width_of_its_standard_error() -> None:
    frame = held_out({"sharp": 0.1}, origins=1)
    row = estimate_of(evaluate(frame, resamples=600), "sharp", "log_loss")
    losses = metrics.log_losses((frame["orders"] == 0).to_numpy(dtype=float), frame["churn_risk"].to_numpy())
    assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * losses.std() / np.sqrt(len(losses)), rel=0.12)


def test_a_customer_repeated_at_another_origin_adds_no_certainty() -> None:
    once = held_out({"sharp": 0.1}, origins=1)
    twice = pd.concat([once, once.assign(origin=1)], ignore_index=True)
    one, two = (evaluate(frame, resamples=50).table for frame in (once, twice))
    columns = ["estimate", "low", "high"]
    means = one["metric"].isin(["log_loss", "tweedie_deviance", "total_bias", "gini", "auc"])
    assert two.loc[means, columns].to_numpy() == pytest.approx(one.loc[means, columns].to_numpy())


def test_thinned_ranks_change_no_interval_that_one_can_read(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = held_out({"sharp": 0.1}, customers=2_000, origins=1)
    thinned = evaluate(frame, resamples=40).table
    monkeypatch.setattr("training.panel.PLACES", 10_000)
    exact = evaluate(frame, resamples=40).table
    assert thinned["low"].to_numpy() == pytest.approx(exact["low"].to_numpy(), rel=1e-3)
    assert thinned["high"].to_numpy() == pytest.approx(exact["high"].to_numpy(), rel=1e-3)


def test_the_order_of_rows_changes_nothing() -> None:
    frame = held_out({"sharp": 0.1, "blurred": 1.0}, customers=60)
    shuffled = frame.sample(frac=1, random_state=1)
    keys = ["model", "metric"]
    tables = [
        evaluate(rows, resamples=20).table.sort_values(keys, ignore_index=True) for rows in (frame, shuffled)
    ]
    pd.testing.assert_frame_equal(*tables)


def test_models_on_different_customers_are_refused() -> None:
    frame = held_out({"sharp": 0.1, "blurred": 1.0}, customers=20)
    with pytest.raises(ValueError, match="'blurred' was not evaluated on the same customers"):
        evaluate(frame.iloc[:-1])


def test_what_cannot_be_measured_is_null_in_the_table_and_in_json() -> None:
    frame = held_out({"sharp": 0.1}, customers=20).assign(orders=0, value=0.0)
    evaluation = evaluate(frame, resamples=10)
    document = json.loads(evaluation.to_json())
    measures = {row["metric"]: row for row in document["measures"]}
    for metric in ("auc", "gini", "spearman", "top_decile_share", "tweedie_deviance", "total_bias"):
        assert np.isnan(estimate_of(evaluation, "sharp", metric).to_numpy(dtype=float)).all()
        assert measures[metric]["estimate"] is None
        assert measures[metric]["low"] is None
    assert measures["log_loss"]["estimate"] > 0
    assert (document["customers"], document["origins"], document["resamples"]) == (20, 2, 10)


def test_one_customer_has_no_interval() -> None:
    row = estimate_of(evaluate(held_out({"sharp": 0.1}, customers=1), resamples=10), "sharp", "log_loss")
    assert row["estimate"] > 0
    assert np.isnan([row["low"], row["high"]]).all()


@pytest.mark.parametrize("loss", ["log_loss", "tweedie_deviance", "gini"])
def test_a_better_model_gains_and_the_rival_loses_the_same(loss: str) -> None:
    frame = held_out({"sharp": 0.1, "blurred": 1.0})
    gain = paired_gain(frame, "sharp", "blurred", loss, resamples=100)
    loss_of = paired_gain(frame, "blurred", "sharp", loss, resamples=100)
    assert gain.better
    assert not gain.worse
    assert loss_of.worse
    assert (loss_of.estimate, loss_of.low, loss_of.high) == pytest.approx(
        (-gain.estimate, -gain.high, -gain.low)
    )
    table = evaluate(frame, resamples=2).table.set_index(["model", "metric"])["estimate"]
    assert gain.estimate == pytest.approx(abs(table["sharp", loss] - table["blurred", loss]))


def test_pairing_makes_the_interval_of_a_gain_narrower_than_those_of_the_losses() -> None:
    frame = held_out({"sharp": 0.1, "near": 0.15})
    gain = paired_gain(frame, "sharp", "near", "log_loss", resamples=100)
    alone = estimate_of(evaluate(frame, resamples=100), "sharp", "log_loss")
    assert gain.high - gain.low < (alone["high"] - alone["low"]) / 3


def test_without_any_value_there_is_no_gain_in_it() -> None:
    frame = held_out({"sharp": 0.1, "blurred": 1.0}, customers=20).assign(orders=0, value=0.0)
    gain = paired_gain(frame, "sharp", "blurred", "gini", resamples=10)
    assert (gain.estimate, gain.low, gain.high) == (None, None, None)
    assert not gain.better
    assert not gain.worse
