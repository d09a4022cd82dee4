"""Where each customer stands, and since when."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns, null in runs before, and the table of periods."""
    instant = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
    by_bytes = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    for name in ("value_tier", "loyalty_tier", "lifecycle_stage", "need", "main_category"):
        op.add_column("scores", sa.Column(name, sa.Text))
    for name in ("frequency_band", "monetary_band", "previous_value_tier", "transition_reason"):
        op.add_column("scores", sa.Column(name, sa.Text))
    op.add_column("scores", sa.Column("is_base_customer", sa.Boolean))
    op.add_column("scores", sa.Column("tier_changed_at", instant))
    op.create_table(
        "standings",
        sa.Column("customer_id", by_bytes, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("started_at", instant, primary_key=True),
        sa.Column("ended_at", instant),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("previous", sa.Text),
        sa.Column("run_key", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text),
        sqlite_with_rowid=False,
    )
