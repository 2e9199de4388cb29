"""Several infusions for a patient ID and its issuer; marks of patients of whom something changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

infusions = sa.table(
    "infusions", *(sa.column(name) for name in ("patient_id", "issuer", "kind", "source")), sa.column("day", sa.Date)
)


def upgrade() -> None:
    connection = op.get_bind()
    known = connection.execute(
        sa.text("SELECT patient_id, infusion_date FROM infusions").columns(infusion_date=sa.Date)
    ).all()
    op.drop_table("infusions")
    op.create_table(
        "infusions",
        sa.Column("patient_id", sa.Text, primary_key=True),
        sa.Column("issuer", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
    )
    op.create_table(
        "reconsider",
        sa.Column("patient_id", sa.Text, primary_key=True),
        sa.Column("marked_at", sa.DateTime(timezone=True), nullable=False),
    )
    for patient_id, day in known:
        row = {"patient_id": patient_id, "issuer": "", "day": day, "kind": "CAR-T", "source": "roster"}
        connection.execute(infusions.insert().values(**row))
