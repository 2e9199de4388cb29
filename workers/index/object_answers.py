"""Objects whose identity differs from their study's, and what humans said about them: rows in, values out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from workers.identities import BY_NOTE, GivenAnswer, ObjectAnswer
from workers.index.answer_schema import object_answers
from workers.index.schema import instances

Insert = Callable[[sa.Table], Any]
A, C = object_answers.c, instances.c

UNANSWERED = ~sa.exists().where(A.sop_instance_uid == C.sop_instance_uid)  # of instances


def put_answers(
    connection: Connection, insert: Insert, study_instance_uid: str, answers: Mapping[str, GivenAnswer]
) -> None:
    """The last word counts. answers: by SOP Instance UID."""
    statement = insert(object_answers)
    said = {name: statement.excluded[name] for name in ("study_instance_uid", "answer", "by", "at")}
    statement = statement.on_conflict_do_update(index_elements=["sop_instance_uid"], set_=said)
    rows = [
        {
            "sop_instance_uid": uid,
            "study_instance_uid": study_instance_uid,
            "answer": given.answer.value,
            "by": given.by,
            "at": given.at,
        }
        for uid, given in answers.items()
    ]
    if rows:
        connection.execute(statement, rows)


def latest_of_humans(connection: Connection) -> datetime | None:
    """When somebody answered last; None: nobody did."""
    by_note = [one.value for one in BY_NOTE]
    return connection.execute(sa.select(sa.func.max(A.at)).where(A.answer.not_in(by_note))).scalar()


_OF_STUDY = sa.select(object_answers).where(A.study_instance_uid == sa.bindparam("study"))


def read_answers(connection: Connection, study_instance_uid: str) -> dict[str, GivenAnswer]:
    """By SOP Instance UID."""
    rows = connection.execute(_OF_STUDY, {"study": study_instance_uid})
    return {row.sop_instance_uid: GivenAnswer(ObjectAnswer(row.answer), row.by, row.at) for row in rows}


def all_answers(connection: Connection) -> dict[tuple[str, str], GivenAnswer]:
    """By Study and SOP Instance UID."""
    rows = connection.execute(sa.select(object_answers))
    return {
        (row.study_instance_uid, row.sop_instance_uid): GivenAnswer(ObjectAnswer(row.answer), row.by, row.at)
        for row in rows
    }


def studies_in_question(connection: Connection) -> Collection[str]:
    """Studies whose objects state several patient IDs or birth dates, or about whose objects somebody said something.
    An ID in two spellings counts as two: whether it is another one is for the caller."""
    several = (sa.func.count(sa.distinct(C.birth_date)) > 1, _ids() > 1)
    mixed = sa.select(C.study_instance_uid).group_by(C.study_instance_uid).having(sa.or_(*several))
    found = connection.execute(mixed.union(sa.select(A.study_instance_uid))).scalars()
    return sorted(found)


def _ids() -> sa.ColumnElement[int]:
    return sa.func.count(sa.distinct(sa.func.nullif(C.patient_id, "")))
