"""What moved each forecast most."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; it is null in runs before."""
    op.add_column("scores", sa.Column("reasons", sa.Text))
