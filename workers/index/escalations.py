"""Deliveries that call somebody because nobody has acknowledged the study: an acknowledgement stops those that wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from workers.delivery_ports import WAITS, DeliveryState
from workers.index.schema import acknowledgements, assessments, deliveries

A, D, S = acknowledgements.c, deliveries.c, assessments.c
# a delivery and its decision
OF_DECISION = sa.and_(S.study_instance_uid == D.study_instance_uid, S.revision == D.revision, S.stage == D.stage)
FIRST_LOOK = "first_look"
DISCARDED = DeliveryState.DISCARDED.value


def sequence_in(revision: sa.ColumnElement[int], stage: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    """``Decided.sequence``, in SQL."""
    return 2 * revision + sa.case((stage == FIRST_LOOK, 0), else_=1)


def covers(sequence: sa.ColumnElement[int], decided_at: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """``Acknowledgement.covers``, in SQL."""
    return sa.and_(A.at >= decided_at, sa.or_(A.sequence.is_(None), A.sequence >= sequence))


# a delivery, its decision, and an acknowledgement that covers it
COVERED = sa.and_(A.study_instance_uid == D.study_instance_uid, covers(sequence_in(S.revision, S.stage), S.created_at))


def stop_acknowledged(connection: Connection, study_instance_uids: Sequence[str], now: datetime) -> int:
    """Discard what waits of the escalation of these studies and is covered by an acknowledgement; how many.

    It belongs into each transaction that makes a delivery wait: the study may have been acknowledged while it was being
    sent, or between planning and storing the plan.
    """
    if not study_instance_uids:
        return 0
    covered = (
        sa.select(D.number, A.by)
        .select_from(acknowledgements.join(deliveries, A.study_instance_uid == D.study_instance_uid))
        .join(assessments, OF_DECISION)
        .where(A.study_instance_uid.in_(study_instance_uids), COVERED, D.escalates, D.state.in_(WAITS))
        .order_by(A.number.desc())
    )
    names = {row.number: row.by for row in connection.execute(covered)}  # the first one who said so
    return sum(stop(connection, [number], by, now) for number, by in names.items())


def stop(connection: Connection, numbers: Sequence[int], by: str, now: datetime) -> int:
    """Discard those of these deliveries that wait; how many."""
    if not numbers:
        return 0
    values = {"state": DISCARDED, "answer": f"given up: acknowledged by {by}", "done_at": now}
    statement = deliveries.update().where(D.number.in_(numbers), D.state.in_(WAITS))
    return connection.execute(statement.values(**values)).rowcount
