"""Deliveries with lease, state and answer; destinations with their circuit breaker; who released them.

Nothing was delivered before: the old table is empty. Decisions of before are nobody's news and count as planned.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
WHEN = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("assessments", sa.Column("planned_at", WHEN))
    op.execute("UPDATE assessments SET planned_at = created_at")
    op.create_index("assessments_by_plan", "assessments", ["planned_at", "created_at"])
    op.drop_table("deliveries")
    _create_deliveries()
    op.create_table(
        "destinations",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("since", WHEN, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("paused_until", WHEN),
        sa.Column("promoted", sa.Boolean, nullable=False),
        sa.Column("owner", sa.Text),
        sa.Column("owner_until", WHEN),
    )
    op.create_table(
        "releases",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("promoted", sa.Boolean, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("at", WHEN, nullable=False),
    )


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("output", sa.String(64), nullable=False),
        sa.Column("destination", sa.String(64), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("urgency", sa.Integer, nullable=False),
        sa.Column("shadow", sa.Boolean, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("due_at", WHEN, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", WHEN),
        sa.Column("failure", sa.Text),
        sa.Column("error_class", sa.String(16)),
        sa.Column("answer", sa.Text),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("planned_at", WHEN, nullable=False),
        sa.Column("done_at", WHEN),
        sa.UniqueConstraint("study_instance_uid", "revision", "stage", "output", "destination", name="deliveries_key"),
    )
    op.create_index("deliveries_waiting", "deliveries", ["destination", "state", "urgency", "number"])
    op.create_index("deliveries_by_state", "deliveries", ["state", "destination", "planned_at"])
