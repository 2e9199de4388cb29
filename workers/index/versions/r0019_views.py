"""Saved views of the worklist, and what the worklist sorts by in one index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

LISTED = ["priority", "category", "state", "first_received_at", "decided_at", "study_instance_uid"]


def upgrade() -> None:
    op.create_table(
        "web_views",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("words", sa.String(64), nullable=False),
        sa.Column("query", sa.Text, nullable=False),
        sa.UniqueConstraint("account", "words", name="web_views_key"),
    )
    op.create_index("studies_listed", "studies", LISTED)
