"""The score of the labelled setting that is about conversions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; it is null in runs before."""
    op.add_column("scores", sa.Column("potential_score", sa.Double))
