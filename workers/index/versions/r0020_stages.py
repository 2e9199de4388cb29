"""Shadow mode of scanners, patterns, rules and the site: what is released by name, and why a delivery was not sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("shadow_of", sa.Text))
    op.add_column("releases", sa.Column("kind", sa.String(16), nullable=False, server_default="destination"))
    with op.batch_alter_table("releases") as table:
        table.alter_column(
            "destination", new_column_name="name", type_=sa.Text, existing_type=sa.String(64), existing_nullable=False
        )
    op.drop_column("destinations", "promoted")  # the last record of releases says it
