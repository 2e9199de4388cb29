"""The scanner of a study, and healthy grey over white matter in its FLAIR, so that scanners can be watched."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

a = sa.table(
    "assessments", sa.column("study_instance_uid"), sa.column("superseded", sa.Boolean), sa.column("document", sa.JSON)
)
studies = sa.table("studies", sa.column("study_instance_uid"), sa.column("scanner"), sa.column("tissue_ratio"))


def upgrade() -> None:
    from triage.report.headline import headline_of  # only an upgrade loads it

    op.add_column("studies", sa.Column("scanner", sa.Text))
    op.add_column("studies", sa.Column("tissue_ratio", sa.Float))
    connection, current = op.get_bind(), sa.not_(a.c.superseded)
    for uid in connection.execute(sa.select(a.c.study_instance_uid).where(current)).scalars().all():
        of_study = sa.and_(a.c.study_instance_uid == uid, current)  # one document in memory at a time
        said = headline_of(connection.execute(sa.select(a.c.document).where(of_study)).scalar_one())
        if said.scanner or said.tissue_ratio is not None:
            values = {"scanner": said.scanner or None, "tissue_ratio": said.tissue_ratio}
            connection.execute(studies.update().where(studies.c.study_instance_uid == uid).values(**values))
