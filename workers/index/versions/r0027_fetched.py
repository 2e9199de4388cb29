"""A study that the node retrieved itself is known as one. Of those retrieved before nobody knows."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    op.create_table(
        "fetched_from",
        sa.Column("study_instance_uid", sa.String(64), primary_key=True),
        sa.Column("sender", sa.String(64), primary_key=True),
    )
