from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb

from features.contract import DAY, Kind
from features.instants import Cutoff
from features.treatment_settings import PlanSettings, TreatmentSettings
from models.contact_rules import ContactRules, open_arms
from models.playbooks import playbooks

KINDS = {
    "value_tier": Kind.TEXT,
    "clv": Kind.NUMBER,
    "expected_value": Kind.NUMBER,
    "consent": Kind.FLAG,
    "machine": Kind.FLAG,
}
NOW = Cutoff.at(datetime(2024, 3, 1, tzinfo=UTC), "UTC")
TODAY = NOW.day
COUPON: dict[str, Any] = {
    "name": "coupon",
    "purpose": "grow",
    "channels": ("email", "phone"),
    "when": "clv > 10",
    "cost": 4.0,
    "effect": "0.1 * expected_value",
    "cooldown_days": 90,
    "text": "Send it.",
}
CARE = COUPON | {"name": "care", "purpose": "care", "channels": ("phone",), "effect": 1.0}


def ago(days: float) -> int:
    return round(NOW.micros - days * DAY)


def subject(customer: str = "ann", **known: Any) -> dict[str, Any]:
    usual = {"value_tier": "high", "clv": 50.0, "expected_value": 20.0, "consent": 1, "machine": 1}
    return {"customer_id": customer, **usual, **known}


def write(
    connection: duckdb.DuckDBPyConnection, table: str, types: str, rows: Sequence[Sequence[Any]]
) -> None:
    connection.execute(f"CREATE TABLE {table} ({types})")
    if rows:
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)


def arms(
    *subjects: Mapping[str, Any],
    treatments: Sequence[Mapping[str, Any]] = (COUPON,),
    plan: Mapping[str, Any] | None = None,
    log: Sequence[Sequence[Any]] = (),
    answers: Sequence[Sequence[Any]] = (),
    complaints: Sequence[Sequence[Any]] = (),
) -> tuple[list[Any], list[Any]]:
    """Return what is open, and what is closed, of a small company as of 1 March 2024.

    A row of the log is customer, time, treatment, is_holdout, channel; of the answers customer, day, kind,
    channel; of the complaints customer, time, resolved, known.
    """
    connection = duckdb.connect(config={"threads": 1})
    types = (
        "customer_id TEXT, value_tier TEXT, clv DOUBLE, expected_value DOUBLE, consent BIGINT, machine BIGINT"
    )
    write(connection, "subjects", types, [tuple(each.values()) for each in subjects])
    if log:
        types = "customer_id TEXT, assigned_at BIGINT, treatment TEXT, is_holdout BIGINT, channel TEXT"
        write(connection, "treatments", types, log)
    if answers:
        types = (
            "customer_id TEXT, occurred_at BIGINT, ingested_at BIGINT, day BIGINT, kind TEXT, channel TEXT"
        )
        rows = [(who, day * DAY, day * DAY, day, kind, channel) for who, day, kind, channel in answers]
        write(connection, "interactions", types, rows)
    if complaints:
        types = "customer_id TEXT, occurred_at BIGINT, resolved_at BIGINT, ingested_at BIGINT, kind TEXT"
        write(connection, "feedback", types, [(*row, "complaint") for row in complaints])
    read = playbooks([TreatmentSettings.model_validate(each) for each in treatments], columns=KINDS)
    rules = ContactRules.of(PlanSettings.model_validate(plan or {}), read, columns=KINDS)
    open_arms(connection, read, rules, cutoff=NOW)
    return (
        connection.execute("SELECT * FROM arms ORDER BY ALL").fetchall(),
        connection.execute("SELECT * FROM closed ORDER BY ALL").fetchall(),
    )
