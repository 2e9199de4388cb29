"""A retraction is a fact of the decision. Of older decisions those count as retracted of which a note, or what takes an
alert back, was planned, or of which something was given up because of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

WHEN = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("assessments", sa.Column("retracted_at", WHEN))
    key = ("study_instance_uid", "revision", "stage")
    assessments = sa.table("assessments", *map(sa.column, key), sa.column("retracted_at", WHEN))
    deliveries = sa.table("deliveries", *map(sa.column, (*key, "output", "answer")), sa.column("planned_at", WHEN))
    d = deliveries.c
    said = sa.or_(d.output.like("retract%"), d.answer.like("given up: retracted%"))
    same = sa.and_(*(assessments.c[name] == d[name] for name in key))
    when = sa.select(sa.func.min(d.planned_at)).where(same, said).scalar_subquery()
    op.execute(assessments.update().values(retracted_at=when))
