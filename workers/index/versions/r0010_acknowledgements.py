"""Who has acknowledged a study; studies are found by their accession number."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "acknowledgements",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_acknowledgements_study_instance_uid", "acknowledgements", ["study_instance_uid"])
    op.create_index("studies_by_accession", "studies", ["accession_number"])
