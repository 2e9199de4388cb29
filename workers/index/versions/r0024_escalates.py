"""Which deliveries call somebody because nobody has acknowledged the study, so that an acknowledgement finds them
whatever their state. Of older rows those are known that wait untried for a later time, or were acknowledged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

STANDING = ("outdated", "images", "plan")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("escalates", sa.Boolean, nullable=False, server_default=sa.false()))
    names = ("state", "output", "attempts", "due_at", "planned_at", "answer")
    deliveries = sa.table("deliveries", sa.column("escalates", sa.Boolean), *(sa.column(name) for name in names))
    d = deliveries.c
    timed = sa.and_(d.state.in_(["planned", "held"]), d.attempts == 0, d.due_at > d.planned_at)
    acknowledged = sa.and_(d.state == "discarded", d.answer.like("given up: acknowledged by %"))
    of_decisions = sa.and_(d.output.not_in(STANDING), d.output.not_like("retract%"))
    rows = deliveries.update().where(sa.or_(timed, acknowledged), of_decisions)
    op.execute(rows.values(escalates=sa.true()))
