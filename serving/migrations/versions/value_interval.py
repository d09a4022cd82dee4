"""The interval of the value, and the day of the next order."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; they are null in runs before."""
    op.add_column("scores", sa.Column("value_low", sa.Double))
    op.add_column("scores", sa.Column("value_high", sa.Double))
    op.add_column("scores", sa.Column("next_order_date", sa.Date))
