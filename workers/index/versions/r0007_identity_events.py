"""Who is who: merges, splits and corrections of patients, and what the images of a study state beside it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

STATED = {
    "stated_patient_id": sa.Text,
    "stated_issuer": sa.Text,
    "stated_birth_date": sa.Date,
    "stated_sex": sa.Text,
}


def upgrade() -> None:
    op.create_table(
        "identity_events",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("change", sa.String(16), nullable=False),
        sa.Column("old_id", sa.Text, nullable=False),
        sa.Column("old_issuer", sa.Text, nullable=False),
        sa.Column("new_id", sa.Text, nullable=False),
        sa.Column("new_issuer", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("birth_date", sa.Date),
        sa.Column("sex", sa.Text, nullable=False),
    )
    op.create_index("ix_identity_events_old_id", "identity_events", ["old_id"])
    op.create_index("ix_identity_events_new_id", "identity_events", ["new_id"])
    for name, kind in STATED.items():
        op.add_column("studies", sa.Column(name, kind))
    op.create_index("ix_studies_stated_patient_id", "studies", ["stated_patient_id"])
