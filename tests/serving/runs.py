from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from serving.store import Run, Store

NIGHT = datetime(2024, 3, 1, tzinfo=UTC)
REASONS = '{"churn_risk":[["customer_name",0,0.5,"Ada, \\"the first\\""]]}'
ADA = {
    "customer_id": "Ada",
    "churn_risk": 0.25,
    "churn_risk_percentile": 50.0,
    "expected_orders": 1.5,
    "expected_value": 0.1 + 0.2,
    "value_low": 0.0,
    "value_high": 1.0,
    "clv": 1e-300,
    "historic_value": 1e15 + 0.125,
    "next_order_date": date(2024, 2, 29),
    "potential_score": 99.5,
    "value_tier": "high",
    "loyalty_tier": "loyal",
    "lifecycle_stage": "established",
    "is_base_customer": True,
    "need": "service",
    "main_category": "teapots",
    "frequency_band": "high",
    "monetary_band": "medium",
    "previous_value_tier": "ordinary",
    "tier_changed_at": datetime(2024, 2, 1, 5, 6, 7, 8, tzinfo=UTC),
    "transition_reason": None,
    "confidence": "A",
    "reasons": REASONS,
}
BOB = dict.fromkeys(ADA) | {"customer_id": 'Bob, "the\nbuilder" 陳', "churn_risk": 1.0}
FACTS = {"churn_risk": [0.25, 1.0], "shop": "Köln"}


def a_run(run_id: str = "first", *, as_of: datetime = NIGHT, **changes: Any) -> Run:
    """Make the record of a run of two customers, but for what changes."""
    run = Run(
        run_id=run_id,
        as_of=as_of,
        bundle_digest="d1",
        model_version="3",
        setting="transactional",
        horizon_days=90,
        currency="GBP",
        value_basis="revenue",
        customers=2,
    )
    return replace(run, **changes)


def rows(*customers: dict[str, object]) -> pa.Table:
    """Make the scores of customers."""
    return pa.Table.from_pylist(list(customers))


def publish(store: Store, run_id: str = "first", *, as_of: datetime = NIGHT, **ada: object) -> None:
    """Publish a run of Ada and Bob, in which some is different of her."""
    store.publish(a_run(run_id, as_of=as_of), [rows(ADA | ada, BOB)], facts=FACTS)
