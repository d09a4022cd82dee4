"""Runs, and the scores of the transactional setting."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the first two tables."""
    instant = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
    op.create_table(
        "runs",
        sa.Column("run_key", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Text, nullable=False, unique=True),
        sa.Column("as_of", instant, nullable=False, index=True),
        sa.Column("bundle_digest", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text, nullable=False),
        sa.Column("setting", sa.Text, nullable=False),
        sa.Column("horizon_days", sa.Integer, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("value_basis", sa.Text),
        sa.Column("customers", sa.Integer, nullable=False),
        sa.Column("preceding", sa.Text),
        sa.Column("published_at", instant, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
    )
    op.create_table(
        "scores",
        sa.Column("run_key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column(
            "customer_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), primary_key=True
        ),
        sa.Column("churn_risk", sa.Double),
        sa.Column("churn_risk_percentile", sa.Double),
        sa.Column("expected_orders", sa.Double),
        sa.Column("expected_value", sa.Double),
        sa.Column("clv", sa.Double),
        sa.Column("historic_value", sa.Double),
        sa.Column("confidence", sa.Text),
        sqlite_with_rowid=False,
    )
