"""Rows of received instances in; instances, series and studies of the index out, each counted once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from workers.identities import StudyFacts, Votes, may_change, merge_facts
from workers.index import object_answers
from workers.index.patient_name import name_among, usual_name
from workers.index.patients import mark, mark_of_study
from workers.index.persons import STATED, STUDY_FACTS, facts_of_images, put_in_force, row_facts, row_votes
from workers.index.replaced_files import renew
from workers.index.schema import instances, series, studies
from workers.index.spellings import remember
from workers.index.utc_time import UtcDateTime
from workers.measured_classes import none_is_measured
from workers.output_kinds import KOS
from workers.ports import InstanceRow, StudyState

NAMELESS = studies.c.patient_name == ""


class Arrivals:
    """Records instances. The statements are built once: they run for every few received instances.

    Args:
        insert: INSERT of the dialect at hand.
    """

    def __init__(self, insert: Callable[[sa.Table], sqlite.Insert | postgresql.Insert]) -> None:
        self._insert = insert
        self._add_instances = insert(instances).on_conflict_do_nothing().returning(instances.c.sop_instance_uid)
        self._add_series = insert(series).on_conflict_do_nothing().returning(series.c.series_instance_uid)
        self._add_study = insert(studies).on_conflict_do_nothing().returning(studies.c.study_instance_uid)

    def record(self, connection: Connection, rows: Sequence[InstanceRow]) -> list[InstanceRow]:
        """Write what is not known yet, and renew the rows of files that were replaced; the rows that were not known."""
        # of two equal UIDs in one batch the first one counts
        unique = {row.sop_instance_uid: row for row in reversed(rows)}
        # one order everywhere, so that two writers cannot lock each other's rows crosswise
        values = [dict(vars(unique[uid])) for uid in sorted(unique)]
        notes = [one for one in values if one["sop_class_uid"] == KOS]
        if notes and (said := object_answers.latest_of_humans(connection)) is not None:
            for note in notes:  # who answered before did not know of it, whatever the clock said
                note["received_at"] = max(note["received_at"], said + timedelta(microseconds=1))
        new = [
            unique[uid] for some in portions(values) for uid in connection.execute(self._add_instances, some).scalars()
        ]
        if len(new) < len(unique):
            known = unique.keys() - {row.sop_instance_uid for row in new}
            new += self._renew(connection, [unique[uid] for uid in known])
        by_study: defaultdict[str, list[InstanceRow]] = defaultdict(list)
        for row in new:
            by_study[row.study_instance_uid].append(row)
        for study_instance_uid in sorted(by_study):
            self._add_to_study(connection, study_instance_uid, by_study[study_instance_uid])
        return new

    def _renew(self, connection: Connection, known: Sequence[InstanceRow]) -> list[InstanceRow]:
        """Those that belong to another study or series than before."""
        found = renew(connection, known)
        for row in found.moved:
            connection.execute(self._add_instances, [dict(vars(row))])
        reopened = {row.study_instance_uid: row.received_at for row in found.changed} | found.left
        for study_instance_uid in sorted(reopened):
            at = reopened[study_instance_uid]
            nothing = {"uid": study_instance_uid, "instances": 0, "series": 0, "first": at, "last": at}
            connection.execute(_GROW_STUDY, nothing)
            self.merge_again(connection, study_instance_uid, at)
        return found.moved

    def _add_to_study(self, connection: Connection, study_instance_uid: str, new: Sequence[InstanceRow]) -> None:
        first, last = min(r.received_at for r in new), max(r.received_at for r in new)
        uids = sorted({row.series_instance_uid for row in new})
        pairs = [{"study_instance_uid": study_instance_uid, "series_instance_uid": uid} for uid in uids]
        added = sum(len(connection.execute(self._add_series, some).all()) for some in portions(pairs))
        facts = merge_facts(map(row_votes, new))
        study = _new_study(study_instance_uid, facts, first, last)
        study |= {"instance_count": len(new), "series_count": added, "patient_name": name_among(new, facts)}
        if connection.execute(self._add_study, [study]).all():
            remember(connection, self._insert, {facts.patient_id})
            put_in_force(connection, self._insert, {facts.patient_id}, last)
            if object_answers.read_answers(connection, study_instance_uid):  # the index was built again
                self.merge_again(connection, study_instance_uid, last)
            return
        parameters = {"uid": study_instance_uid, "instances": len(new), "series": added, "first": first, "last": last}
        beside = none_is_measured(row.sop_class_uid for row in new)
        if not beside or connection.execute(_GROW_BESIDE, parameters).rowcount != 1:
            connection.execute(_GROW_STUDY, parameters)
        self._merge_facts(connection, study_instance_uid, new)
        if any(row.sop_class_uid == KOS for row in new):  # it may be a rejection note
            mark_of_study(connection, self._insert, study_instance_uid, last)

    def _merge_facts(self, connection: Connection, study_instance_uid: str, new: Sequence[InstanceRow]) -> None:
        """Unless the new ones change nothing. The row of the study is locked by the statement before; its day may be
        that of the visit that was assessed (``put_visit``), which stands while the objects say together what they
        did."""
        known = facts_of_images(_said_of_study(connection, study_instance_uid))
        if any(may_change(row_facts(row), known) for row in new):
            others = instances.c.sop_instance_uid.not_in([row.sop_instance_uid for row in new])
            before, now = (_votes(connection, study_instance_uid, *which) for which in ((others,), ()))
            if merge_facts(before) != merge_facts(now):
                self.merge_again(connection, study_instance_uid, max(row.received_at for row in new))
                return
        if name := name_among(new, known):
            nameless = studies.update().where(studies.c.study_instance_uid == study_instance_uid, NAMELESS)
            connection.execute(nameless.values(patient_name=name))

    def merge_again(self, connection: Connection, study_instance_uid: str, now: datetime) -> None:
        """What all objects say together becomes what the study says. Objects about which a human said something have no
        vote, unless that are all."""
        of_study = studies.c.study_instance_uid == study_instance_uid
        before = _said_of_study(connection, study_instance_uid)
        known = facts_of_images(before)
        votes = _votes(connection, study_instance_uid)
        found = merge_facts(votes) if votes else known  # its only object may have gone to another study
        named = studies.update().where(of_study).values(patient_name=usual_name(connection, study_instance_uid, found))
        connection.execute(named)
        if found == known:
            return
        nothing_else = dict.fromkeys(STATED)
        remember(connection, self._insert, {found.patient_id})
        connection.execute(studies.update().where(of_study).values(**vars(found), **nothing_else))
        put_in_force(connection, self._insert, {before["patient_id"], known.patient_id, found.patient_id}, now)
        # decisions on this study, and on others of the patient before and after, may rest on any of these facts; an
        # object that nobody measures (_GROW_BESIDE) has none of them made again
        mark(connection, self._insert, before["patient_id"], now)
        mark_of_study(connection, self._insert, study_instance_uid, now)


def _grow_beside() -> sa.Update:
    """More instances of a settled study on which no decision rests: count them. Results that come back, and notes about
    them, would else have it decided and sent without end. One without a patient ID is never marked, so it is
    reopened."""
    c = studies.c
    return (
        studies.update()
        .where(c.study_instance_uid == sa.bindparam("uid"), c.state != StudyState.RECEIVING.value, c.patient_id != "")
        .values(
            instance_count=c.instance_count + sa.bindparam("instances", type_=sa.Integer),
            series_count=c.series_count + sa.bindparam("series", type_=sa.Integer),
        )
    )


def _grow_study() -> sa.Update:
    """More instances of a known study: count them, and reopen it when it was settled."""
    c = studies.c
    first, last = sa.bindparam("first", type_=UtcDateTime), sa.bindparam("last", type_=UtcDateTime)
    settled = c.state != StudyState.RECEIVING.value
    return (
        studies.update()
        .where(c.study_instance_uid == sa.bindparam("uid"))
        .values(
            instance_count=c.instance_count + sa.bindparam("instances", type_=sa.Integer),
            series_count=c.series_count + sa.bindparam("series", type_=sa.Integer),
            first_received_at=sa.case((c.first_received_at > first, first), else_=c.first_received_at),
            last_received_at=sa.case((c.last_received_at < last, last), else_=c.last_received_at),
            # A live lease stays: its worker may still save what it found out about the revision it claimed.
            revision=sa.case((settled, c.revision + 1), else_=c.revision),
            attempts=sa.case((settled, 0), else_=c.attempts),
            ready_at=sa.case((settled, None), else_=c.ready_at),
            due_at=sa.case((settled, None), else_=c.due_at),
            failure=sa.case((settled, None), else_=c.failure),
            state=StudyState.RECEIVING.value,
        )
    )


_GROW_STUDY, _GROW_BESIDE = _grow_study(), _grow_beside()


def _said_of_study(connection: Connection, study_instance_uid: str) -> sa.RowMapping:
    columns = [studies.c[name] for name in (*STUDY_FACTS, *STATED)]
    of_study = studies.c.study_instance_uid == study_instance_uid
    return connection.execute(sa.select(*columns).where(of_study)).mappings().one()


def _votes(connection: Connection, study_instance_uid: str, *which: sa.ColumnElement[bool]) -> list[Votes]:
    columns = [instances.c[name] for name in STUDY_FACTS]
    counts = (sa.func.count(), sa.func.sum(instances.c.frame_count))
    of_study = instances.c.study_instance_uid == study_instance_uid
    said = sa.select(*counts, *columns).where(of_study, *which).group_by(*columns)
    rows = connection.execute(said.where(object_answers.UNANSWERED)).all() or connection.execute(said).all()
    return [Votes(StudyFacts(*facts), objects, int(images)) for objects, images, *facts in rows]


def _new_study(study_instance_uid: str, facts: StudyFacts, first: datetime, last: datetime) -> dict[str, Any]:
    return {
        "study_instance_uid": study_instance_uid,
        **vars(facts),
        "state": StudyState.RECEIVING.value,
        "revision": 1,
        "attempts": 0,
        "first_received_at": first,
        "last_received_at": last,
    }


def portions(values: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    """The same values in portions whose sizes are powers of two.

    Many rows are one statement with as many VALUES, and the driver keeps each different statement prepared: batches of
    every size from 1 to 128 cost 20 MB that never came back.
    """
    done = 0
    while left := len(values) - done:
        size = 1 << (left.bit_length() - 1)
        yield values[done : done + size]
        done += size
