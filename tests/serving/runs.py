from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from serving.store import Run

NIGHT = datetime(2024, 3, 1, tzinfo=UTC)


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
