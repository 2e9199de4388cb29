"""The patient's name that a study shows: of the images that carry the identity of the study, never of a stray one."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from workers.identities import StudyFacts, stray
from workers.index import object_answers
from workers.index.persons import row_facts
from workers.index.schema import instances
from workers.ports import InstanceRow


def name_among(rows: Iterable[InstanceRow], facts: StudyFacts) -> str:
    """The first name that an image of this identity states; empty: none does."""
    return next((row.patient_name for row in rows if row.patient_name and not stray(row_facts(row), facts)), "")


def usual_name(connection: Connection, study_instance_uid: str, facts: StudyFacts) -> str:
    """The name that most of the stored images of this identity state; one about which a human said something counts
    only when there is no other."""
    c, count = instances.c, sa.func.count()
    said = (
        sa.select(c.patient_name)
        .where(c.study_instance_uid == study_instance_uid, c.patient_name != "")
        .where(
            c.patient_id.in_(["", facts.patient_id]), sa.or_(c.birth_date.is_(None), c.birth_date == facts.birth_date)
        )
        .group_by(c.patient_name)
        .order_by(count.desc(), c.patient_name)
        .limit(1)
    )
    found = connection.execute(said.where(object_answers.UNANSWERED)).scalar() or connection.execute(said).scalar()
    return found or ""
