"""Who is worth saving: what a shop stands to lose with each customer."""

import pandas as pd

GONE = ("lost", "prospect")
"""Stages of those who have nothing left, or nothing yet, to lose."""
LEAST_CHANCE = 1e-3
"""A chance to come below it tells nothing of the value of who comes."""


def worth_saving(customers: pd.DataFrame) -> pd.DataFrame:
    """Order customers by the loss that is expected of each, the largest first.

    Parameters
    ----------
    customers
        One row per customer of a run: ``customer_id``, ``churn_risk``, ``expected_value``, and
        ``lifecycle_stage`` where it is known.

    Returns
    -------
    The rows of who is not lost, and no prospect, with ``value_if_kept``: the expected value of one who comes
    (the expected value over 1 less the churn risk); and ``expected_loss``: the churn risk times that. Who has
    no forecast is left out.
    """
    here = customers.dropna(subset=["churn_risk", "expected_value"])
    if "lifecycle_stage" in here:
        here = here[~here["lifecycle_stage"].isin(GONE)]
    kept = here["expected_value"] / (1 - here["churn_risk"]).clip(lower=LEAST_CHANCE)
    here = here.assign(value_if_kept=kept, expected_loss=kept * here["churn_risk"])
    return here.sort_values(["expected_loss", "customer_id"], ascending=[False, True], ignore_index=True)
