"""A scan before treatment without a pattern stands apart in the list. Which studies are one is known of decisions from
now on: until an older one is decided again it stays among those that could not be assessed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

LISTED = ("priority", "category", "before_treatment", "state", "first_received_at", "decided_at", "study_instance_uid")


def upgrade() -> None:
    column = sa.Column("before_treatment", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("studies", column)
    op.drop_index("studies_listed", "studies")
    op.create_index("studies_listed", "studies", list(LISTED))
