"""The tables of the store: runs and plans, one row per customer of each, and the periods of standing."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

ISO = "%Y-%m-%dT%H:%M:%S+00:00"
"""How times in UTC are written as text; of microseconds, for which Arrow's ``%S`` gives six decimals."""

_parsed = lru_cache(maxsize=4096)(datetime.fromisoformat)


class Instant(sa.types.TypeDecorator[datetime]):
    """A time with a zone: ``timestamptz``, or in SQLite ISO 8601 text in UTC, which sorts by time."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Choose the column type."""
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:  # noqa: ANN401
        """Write in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        utc = value.astimezone(UTC)
        return utc.isoformat(timespec="microseconds") if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ANN401
        """Read in UTC."""
        if value is None:
            return None
        return (_parsed(value) if dialect.name == "sqlite" else value).astimezone(UTC)


METADATA = sa.MetaData()
# PostgreSQL orders by bytes then, like SQLite.
_BY_BYTES = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("run_key", sa.Integer, primary_key=True),
    sa.Column("run_id", sa.Text, nullable=False, unique=True),
    sa.Column("as_of", Instant, nullable=False, index=True),
    sa.Column("bundle_digest", sa.Text, nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("setting", sa.Text, nullable=False),
    sa.Column("horizon_days", sa.Integer, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("value_basis", sa.Text),
    sa.Column("customers", sa.Integer, nullable=False),
    sa.Column("preceding", sa.Text),
    sa.Column("published_at", Instant, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
)
NEWEST_FIRST = RUNS.c.as_of.desc(), RUNS.c.run_key.desc()
"""The order of runs: by `as_of`, and of equal ones by when they were published."""
SCORES = sa.Table(
    "scores",
    METADATA,
    sa.Column("run_key", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("customer_id", _BY_BYTES, primary_key=True),
    sa.Column("churn_risk", sa.Double),
    sa.Column("churn_risk_percentile", sa.Double),
    sa.Column("expected_orders", sa.Double),
    sa.Column("expected_value", sa.Double),
    sa.Column("value_low", sa.Double),
    sa.Column("value_high", sa.Double),
    sa.Column("clv", sa.Double),
    sa.Column("historic_value", sa.Double),
    sa.Column("next_order_date", sa.Date),
    sa.Column("potential_score", sa.Double),
    sa.Column("value_tier", sa.Text),
    sa.Column("loyalty_tier", sa.Text),
    sa.Column("lifecycle_stage", sa.Text),
    sa.Column("is_base_customer", sa.Boolean),
    sa.Column("need", sa.Text),
    sa.Column("main_category", sa.Text),
    sa.Column("frequency_band", sa.Text),
    sa.Column("monetary_band", sa.Text),
    sa.Column("previous_value_tier", sa.Text),
    sa.Column("tier_changed_at", Instant),
    sa.Column("transition_reason", sa.Text),  # as of models.moves; put into words where it is read
    sa.Column("confidence", sa.Text),
    sa.Column("reasons", sa.Text),  # as of models.reasons; put into words where they are read
    sqlite_with_rowid=False,
)
STANDINGS = sa.Table(
    "standings",
    METADATA,
    sa.Column("customer_id", _BY_BYTES, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("started_at", Instant, primary_key=True),
    sa.Column("ended_at", Instant),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("previous", sa.Text),
    sa.Column("run_key", sa.Integer, nullable=False),
    sa.Column("reason", sa.Text),  # as of models.moves
    sqlite_with_rowid=False,
)
PLANS = sa.Table(
    "plans",
    METADATA,
    sa.Column("plan_key", sa.Integer, primary_key=True),
    sa.Column("plan_id", sa.Text, nullable=False, unique=True),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("as_of", Instant, nullable=False, unique=True),
    sa.Column("customers", sa.Integer, nullable=False),
    sa.Column("preceding", sa.Text),
    sa.Column("published_at", Instant, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
)
TREATMENTS = sa.Table(
    "treatments",
    METADATA,
    sa.Column("plan_key", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("customer_id", _BY_BYTES, primary_key=True),
    sa.Column("treatment", sa.Text, nullable=False),
    sa.Column("channel", sa.Text),
    sa.Column("due_from", sa.Date),
    sa.Column("due_to", sa.Date),
    sa.Column("expected_cost", sa.Double),
    sa.Column("expected_gain", sa.Double),
    sa.Column("gain_low", sa.Double),
    sa.Column("gain_high", sa.Double),
    sa.Column("is_holdout", sa.Boolean, nullable=False),
    sa.Column("is_explored", sa.Boolean, nullable=False),
    sa.Column("propensity", sa.Double, nullable=False),
    sa.Column("candidates", sa.Text),  # a JSON list of names; null where chance decided nothing
    sa.Column("product_id", sa.Text),
    sa.Column("text", sa.Text),  # as of models.personal_texts; null where that of the playbook is all
    sa.Column("reason", sa.Text, nullable=False),  # as of models.plan_reasons
    sqlite_with_rowid=False,
)
_TYPES = {
    sa.Text: pa.string(),
    sa.Double: pa.float64(),
    sa.Boolean: pa.bool_(),
    sa.Integer: pa.int32(),
    sa.Date: pa.date32(),
    Instant: pa.timestamp("us", "UTC"),
}


def arrow_type(column: sa.ColumnElement[Any]) -> pa.DataType:
    """Return the Arrow type of a column."""
    return _TYPES[type(column.type)]


def arrow_schema(table: sa.Table, *, without: tuple[str, ...] = ()) -> pa.Schema:
    """Return the columns of a table as Arrow types, in order."""
    columns = [column for column in table.columns if column.name not in without]
    return pa.schema([(column.name, arrow_type(column)) for column in columns])


SCHEMA = arrow_schema(SCORES, without=("run_key",))
"""The columns of a run's scores, in order; those common to the whole run stand in `Run`."""
LAST = ("confidence", "reasons")

COLUMNS = (
    *("customer_id", "as_of", "run_id", "model_version", "bundle_digest"),
    *("setting", "horizon_days", "currency"),
    *(name for name in SCHEMA.names if name not in {"customer_id", *LAST}),
    *("value_basis", *LAST),
)
"""The output table, one row per customer: the columns of a run and those of its scores, in order."""
