from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.attributes import Attribute
from features.contract import Kind
from features.errors import InputError
from features.instants import Cutoff, parse_as_of
from features.plan import FeaturePlan
from training.fairness import attributes_at, calibration_by_group, tier_rates

JUNE = Cutoff.at(parse_as_of("2024-06-01"), "UTC")


def shop(**groups: tuple[int, int, int]) -> tuple[pd.Series, pd.DataFrame]:
    """Make tiers and the region of customers, of whom each group has so many high, ordinary and low."""
    rows = [
        (tier, None if group == "missing" else group)
        for group, counts in groups.items()
        for tier, count in zip(("high", "ordinary", "low"), counts, strict=True)
        for _ in range(count)
    ]
    frame = pd.DataFrame(rows, columns=["tier", "region"])
    return frame["tier"], frame[["region"]]


def rates(**groups: tuple[int, int, int]) -> pd.DataFrame:
    tiers, attributes = shop(**groups)
    return tier_rates(tiers, attributes, best="high", worst="low").set_index(["tier", "group"])


def test_rates_are_compared_with_the_group_treated_best() -> None:
    """By hand: 60 of 300 against 30 of 300; the logarithm of the ratio varies by .8/60 + .9/30 = .0433."""
    rows = rates(north=(60, 200, 40), south=(30, 200, 70))
    high = rows.loc["high"]
    assert high["in_tier"].to_dict() == {"north": 60, "south": 30}
    assert high["rate"].to_dict() == {"north": 0.2, "south": 0.1}
    assert high["favoured"].tolist() == ["north", "north"]
    assert np.isnan(high.loc["north", "ratio"])
    span = np.exp(1.96 * 0.0433333**0.5)
    assert high.loc["south", ["ratio", "ratio_low", "ratio_high"]].tolist() == pytest.approx(
        [0.5, 0.5 / span, 0.5 * span]
    )
    assert high["alert"].to_dict() == {"north": False, "south": True}


def test_in_the_worst_tier_the_most_of_a_group_alert() -> None:
    low = rates(north=(60, 200, 40), south=(60, 140, 100)).loc["low"]
    assert low["favoured"].tolist() == ["north", "north"]
    assert low.loc["south", "ratio"] == pytest.approx(2.5)
    assert low["alert"].to_dict() == {"north": False, "south": True}


@pytest.mark.parametrize(
    "south",
    [
        pytest.param((15, 100, 35), id="too-few"),
        pytest.param((50, 200, 50), id="not-clearly-different"),
    ],
)
def test_without_enough_evidence_there_is_no_alert(south: tuple[int, int, int]) -> None:
    assert not rates(north=(60, 200, 40), south=south)["alert"].any()


def test_a_small_group_is_told_but_never_the_measure() -> None:
    high = rates(north=(60, 200, 40), east=(10, 0, 0)).loc["high"]
    assert high["favoured"].tolist() == ["north", "north"]
    assert high.loc["east", "ratio"] == pytest.approx(5)


def test_a_group_of_whom_nobody_is_in_the_best_tier_alerts() -> None:
    high = rates(north=(60, 200, 40), south=(0, 300, 0)).loc["high"]
    assert high.loc["south", "alert"]
    assert 0 < high.loc["south", "ratio"] < 0.02


def test_missing_values_are_a_group_of_their_own() -> None:
    high = rates(north=(60, 200, 40), missing=(20, 250, 30)).loc["high"]
    assert high.loc["not known", ["customers", "alert"]].tolist() == [300, True]


def test_one_group_alone_and_a_tier_of_nobody_have_nothing_to_compare() -> None:
    alone = rates(north=(60, 200, 40))
    nobody = rates(north=(0, 200, 40), south=(0, 250, 40)).loc["high"]
    assert alone["ratio"].isna().all()
    assert nobody["ratio"].isna().all()
    assert not nobody["alert"].any()


def test_a_number_of_many_values_is_told_by_its_quarters() -> None:
    ages = pd.DataFrame({"age": np.arange(20.0, 61.0)})
    rows = tier_rates(pd.Series("high", index=ages.index), ages, best="high", worst="low")
    assert set(rows["group"]) == {"20 to 30", "30 to 40", "40 to 50", "50 to 60"}


def test_numbers_that_are_close_to_each_other_have_quarters_of_their_own() -> None:
    born = pd.DataFrame({"born": np.arange(19_800_101.0, 19_800_142.0)})
    rows = tier_rates(pd.Series("high", index=born.index), born, best="high", worst="low")
    assert "19800101 to 19800111" in set(rows["group"])
    assert rows["group"].nunique() == 4


def test_calibration_compares_predicted_with_seen_churn() -> None:
    attributes = pd.DataFrame({"region": ["north"] * 300 + ["south"] * 300 + ["north"] * 9})
    risk = pd.Series(0.5, index=attributes.index)
    churned = pd.Series(([0.0, 1.0] * 150 + [0.0, 1.0, 1.0] * 100) + [np.nan] * 9)
    rows = calibration_by_group(risk, churned, attributes).set_index("group")
    assert rows["customers"].to_dict() == {"north": 300, "south": 300}
    assert rows["churned"].tolist() == pytest.approx([0.5, 2 / 3])
    assert rows["predicted"].tolist() == [0.5, 0.5]
    assert rows["alert"].tolist() == [False, True]


def test_without_an_outcome_there_is_no_calibration() -> None:
    nothing = pd.Series([np.nan, np.nan])
    assert calibration_by_group(nothing, nothing, pd.DataFrame({"region": ["a", "b"]})).empty


def test_attributes_are_those_known_at_the_cutoff(fill: Callable[..., None]) -> None:
    plan = FeaturePlan(horizon_days=30, attributes=(Attribute("region", Kind.TEXT),))
    customers: list[dict[str, Any]] = [
        {"customer_id": "a", "region": "always"},
        {"customer_id": "b", "region": "old", "valid_from": "2024-01-01"},
        {"customer_id": "b", "region": "new", "valid_from": "2024-03-01"},
        {"customer_id": "b", "region": "future", "valid_from": "2024-06-01"},
        {"customer_id": "c", "region": "future", "valid_from": "2024-06-01"},
    ]
    with duckdb.connect() as connection:
        fill(connection, plan, customers=customers)
        known = attributes_at(connection, ["region"], cutoff=JUNE)
        assert known["region"].to_dict() == {"a": "always", "b": "new"}
        with pytest.raises(InputError, match=r"'regoin' is no attribute of customers; did you mean 'region'"):
            attributes_at(connection, ["regoin"], cutoff=JUNE)
