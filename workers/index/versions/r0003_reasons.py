"""The reasons of a decision stand in the row of its study. Programs without revisions refuse the index from here on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

studies = sa.table("studies", sa.column("study_instance_uid"), sa.column("reasons", sa.JSON))
assessments = sa.table(
    "assessments", sa.column("study_instance_uid"), sa.column("superseded", sa.Boolean), sa.column("document", sa.JSON)
)


def upgrade() -> None:
    op.add_column("studies", sa.Column("reasons", sa.JSON, nullable=True))
    connection, a = op.get_bind(), assessments.c
    current = sa.select(a.study_instance_uid).where(sa.not_(a.superseded))
    for uid in connection.execute(current).scalars().all():  # one document in memory at a time
        document = connection.execute(
            sa.select(a.document).where(a.study_instance_uid == uid, sa.not_(a.superseded))
        ).scalar_one()
        reasons = list((document.get("decision") or {}).get("reasons") or ())
        connection.execute(studies.update().where(studies.c.study_instance_uid == uid).values(reasons=reasons))
    op.execute("UPDATE schema_version SET version = 2")
