"""An account says whether single keys act on its pages. A known browser tells when somebody signed in there last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("keys", sa.String(8), nullable=False, server_default="on"))
    op.execute("ALTER TABLE web_devices RENAME COLUMN known_since TO seen_at")
