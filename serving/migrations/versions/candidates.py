"""Which treatments had a chance."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column, null in plans before."""
    op.add_column("treatments", sa.Column("candidates", sa.Text))
