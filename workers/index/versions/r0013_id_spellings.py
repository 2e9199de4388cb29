"""Every spelling of a patient ID, so that all of one ID are found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from triage.identity import id_form

revision = "0013"
down_revision = "0012"

WRITTEN = (
    ("studies", "patient_id"),
    ("studies", "stated_patient_id"),
    ("infusions", "patient_id"),
    ("identity_events", "old_id"),
    ("identity_events", "new_id"),
)


def upgrade() -> None:
    table = op.create_table(
        "id_spellings",
        sa.Column("patient_id", sa.Text, primary_key=True),
        sa.Column("form", sa.Text, nullable=False, index=True),
    )
    seen: set[str] = set()
    for name, column in WRITTEN:
        found: sa.Result[tuple[str]] = op.get_bind().execute(
            sa.select(sa.column(column)).select_from(sa.table(name)).distinct()
        )
        seen |= {str(one) for one in found.scalars() if one}
    if seen:
        op.bulk_insert(table, [{"patient_id": one, "form": id_form(one)} for one in sorted(seen)])
