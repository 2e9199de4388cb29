"""A day of an infusion that is said again keeps the time at which it was said first."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.add_column("infusions", sa.Column("first_said_at", sa.DateTime(timezone=True)))
