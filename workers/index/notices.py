"""What others announced about studies, and contents kept aside, in the index: statements in, rows out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from workers.announcements import Announcement, Source, Step, StudyCount, count
from workers.index.schema import AT_ONCE, announced_series, announcements, conflicts, instances, series, studies
from workers.ports import ConflictRow, StudyState

CONFLICT_COLUMNS = tuple(ConflictRow.__dataclass_fields__)

Insert = Callable[[sa.Table], Any]


def put_announcement(connection: Connection, insert: Insert, one: Announcement, now: datetime) -> None:
    """Store it, replacing an earlier version of the same message."""
    key = {"source": one.source.value, "uid": one.uid}
    values = {"study_instance_uid": one.study_instance_uid, "step": one.step.value, "updated_at": now}
    statement = insert(announcements)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(key), set_={name: statement.excluded[name] for name in values}
        ),
        [key | values],
    )
    s = announced_series.c
    connection.execute(announced_series.delete().where(s.source == one.source.value, s.uid == one.uid))
    if one.images:
        rows = [key | {"series_instance_uid": uid, "images": number} for uid, number in one.images.items()]
        connection.execute(announced_series.insert(), rows)


def read_announcements(connection: Connection, *conditions: sa.ColumnElement[bool]) -> list[Announcement]:
    a, s = announcements.c, announced_series.c
    joined = sa.outerjoin(announcements, announced_series, sa.and_(a.source == s.source, a.uid == s.uid))
    statement = (
        sa.select(a.source, a.uid, a.study_instance_uid, a.step, s.series_instance_uid, s.images)
        .select_from(joined)
        .where(*conditions)
        .order_by(a.source, a.uid)
    )
    found: dict[tuple[str, str], tuple[str, str, dict[str, int]]] = {}
    for row in connection.execute(statement):
        _, _, images = found.setdefault((row.source, row.uid), (row.study_instance_uid, row.step, {}))
        if row.series_instance_uid is not None:
            images[row.series_instance_uid] = row.images
    return [
        Announcement(Source(source), uid, study, Step(step), images)
        for (source, uid), (study, step, images) in found.items()
    ]


def study_counts(connection: Connection, study_uids: Sequence[str]) -> dict[str, StudyCount]:
    found: dict[str, StudyCount] = {}
    for first in range(0, len(study_uids), AT_ONCE):
        found |= _study_counts(connection, study_uids[first : first + AT_ONCE])
    return found


def _study_counts(connection: Connection, study_uids: Sequence[str]) -> dict[str, StudyCount]:
    by_study: defaultdict[str, list[Announcement]] = defaultdict(list)
    for one in read_announcements(connection, announcements.c.study_instance_uid.in_(study_uids)):
        by_study[one.study_instance_uid].append(one)
    if not by_study:
        return {}
    i = instances.c
    received: defaultdict[str, dict[str, int]] = defaultdict(dict)
    statement = (
        sa.select(i.study_instance_uid, i.series_instance_uid, sa.func.count())
        .where(i.study_instance_uid.in_(list(by_study)))
        .group_by(i.study_instance_uid, i.series_instance_uid)
    )
    for study_uid, series_uid, number in connection.execute(statement):
        received[study_uid][series_uid] = number
    return {uid: count(said, received[uid]) for uid, said in by_study.items()}


def record_conflicts(connection: Connection, insert: Insert, rows: Sequence[ConflictRow]) -> None:
    if rows:
        connection.execute(insert(conflicts).on_conflict_do_nothing(), [dict(vars(row)) for row in rows])


def read_conflicts(connection: Connection) -> list[ConflictRow]:
    return _conflict_rows(connection.execute(_conflicts()))


def _conflicts(*conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    c = conflicts.c
    return sa.select(*(c[name] for name in CONFLICT_COLUMNS)).where(*conditions).order_by(c.received_at, c.path)


def _conflict_rows(found: sa.CursorResult[Any]) -> list[ConflictRow]:
    """Rows of a program before revision 0009 leave values out."""
    return [
        ConflictRow(**{name: value for name, value in row.items() if value is not None}) for row in found.mappings()
    ]


def _filled() -> sa.Select[Any]:
    c, i = conflicts.c, instances.c
    stored = sa.exists().where(i.sop_instance_uid == c.sop_instance_uid, i.series_instance_uid == c.series_instance_uid)
    return _conflicts(c.study_instance_uid == sa.bindparam("study"), c.fills_blank.is_(True), stored)


_FILLED = _filled()


def blank_filled(connection: Connection, study_uid: str) -> dict[str, ConflictRow]:
    """See ports.StudyIndex."""
    return {one.sop_instance_uid: one for one in _conflict_rows(connection.execute(_FILLED, {"study": study_uid}))}


def forget_instances(connection: Connection, study_uid: str, sop_uids: Sequence[str]) -> None:
    """Drop rows whose files are gone and count the study anew; it is REMOVED unless images came meanwhile."""
    of_study = studies.c.study_instance_uid == study_uid
    # as a lock too: an image that arrives now waits until the counts are right
    connection.execute(sa.select(studies.c.study_instance_uid).where(of_study).with_for_update())
    for first in range(0, len(sop_uids), AT_ONCE):
        some = sop_uids[first : first + AT_ONCE]
        connection.execute(instances.delete().where(instances.c.sop_instance_uid.in_(some)))
    left = sa.select(instances.c.series_instance_uid).where(instances.c.study_instance_uid == study_uid)
    connection.execute(
        series.delete().where(series.c.study_instance_uid == study_uid, series.c.series_instance_uid.not_in(left))
    )
    i, s = instances.c, series.c
    connection.execute(
        studies.update()
        .where(of_study)
        .values(
            instance_count=sa.select(sa.func.count()).where(i.study_instance_uid == study_uid).scalar_subquery(),
            series_count=sa.select(sa.func.count()).where(s.study_instance_uid == study_uid).scalar_subquery(),
            state=sa.case(
                (studies.c.state == StudyState.REMOVING.value, StudyState.REMOVED.value), else_=studies.c.state
            ),
        )
    )
