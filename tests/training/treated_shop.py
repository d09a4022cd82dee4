from datetime import UTC, datetime
from typing import Any

from features.instants import Cutoff

MARCH = datetime(2024, 3, 1, tzinfo=UTC)
JULY = Cutoff.at(datetime(2024, 7, 1, tzinfo=UTC), "UTC")
TOML = """\
[project]
name = "shop"
time_zone = "UTC"
[sources.orders]
path = "orders.csv"
[sources.treatments]
path = "treatments.csv"
[forecast]
horizon_days = 30
"""
CUSTOMERS = 60
"""A third of them is held out: those whose number ends on a multiple of 3."""


def order(number: int, when: str, amount: float) -> dict[str, Any]:
    return {"customer_id": f"c{number}", "ordered_at": when, "amount": amount, "order_id": f"{number} {when}"}


def orders() -> list[dict[str, Any]]:
    """Everybody orders in February, for 10 to 19, and in March for as much; the treated then for 5 more."""
    rows = [order(99, "2024-06-30", 1.0)]
    for number in range(CUSTOMERS):
        amount = 10.0 + number % 10
        rows.append(order(number, "2024-02-10", amount))
        rows.append(order(number, "2024-03-10", amount + 5.0 * (number % 3 > 0) + 0.01 * (number % 7)))
    return rows


def treatments(**other: Any) -> list[dict[str, Any]]:
    return [
        {
            "customer_id": f"c{number}",
            "assigned_at": MARCH.isoformat(),
            "treatment": "coupon",
            "propensity": 1 / 3 if number % 3 == 0 else 2 / 3,
            "is_holdout": int(number % 3 == 0),
            "cost": 0 if number % 3 == 0 else 2,
        }
        | other
        for number in range(CUSTOMERS)
    ]
