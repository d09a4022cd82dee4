from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from features.configuration import Configuration
from features.staging import stage
from models.effects import TOO_FEW
from models.policy_value import NO_OVERLAP
from tests.training.treated_shop import CUSTOMERS, JULY, MARCH, TOML, order, orders, treatments
from training.effect_outcomes import Followed, with_chances
from training.effects import compared, effects, log_of, measure, table_of


def chances(*rows: tuple[str, int, float | None]) -> list[float]:
    """Return the chances of assignments of one treatment: campaign, held out or not, propensity."""
    log = pd.DataFrame(rows, columns=["campaign", "is_holdout", "propensity"])
    log = log.assign(treatment="call", subject=range(len(log))).astype({"propensity": float})
    return with_chances(log)["propensity"].tolist()


def test_where_a_part_was_explored_the_chances_of_the_rest_add_up_to_one() -> None:
    assert chances(("spring", 0, 0.72), ("spring", 1, 0.18)) == pytest.approx([0.8, 0.2])


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        pytest.param([("spring", 0, 0.7), ("spring", 1, 0.3)], [0.7, 0.3], id="nothing-explored"),
        pytest.param([("a", 0, 0.9), ("a", 0, 0.5), ("a", 1, 0.5)], [0.9, 0.5, 0.5], id="by-stratum"),
        pytest.param([("a", 0, 0.7), ("b", 1, 0.2)], [0.7, 0.2], id="one-arm-alone"),
    ],
)
def test_other_chances_stay_as_they_are(rows: list[tuple[str, int, float]], told: list[float]) -> None:
    assert chances(*rows) == pytest.approx(told)


def test_unknown_chances_are_the_shares_of_all_small_campaigns_together() -> None:
    assert chances(("a", 0, None), ("b", 1, None), ("b", 0, None), ("c", 0, None)) == [0.75, 0.25, 0.75, 0.75]


def test_an_outcome_before_its_assignment_never_counts(
    write_shop: Callable[..., Configuration], connection: duckdb.DuckDBPyConnection
) -> None:
    early = [order(number, "2024-02-29T23:59:59Z", 1000.0 + number % 8) for number in range(CUSTOMERS)]
    configuration = write_shop(treatments(), orders() + early)
    stage(configuration, connection)
    effect = measure(connection, configuration, cutoff=JULY)["coupon"]
    assert effect.value == pytest.approx(5.0, abs=0.1)


def test_orders_after_the_horizon_or_the_cutoff_never_count(
    write_shop: Callable[..., Configuration], connection: duckdb.DuckDBPyConnection
) -> None:
    late = [order(number, "2024-03-31", 1000.0) for number in range(CUSTOMERS) if number % 3]
    configuration = write_shop(treatments(), orders() + late)
    stage(configuration, connection)
    assert measure(connection, configuration, cutoff=JULY)["coupon"].value == pytest.approx(5.0, abs=0.02)


def test_of_contracts_the_outcome_is_fees_and_whether_they_still_run(
    tmp_path: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    contracts = [
        {
            "customer_id": f"c{number}",
            "started_at": "2024-01-01",
            "ended_at": "2024-03-16" if number % 3 == 0 else None,
            "fee": 30.0 + number % 2,
        }
        for number in range(CUSTOMERS)
    ]
    pd.DataFrame(contracts).to_csv(tmp_path / "contracts.csv", index=False)
    log = [
        row | {"assigned_at": MARCH + timedelta(hours=int(row["customer_id"][1:]) % 2)}
        for row in treatments()
    ]
    pd.DataFrame(log).to_csv(tmp_path / "treatments.csv", index=False)
    text = TOML.replace("sources.orders", "sources.contracts").replace("orders.csv", "contracts.csv")
    (tmp_path / "tierwise.toml").write_text(text.replace('name = "shop"', 'setting = "contractual"'))
    configuration = Configuration.read(tmp_path / "tierwise.toml", environ={})
    stage(configuration, connection)
    log_of(connection, configuration, cutoff=JULY, planned=None)
    told = table_of(connection, compared(Followed(connection, configuration, JULY))).iloc[0]
    assert told["ordered"] == pytest.approx(1.0)
    assert told["increment"] == pytest.approx(15.0, abs=1.0)


def test_effects_are_told_by_where_customers_stood_when_they_were_assigned(
    write_shop: Callable[..., Configuration],
) -> None:
    periods = [
        {
            "customer_id": f"c{number}",
            "kind": "value_tier",
            "name": name,
            "started_at": start,
            "ended_at": end,
        }
        for number in range(CUSTOMERS)
        for name, start, end in (
            ("low", MARCH - timedelta(days=60), MARCH),
            ("high" if number % 2 else "potential", MARCH, None),
        )
    ]
    schema = pa.schema(
        [(name, pa.string()) for name in ("customer_id", "kind", "name")]
        + [(name, pa.timestamp("us", "UTC")) for name in ("started_at", "ended_at")]
    )
    report = effects(write_shop(treatments()), None, pa.Table.from_pylist(periods, schema))
    told = report.table[["by", "group", "treated", "held_out", "reason"]].astype(object)
    assert told.where(told.notna(), None).to_numpy().tolist() == [
        ["all", "all", 40, 20, None],
        ["value_tier", "high", 20, 10, TOO_FEW],
        ["value_tier", "potential", 20, 10, TOO_FEW],
    ]


def test_what_plans_left_to_chance_is_followed_as_soon_as_it_is_over(
    write_shop: Callable[..., Configuration],
) -> None:
    rows = [
        {
            "customer_id": row["customer_id"],
            "assigned_at": when,
            "treatment": "nothing" if row["is_holdout"] else "coupon",
            "propensity": row["propensity"],
            "is_holdout": False,
            "is_explored": False,
            "cost": None if row["is_holdout"] else 2.0,
            "candidates": '["coupon"]',
        }
        for row in treatments()
        for when in (MARCH, datetime(2024, 6, 20, tzinfo=UTC))
    ]
    report = effects(write_shop(treatments()), None, None, drawn=pa.Table.from_pylist(rows))
    told = report.plans.set_index("rule").loc["everybody"]
    assert (told["treatment"], told["assignments"]) == ("coupon", 60)
    assert (told["reason"], told["number"]) == (NO_OVERLAP, pytest.approx(20))


def test_who_was_held_out_and_treated_in_the_horizon_after_all_is_counted(
    write_shop: Callable[..., Configuration],
) -> None:
    later = treatments(assigned_at="2024-03-20", is_holdout=0)[:6]
    assert effects(write_shop(treatments() + later), None, None).overtaken == {"coupon": 2}


def test_unknown_propensities_are_taken_from_the_share_held_out_and_it_is_said(
    write_shop: Callable[..., Configuration], connection: duckdb.DuckDBPyConnection
) -> None:
    known, unknown = write_shop(treatments()), treatments(propensity=None)
    stage(known, connection)
    expected = measure(connection, known, cutoff=JULY)["coupon"]
    report = effects(write_shop(unknown), None, None)
    row = report.averages.iloc[0]
    assert report.assumed == {"coupon": 60}
    assert report.plans[["rule", "reason", "number"]].to_numpy().tolist() == [
        ["as_made", "unknown_chances", 60]
    ]
    assert (row["increment"], row["increment_se"]) == pytest.approx((expected.value, expected.value_se))
