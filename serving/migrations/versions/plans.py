"""Plans: what is done for each customer."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables of plans, and of the treatment of each customer."""
    instant = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
    by_bytes = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "plans",
        sa.Column("plan_key", sa.Integer, primary_key=True),
        sa.Column("plan_id", sa.Text, nullable=False, unique=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("as_of", instant, nullable=False, unique=True),
        sa.Column("customers", sa.Integer, nullable=False),
        sa.Column("preceding", sa.Text),
        sa.Column("published_at", instant, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
    )
    op.create_table(
        "treatments",
        sa.Column("plan_key", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("customer_id", by_bytes, primary_key=True),
        sa.Column("treatment", sa.Text, nullable=False),
        sa.Column("channel", sa.Text),
        sa.Column("due_from", sa.Date),
        sa.Column("due_to", sa.Date),
        *(sa.Column(name, sa.Double) for name in ("expected_cost", "expected_gain", "gain_low", "gain_high")),
        sa.Column("is_holdout", sa.Boolean, nullable=False),
        sa.Column("is_explored", sa.Boolean, nullable=False),
        sa.Column("propensity", sa.Double, nullable=False),
        sa.Column("product_id", sa.Text),
        sa.Column("text", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
