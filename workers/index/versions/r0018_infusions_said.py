"""When an infusion date was stated and withdrawn: of two spellings of one patient ID the last word counts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    for name in ("said_at", "withdrawn_at"):
        op.add_column("infusions", sa.Column(name, sa.DateTime(timezone=True)))
