import numpy as np
import pandas as pd
import pytest

from training.saving import worth_saving

CUSTOMERS = pd.DataFrame(
    {
        "customer_id": ["surely gone", "b", "a", "here", "lost", "prospect", "not forecast"],
        "lifecycle_stage": ["lapsing", "repeat", "repeat", "established", "lost", "prospect", "repeat"],
        "churn_risk": [1.0, 0.5, 0.5, 0.1, 0.9, 0.9, np.nan],
        "expected_value": [0.001, 100.0, 100.0, 90.0, 500.0, 500.0, 10.0],
    }
)


def test_the_loss_is_the_risk_times_the_value_of_who_comes() -> None:
    saving = worth_saving(CUSTOMERS)
    assert saving["customer_id"].tolist() == ["a", "b", "here", "surely gone"]
    assert saving["value_if_kept"].tolist() == pytest.approx([200, 200, 100, 1])
    assert saving["expected_loss"].tolist() == pytest.approx([100, 100, 10, 1])


def test_without_stages_everybody_with_a_forecast_counts() -> None:
    saving = worth_saving(CUSTOMERS.drop(columns="lifecycle_stage"))
    assert set(saving["customer_id"]) == set(CUSTOMERS["customer_id"]) - {"not forecast"}
