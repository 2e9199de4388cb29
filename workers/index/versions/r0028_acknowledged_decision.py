"""An acknowledgement names the newest decision that was seen. Of older ones the time tells."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.add_column("acknowledgements", sa.Column("sequence", sa.Integer))
