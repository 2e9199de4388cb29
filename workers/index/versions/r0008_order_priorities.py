"""Priorities of the orders of studies, as the modality worklist says them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "order_priorities",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
    )
