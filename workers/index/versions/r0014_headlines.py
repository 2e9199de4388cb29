"""What a list says of a study stands in its row: name, finding, figures, day after infusion, date of the baseline."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

a = sa.table(
    "assessments",
    sa.column("study_instance_uid"),
    sa.column("superseded", sa.Boolean),
    sa.column("stage"),
    sa.column("created_at", sa.DateTime(timezone=True)),
    sa.column("document", sa.JSON),
)
ADDED: tuple[tuple[str, sa.types.TypeEngine[Any]], ...] = (
    ("stage", sa.String(32)),
    ("decided_at", sa.DateTime(timezone=True)),
    ("finding", sa.Text()),
    ("figure", sa.Text()),
    ("days_after_infusion", sa.Integer()),
    ("baseline_date", sa.Date()),
)
studies = sa.table("studies", sa.column("study_instance_uid"), *(sa.column(name, kind) for name, kind in ADDED))


def upgrade() -> None:
    from triage.report.headline import headline_of  # the words are those of this program, and only an upgrade loads it

    for table in ("instances", "studies"):
        op.add_column(table, sa.Column("patient_name", sa.Text, nullable=False, server_default=sa.text("''")))
    for name, kind in ADDED:
        op.add_column("studies", sa.Column(name, kind))
    connection, current = op.get_bind(), sa.not_(a.c.superseded)
    for uid in connection.execute(sa.select(a.c.study_instance_uid).where(current)).scalars().all():
        of_study = sa.and_(a.c.study_instance_uid == uid, current)  # one document in memory at a time
        row = connection.execute(sa.select(a.c.stage, a.c.created_at, a.c.document).where(of_study)).one()
        said = headline_of(row.document)
        values = {
            "stage": row.stage,
            "decided_at": row.created_at,
            "finding": said.finding,
            "figure": said.figure,
            "days_after_infusion": said.day,
            "baseline_date": said.baseline_date,
        }
        connection.execute(studies.update().where(studies.c.study_instance_uid == uid).values(**values))
