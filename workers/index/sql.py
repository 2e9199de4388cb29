"""The index: what is stored, what is due, what was decided. ports.StudyIndex over SQLite (WAL) or PostgreSQL.

Claims are compare-and-set: one UPDATE whose WHERE states what must still be true. A lease belongs to one claim
(owner, revision and attempt together). It is lost when somebody else claimed the study or when it was dropped, not by
the mere passing of its end: a worker that was slow to renew keeps its work as long as nobody took it over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from triage.errors import Misconfigured
from workers.announcements import Announcement, Source, StudyCount
from workers.identities import GivenAnswer
from workers.index import decisions, migrations, notices, object_answers, patients
from workers.index.arrivals import Arrivals
from workers.index.connected import STUDY_COLUMNS
from workers.index.errors import transient_errors
from workers.index.patient_queries import PatientQueries
from workers.index.schema import (
    announcements,
    assessments,
    infusions,
    instances,
    open_engine,
    studies,
)
from workers.ports import Claim, ConflictRow, InstanceRow, StudyRow, StudyState

GONE = (StudyState.REMOVING.value, StudyState.REMOVED.value)
INSTANCE_COLUMNS = [instances.c[f.name] for f in fields(InstanceRow)]

UID: sa.BindParameter[str] = sa.bindparam("uid")
_STUDY = sa.select(*STUDY_COLUMNS).where(studies.c.study_instance_uid == UID)
# 0: an infusion on or before the day of the study is known under its patient ID. Only an order: workers.studies.urgency
# decides, by all that is known of the person.
_AFTER_INFUSION = sa.case(
    (
        sa.exists().where(
            infusions.c.patient_id == studies.c.patient_id,
            infusions.c.day <= studies.c.study_date,
            infusions.c.withdrawn_at.is_(None),
        ),
        0,
    ),
    else_=1,
)
_RECEIVING = (
    sa.select(*STUDY_COLUMNS)
    .where(studies.c.state == StudyState.RECEIVING.value)
    .order_by(_AFTER_INFUSION, studies.c.first_received_at, studies.c.study_instance_uid)
)
_INSTANCES = (
    sa.select(*INSTANCE_COLUMNS)
    .where(instances.c.study_instance_uid == UID)
    .order_by(instances.c.received_at, instances.c.sop_instance_uid)
)
_A = assessments.c
_VERSIONS = (
    sa.select(_A.revision, _A.stage, _A.created_at, _A.superseded, _A.document)
    .where(_A.study_instance_uid == UID)
    .order_by(_A.revision, _A.stage_rank)
)
_NEWEST = sa.select(_A.document).where(_A.study_instance_uid == UID, sa.not_(_A.superseded))


def open_index(url: str, *, upgrade: bool = False) -> SqlIndex:
    """Connect, creating the tables when they are missing.

    Args:
        upgrade: change an older schema to that of this program. False for an index that other hosts may use.

    Raises:
        Misconfigured: the URL is not one of SQLite or PostgreSQL, or the schema is newer than this program, or older
            and not to be upgraded.
        Transient: the database cannot be reached.
    """
    with transient_errors():
        engine = open_engine(url)
        migrations.prepare(engine, upgrade=upgrade)
        return SqlIndex(engine)


def upgrade_schema(url: str) -> tuple[str, str]:
    """Upgrade the schema of an index; (revision before, revision now).

    Raises:
        Misconfigured: there are no tables, or the schema is newer than this program.
        Transient: the database cannot be reached.
    """
    with transient_errors():
        engine = open_engine(url)
        try:
            with engine.connect() as connection:
                before = migrations.look(connection).revision
            if before is None:
                raise Misconfigured("index.url: the index has no tables yet; run `icansee store init`")
            migrations.prepare(engine, upgrade=True)
        finally:
            engine.dispose()
    return before, migrations.REVISION


class SqlIndex(PatientQueries):
    """See ports.StudyIndex for what each method promises. Safe to share between threads and across a fork."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._arrivals = Arrivals(self._insert)

    # --- arrival

    def record_instances(self, rows: Sequence[InstanceRow]) -> None:
        self.record_new_instances(rows)

    def record_new_instances(self, rows: Sequence[InstanceRow]) -> list[InstanceRow]:
        """As record_instances; returns those rows that were not in the index before."""
        if not rows:
            return []
        with self._write() as connection:
            return self._arrivals.record(connection, rows)

    def receiving(self) -> list[StudyRow]:
        return self._studies(_RECEIVING)

    def mark_ready(self, study_instance_uid: str, *, now: datetime, reason: str) -> bool:
        return self._update_one(
            studies.update()
            .where(studies.c.study_instance_uid == study_instance_uid, studies.c.state == StudyState.RECEIVING.value)
            .values(state=StudyState.READY.value, ready_at=now, ready_reason=reason, due_at=None, attempts=0)
        )

    # --- work

    def due(self, *, now: datetime, lease_s: float = math.inf) -> list[StudyRow]:
        wanted = sa.select(*STUDY_COLUMNS).where(*_is_due(now, lease_s))
        return self._studies(wanted.order_by(_AFTER_INFUSION, studies.c.ready_at, studies.c.study_instance_uid))

    def claim(self, study_instance_uid: str, *, owner: str, now: datetime, lease_s: float) -> Claim | None:
        c, until = studies.c, now + timedelta(seconds=lease_s)
        statement = (
            studies.update()
            .where(c.study_instance_uid == study_instance_uid, *_is_due(now, lease_s))
            .values(
                lease_owner=owner,
                lease_until=until,
                attempts=c.attempts + 1,
                lease_revision=c.revision,
                lease_attempt=c.attempts + 1,
            )
            .returning(c.revision, c.attempts)
        )
        with self._write() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            return None
        return Claim(
            study_instance_uid=study_instance_uid, revision=row.revision, owner=owner, until=until, attempt=row.attempts
        )

    def renew(self, claim: Claim, *, now: datetime, lease_s: float) -> Claim | None:
        until = now + timedelta(seconds=lease_s)
        if not self._update_one(studies.update().where(*_holds(claim)).values(lease_until=until)):
            return None
        return Claim(claim.study_instance_uid, claim.revision, claim.owner, until, claim.attempt)

    def save_assessment(self, claim: Claim, *, stage: str, document: Mapping[str, Any], now: datetime) -> bool:
        with self._write() as connection:
            # taken as a lock as well as a check: nobody can claim the study before this transaction ends
            held = connection.execute(
                sa.select(studies.c.study_instance_uid).where(*_holds(claim)).with_for_update()
            ).one_or_none()
            if held is None:
                return False
            if not decisions.put(connection, self._insert, claim, stage=stage, document=document, now=now):
                return False
            patients.mark_of_study(connection, self._insert, claim.study_instance_uid, now)
        return True

    def complete(self, claim: Claim, *, now: datetime) -> bool:
        return self._settle(claim, {"state": StudyState.ASSESSED.value, "due_at": None, "failure": None}, now=now)

    def fail(self, claim: Claim, *, reason: str, retry_at: datetime | None, now: datetime) -> None:
        state = StudyState.FAILED if retry_at is None else StudyState.READY
        self._settle(claim, {"state": state.value, "due_at": retry_at, "failure": reason}, now=now)

    def _settle(self, claim: Claim, values: Mapping[str, Any], *, now: datetime) -> bool:
        """Drop the lease; apply ``values`` only if the study is still READY at the claimed revision. True: applied."""
        no_lease = {"lease_owner": None, "lease_until": None, "lease_revision": None, "lease_attempt": None}
        unchanged = (studies.c.revision == claim.revision, studies.c.state == StudyState.READY.value)
        with self._write() as connection:
            applied = connection.execute(
                studies.update().where(*_holds(claim), *unchanged).values(**no_lease, **values, settled_at=now)
            )
            if applied.rowcount == 1:
                patients.mark_of_study(connection, self._insert, claim.study_instance_uid, now)
                return True
            connection.execute(studies.update().where(*_holds(claim)).values(**no_lease))
        return False

    def requeue(self, study_instance_uid: str, *, now: datetime) -> bool:
        return self._update_one(
            studies.update()
            .where(studies.c.study_instance_uid == study_instance_uid, studies.c.state.not_in(GONE))
            .values(**_requeued(now, "replay"))
        )

    def begin_removal(self, study_instance_uid: str, *, revision: int) -> bool:
        c = studies.c
        return self._update_one(
            studies.update()
            .where(
                c.study_instance_uid == study_instance_uid,
                c.state == StudyState.ASSESSED.value,
                c.revision == revision,
                c.lease_owner.is_(None),
            )
            .values(state=StudyState.REMOVING.value)
        )

    def finish_removal(self, study_instance_uid: str, sop_instance_uids: Sequence[str], *, now: datetime) -> None:
        with self._write() as connection:
            notices.forget_instances(connection, study_instance_uid, sop_instance_uids)
            patients.mark_of_study(connection, self._insert, study_instance_uid, now)

    # --- questions

    def study(self, study_instance_uid: str) -> StudyRow | None:
        found = self._studies(_STUDY, uid=study_instance_uid)
        return found[0] if found else None

    def studies(self, *, limit: int = 500) -> list[StudyRow]:
        return self._studies(
            sa.select(*STUDY_COLUMNS)
            .order_by(studies.c.last_received_at.desc(), studies.c.study_instance_uid)
            .limit(limit)
        )

    def most_urgent(self, *, limit: int = 500) -> list[StudyRow]:
        # not at the top: the receiving processes import this file, and measure nothing
        from triage.decision import urgency
        from triage.model import Priority

        ranks = {priority.value: urgency(priority) for priority in Priority}
        rank = sa.case(ranks, value=studies.c.priority, else_=0)
        highest = max(ranks.values())
        order = (rank.desc(), studies.c.last_received_at.desc(), studies.c.study_instance_uid)
        first = self._studies(sa.select(*STUDY_COLUMNS).where(rank == highest).order_by(*order))
        return first + self._studies(sa.select(*STUDY_COLUMNS).where(rank < highest).order_by(*order).limit(limit))

    def number_of_studies(self) -> int:
        return int(self._read(sa.select(sa.func.count().label("number")).select_from(studies))[0]["number"])

    def instances(self, study_instance_uid: str) -> list[InstanceRow]:
        return [InstanceRow(**row) for row in self._read(_INSTANCES, uid=study_instance_uid)]

    def paths_under(self, prefix: str) -> dict[str, int]:
        """Path -> size in bytes of every indexed instance whose path starts with ``prefix``."""
        # a range instead of LIKE: every collation of both databases can use the index for it
        statement = sa.select(instances.c.path, instances.c.size_bytes).where(
            instances.c.path >= prefix, instances.c.path < prefix + "\U0010ffff"
        )
        return {row["path"]: row["size_bytes"] for row in self._read(statement)}

    def assessment(self, study_instance_uid: str) -> dict[str, Any] | None:
        rows = self._read(_NEWEST, uid=study_instance_uid)
        return dict(rows[0]["document"]) if rows else None

    def assessments(self, study_instance_uid: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self._read(_VERSIONS, uid=study_instance_uid)]

    def tried_often(self, attempts: int) -> int:
        c = studies.c
        nobody_at_it = sa.and_(c.attempts >= attempts, c.lease_owner.is_(None))
        wanted = (c.state == StudyState.READY.value, sa.or_(c.attempts > attempts, nobody_at_it))
        return int(self._read(sa.select(sa.func.count().label("number")).where(*wanted))[0]["number"])

    def tallies(self) -> dict[tuple[str, str, str], int]:
        c = studies.c
        key = (c.state, c.category, c.priority)
        rows = self._read(sa.select(*key, sa.func.count().label("number")).group_by(*key))
        return {(row["state"], row["category"] or "", row["priority"] or ""): row["number"] for row in rows}

    def not_looked_at(self) -> int:
        # not at the top: the receiving processes import this file, and measure nothing
        from triage.decision import NOT_IN_COHORT

        c = studies.c
        # a reason of its own in the JSON list, whatever stands before it
        outside = sa.cast(c.reasons, sa.Text).contains(f'"{NOT_IN_COHORT}: ', autoescape=True)
        wanted = (c.category == "not_assessable", outside)
        return int(self._read(sa.select(sa.func.count().label("number")).where(*wanted))[0]["number"])

    # --- what others said, and what was kept aside

    def put_announcement(self, announcement: Announcement, *, now: datetime) -> None:
        with self._write() as connection:
            notices.put_announcement(connection, self._insert, announcement, now)

    def announcement(self, source: Source, uid: str) -> Announcement | None:
        conditions = (announcements.c.source == source.value, announcements.c.uid == uid)
        with self._reading() as connection:
            found = notices.read_announcements(connection, *conditions)
        return found[0] if found else None

    def study_counts(self, study_instance_uids: Sequence[str]) -> dict[str, StudyCount]:
        with self._reading() as connection:
            return notices.study_counts(connection, study_instance_uids)

    def record_conflicts(self, rows: Sequence[ConflictRow]) -> None:
        with self._write() as connection:
            notices.record_conflicts(connection, self._insert, rows)
            for uid, received_at in {
                one.study_instance_uid: one.received_at for one in rows if one.fills_blank or one.same_images
            }.items():
                patients.mark_of_study(connection, self._insert, uid, received_at)

    def blank_filled(self, study_instance_uid: str) -> dict[str, ConflictRow]:
        with self._reading() as connection:
            return notices.blank_filled(connection, study_instance_uid)

    def conflicts(self) -> list[ConflictRow]:
        with self._reading() as connection:
            return notices.read_conflicts(connection)

    # --- objects that are not of the study's patient

    def object_answers(self, study_instance_uid: str) -> dict[str, GivenAnswer]:
        with self._reading() as connection:
            return object_answers.read_answers(connection, study_instance_uid)

    def put_visit(self, study_instance_uid: str, day: date, at: str, *, now: datetime) -> None:
        of_study = studies.c.study_instance_uid == study_instance_uid
        with self._write() as connection:
            connection.execute(studies.update().where(of_study).values(study_date=day, study_time=at))
            patients.mark_of_study(connection, self._insert, study_instance_uid, now)

    def studies_in_question(self) -> list[str]:
        with self._reading() as connection:
            return list(object_answers.studies_in_question(connection))

    def answer_objects(
        self, study_instance_uid: str, answers: Mapping[str, GivenAnswer], *, now: datetime, again: bool = True
    ) -> None:
        c = studies.c
        decided = (StudyState.ASSESSED.value, StudyState.FAILED.value, StudyState.READY.value)
        of_study = c.study_instance_uid == study_instance_uid
        with self._write() as connection:
            object_answers.put_answers(connection, self._insert, study_instance_uid, answers)
            row = connection.execute(sa.select(c.state).where(of_study).with_for_update()).one_or_none()
            if row is None or row.state in GONE:
                return
            self._arrivals.merge_again(connection, study_instance_uid, now)
            patients.mark_of_study(connection, self._insert, study_instance_uid, now)
            if again and row.state in decided:
                connection.execute(studies.update().where(of_study).values(**_requeued(now, "answered objects")))


def _requeued(now: datetime, reason: str) -> dict[str, Any]:
    return {
        "state": StudyState.READY.value,
        "revision": studies.c.revision + 1,
        "attempts": 0,
        "ready_at": now,
        "ready_reason": reason,
        "due_at": None,
        "failure": None,
    }


def _is_due(now: datetime, lease_s: float) -> tuple[sa.ColumnElement[bool], ...]:
    """What no honest clock could have written counts as over: the clock was set back since."""
    c = studies.c
    over = [c.lease_until.is_(None), c.lease_until <= now]
    if math.isfinite(lease_s):
        over.append(c.lease_until > now + 2 * timedelta(seconds=lease_s))
    return (
        c.state == StudyState.READY.value,
        # settled_at: when due_at was written
        sa.or_(c.due_at.is_(None), c.due_at <= now, c.settled_at > now),
        sa.or_(*over),
    )


def _holds(claim: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    c = studies.c
    return (
        c.study_instance_uid == claim.study_instance_uid,
        c.lease_owner == claim.owner,
        c.lease_revision == claim.revision,
        c.lease_attempt == claim.attempt,
    )
