import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import duckdb

from features.batch import match_refunds, put_on_spine
from features.contract import DAY, ORDERS, SCALE, TABLES, Kind
from features.instants import EPOCH, Cutoff, micros, parse_as_of
from features.live import LiveEngine
from features.plan import FeaturePlan

Records = Mapping[str, Sequence[Mapping[str, Any]]]
SQL_TYPES = {"string": "VARCHAR", "float64": "DOUBLE", "int64": "BIGINT"}


class Engine:
    """Runs a plan's steps over a few records of customer "a" and returns the features by name.

    Records are given in natural units: times as text (UTC) or microseconds, money in units of the currency.
    """

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self._live: dict[str, LiveEngine] = {}
        self._connection = duckdb.connect(config={"threads": 1})

    def __call__(self, plan: FeaturePlan, *, as_of: str | int, **records: Any) -> dict[str, float | None]:
        rows = {name: staged_rows(plan, name, given) for name, given in records.items()}
        if self.dialect == "sqlite":
            steps = plan.steps("sqlite")
            if steps["features"] not in self._live:
                self._live[steps["features"]] = LiveEngine(steps, attributes=plan.attribute_names)
            values = self._live[steps["features"]].features(rows, "a", cutoff(as_of))
        else:
            load(self._connection, plan, rows)
            put_on_spine(self._connection, "SELECT 'a' AS customer_id", cutoff(as_of))
            values = self._spark(plan) if self.dialect == "databricks" else self._duckdb(plan.steps("duckdb"))
        return dict(zip(plan.names(), values, strict=True))

    def close(self) -> None:
        self._connection.close()
        del self._connection

    def matches(self, plan: FeaturePlan, orders: Sequence[Mapping[str, Any]]) -> dict[int, tuple[int, int]]:
        """Return by refund line the day of its order and whether it takes back one whole line."""
        load(self._connection, plan, {"orders": staged_rows(plan, "orders", orders)})
        match_refunds(self._connection, plan.steps("duckdb"))
        found = self._connection.execute("SELECT line, order_day, cancels FROM matches").fetchall()
        return {line: (day, cancels) for line, day, cancels in found}

    def _duckdb(self, steps: Mapping[str, str]) -> Sequence[float | None]:
        match_refunds(self._connection, steps)
        return self._connection.execute(steps["features"]).fetchall()[0][2:]

    def _spark(self, plan: FeaturePlan) -> Sequence[float | None]:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - it is an extra

        spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
        with tempfile.TemporaryDirectory() as folder:
            for (table,) in self._connection.execute("SHOW TABLES").fetchall():
                self._connection.execute(f"COPY {table} TO '{folder}/{table}.parquet'")
                spark.read.parquet(f"{folder}/{table}.parquet").createOrReplaceTempView(table)
            for step, text in plan.steps("databricks").items():
                spark.sql(text).createOrReplaceTempView(step)
            return list(spark.table("features").collect()[0])[2:]


def cutoff(as_of: str | int) -> Cutoff:
    return Cutoff.at(EPOCH + timedelta(microseconds=instant(as_of)), "UTC")


def instant(given: str | int) -> int:
    return given if isinstance(given, int) else micros(parse_as_of(given))


def staged_rows(plan: FeaturePlan, table: str, records: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Complete records to rows of a staged table."""
    return [staged_row(plan, table, record, line) for line, record in enumerate(records)]


def staged_row(plan: FeaturePlan, table: str, record: Mapping[str, Any], line: int) -> tuple[Any, ...]:
    contract = TABLES[table]
    row = {"customer_id": "a"} | ({"line": line} if "line" in contract.staged else {}) | record
    for name, kind in contract.columns.items():
        if row.get(name) is not None and kind is Kind.TIME:
            row[name] = instant(row[name])
        if row.get(name) is not None and kind in {Kind.MONEY, Kind.QUANTITY}:
            row[name] = round(row[name] * SCALE)
    if contract.clock:
        if "day" in contract.staged:
            row.setdefault("day", row[contract.clock] // DAY)
        row.setdefault("ingested_at", row[contract.clock])
    if contract is ORDERS:
        row.setdefault("is_return", int(row["amount"] < 0))
    columns = [*contract.staged, *(plan.attribute_names if contract.open_ended else ())]
    assert row.keys() <= set(columns)
    return tuple(row.get(name) for name in columns)


def load(connection: duckdb.DuckDBPyConnection, plan: FeaturePlan, rows: Records) -> None:
    """Put rows into the staged tables of a DuckDB connection; the others are empty."""
    for name, table in TABLES.items():
        columns = {column: SQL_TYPES[kind.ibis_type] for column, kind in table.staged.items()}
        if table.open_ended:
            columns |= {each.name: SQL_TYPES[each.kind.ibis_type] for each in plan.attributes}
        listed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
        connection.execute(f"CREATE OR REPLACE TABLE {name} ({listed})")
        if rows.get(name):
            marks = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * len(rows[name]))
            connection.execute(
                f"INSERT INTO {name} VALUES {marks}", [value for row in rows[name] for value in row]
            )
