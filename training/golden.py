"""Synthetic histories that travel in the bundle: they must forecast the same wherever it is used."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from features.contract import ORDERS
from features.instants import Cutoff
from features.plan import FeaturePlan
from features.records import canonical_rows
from models.bundle import Bundle
from models.live_forecaster import LiveForecaster

HISTORIES = 50
TAKEN_BACK = 0.1
AS_OF = datetime(2024, 3, 1, tzinfo=UTC)


def with_golden_histories(bundle: Bundle, *, time_zone: str) -> Bundle:
    """Add the histories and what the bundle forecasts for each; no customer's data is among them."""
    live = LiveForecaster(bundle)
    cutoff = Cutoff.at(AS_OF, time_zone)
    histories = []
    for number in range(HISTORIES):
        rows = {"orders": canonical_rows(ORDERS, _orders(bundle.plan(), number), time_zone)}
        forecast = live.forecast(rows, customer_id=f"golden-{number}", cutoff=cutoff)
        histories.append(
            {
                "customer_id": f"golden-{number}",
                "cutoff": [cutoff.micros, cutoff.day, cutoff.month],
                "rows": rows,
                "forecast": forecast,
            }
        )
    return bundle.with_document("golden.json", {"histories": histories})


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
