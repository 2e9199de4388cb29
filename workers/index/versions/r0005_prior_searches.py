"""Searches for missing baselines in archives."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "prior_searches",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("source", sa.String(32), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("patient_id", sa.Text, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("due_at", moment, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("leased_by", sa.Text),
        sa.Column("leased_until", moment),
        sa.Column("asked_at", moment),
        sa.Column("finished_at", moment),
        sa.Column("failure", sa.Text),
        sa.Column("answer", sa.JSON, nullable=False),
    )
    op.create_index("prior_searches_by_due", "prior_searches", ["state", "due_at"])
