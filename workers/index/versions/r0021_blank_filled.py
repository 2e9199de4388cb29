"""Whether content that came under a known SOP Instance UID shows what the stored, blank image does not."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.add_column("conflicts", sa.Column("fills_blank", sa.Boolean))
