"""A search says for which days it asks, and is planned again when they change. Of older searches nobody knows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.add_column("prior_searches", sa.Column("asked_for", sa.String(32), nullable=False, server_default=sa.text("''")))
