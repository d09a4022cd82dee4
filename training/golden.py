"""Synthetic histories that travel in the bundle: they must forecast the same wherever it is used."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from features.attributes import Attribute
from features.contract import CONTRACTS, CUSTOMERS, ORDERS, Kind
from features.instants import Cutoff
from features.plan import FeaturePlan
from features.records import Row, canonical_rows
from models.bundle import Bundle
from models.live_forecaster import LiveForecaster

HISTORIES = 50
TAKEN_BACK = 0.1
UNKNOWN = 0.1
LEFT = 0.2
AS_OF = datetime(2024, 3, 1, tzinfo=UTC)


def with_golden_histories(bundle: Bundle, *, time_zone: str) -> Bundle:
    """Add the histories and what the bundle forecasts for each; no customer's data is among them."""
    plan = bundle.plan()
    rows = [
        {"orders": canonical_rows(ORDERS, _orders(plan, number), time_zone)} for number in range(HISTORIES)
    ]
    return _with_golden(bundle, rows, time_zone)


def with_golden_contracts(bundle: Bundle, *, time_zone: str) -> Bundle:
    """Add histories of contracts and what the bundle forecasts for each."""
    plan = bundle.plan()
    rows = [
        {"contracts": canonical_rows(CONTRACTS, _contracts(plan, number), time_zone)}
        | ({"orders": canonical_rows(ORDERS, _orders(plan, number), time_zone)} if plan.reads_orders else {})
        for number in range(HISTORIES)
    ]
    return _with_golden(bundle, rows, time_zone)


def with_golden_customers(bundle: Bundle, frame: pd.DataFrame, *, time_zone: str) -> Bundle:
    """Add customers of a labelled table, drawn column by column, and what the bundle forecasts for each.

    Parameters
    ----------
    frame
        The features, by whose means and spreads numbers are drawn; no customer's data is among them.
    """
    known = bundle.plan().attributes
    records = [_customer(known, frame, number) for number in range(HISTORIES)]
    rows = [
        {"customers": canonical_rows(CUSTOMERS, [record], time_zone, attributes=known)} for record in records
    ]
    return _with_golden(bundle, rows, time_zone)


def _with_golden(bundle: Bundle, rows: Sequence[dict[str, list[Row]]], time_zone: str) -> Bundle:
    live = LiveForecaster(bundle)
    cutoff = Cutoff.at(AS_OF, time_zone)
    histories = [
        {
            "customer_id": f"golden-{number}",
            "cutoff": [cutoff.micros, cutoff.day, cutoff.month],
            "rows": each,
            "forecast": live.forecast(each, customer_id=f"golden-{number}", cutoff=cutoff),
        }
        for number, each in enumerate(rows)
    ]
    return bundle.with_document("golden.json", {"histories": histories})


def _customer(known: Sequence[Attribute], frame: pd.DataFrame, number: int) -> dict[str, Any]:
    """Draw the attributes of a customer, a tenth of them unknown."""
    rng = np.random.default_rng(number)
    record: dict[str, Any] = {"customer_id": f"golden-{number}"}
    for each in known:
        column = frame[each.feature]
        if rng.random() < UNKNOWN:
            continue
        if each.kind is Kind.TEXT:
            record[each.name] = str(rng.choice(each.values))
        elif each.kind is Kind.FLAG:
            record[each.name] = bool(rng.random() < column.mean())
        else:
            record[each.name] = float(f"{rng.normal(column.mean(), np.nan_to_num(column.std())):.4g}")
    return record


def _contracts(plan: FeaturePlan, number: int) -> list[dict[str, Any]]:
    """Draw periods of a month to a year one after the other, the last of which ended for some."""
    rng = np.random.default_rng(number)
    term, periods = int(rng.choice([30, 91, 365])), int(rng.integers(1, 9))
    begun = AS_OF - timedelta(days=term * (periods - 1) + int(rng.integers(1, term)))
    fee = round(float(np.exp(rng.normal(3, 0.5))), 2)
    rows: list[dict[str, Any]] = []
    for _ in range(periods):
        ended = begun + timedelta(days=term)
        rows.append(
            {"started_at": begun, "ended_at": ended, "renews_at": ended, "fee": fee}
            | ({"plan": str(rng.choice(plan.contract_plans))} if plan.contract_plans else {})
        )
        begun, fee = ended, round(fee * float(rng.choice([1.0, 1.0, 1.1])), 2)
    if rng.random() < LEFT:
        rows[-1]["ended_at"] = rows[-1]["started_at"] + timedelta(hours=12)
    return rows


def _orders(plan: FeaturePlan, number: int) -> list[dict[str, Any]]:
    """Draw order lines, a few taken back, at times spread over one to three years."""
    rng = np.random.default_rng(number)
    days = np.sort(
        rng.choice(np.arange(1, 365 * rng.integers(1, 4)), size=rng.integers(1, 40), replace=False)
    )
    lines = []
    for order, day in enumerate(days[::-1]):
        line: dict[str, Any] = {
            "customer_id": f"golden-{number}",
            "ordered_at": AS_OF - timedelta(days=int(day), seconds=int(rng.integers(0, 86_400))),
            "amount": round(float(np.exp(rng.normal(3, 1))), 2),
            "quantity": float(rng.integers(1, 9)),
            "order_id": str(order),
            "product_id": f"p{rng.integers(0, 9)}",
        }
        line |= {column: str(rng.choice(values)) for column, values in plan.mixes.items()}
        lines.append(line)
        if rng.random() < TAKEN_BACK:
            back = line["ordered_at"] + timedelta(hours=1)
            lines.append(
                line | {"ordered_at": back, "amount": -line["amount"], "quantity": -line["quantity"]}
            )
    return lines
