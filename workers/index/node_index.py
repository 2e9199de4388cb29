"""The index of a node: facts about patients are in files before they are rows, and an index that was lost is filled
again from what is stored beside the images."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from triage.errors import Transient
from triage.identity import SameId
from triage.infusions import StatedInfusion
from workers.delivery_ports import Decided
from workers.files.facts import FactFolder, KeptFact
from workers.identities import BY_NOTE, GivenAnswer
from workers.identity_events import IdentityEvent, from_json
from workers.images_seen import images_seen
from workers.index import damage, decisions, migrations, object_answers, patients, persons
from workers.index.errors import transient_errors
from workers.index.fact_forms import (
    IDENTITY,
    INFUSION,
    OBJECT,
    answer_fact,
    answer_of_fact,
    costs_itself,
    identity_fact,
    infusion_fact,
    infusion_of_fact,
)
from workers.index.following import Files, Loss, files_of, locked, sqlite_path
from workers.index.node_words import restore_words
from workers.index.rebuilding import MISSING, mark_rebuilding
from workers.index.schema import assessments, instances, open_engine, studies
from workers.index.spellings import SAME_ID, remember
from workers.index.sql import SqlIndex
from workers.index.superseding import note_retracted
from workers.log import brief, get_logger
from workers.measured_classes import is_measured
from workers.ports import PatientKey, StudyState
from workers.settings import NodeSettings

log = get_logger(__name__)

UNREAD = "store_fault: its stored decisions cannot be read now"
GIVEN_UP = ("processing_failed:", "quarantined:")  # begin of the reason of a decision that a human has to look at


def open_node_index(settings: NodeSettings) -> NodeIndex:
    """The index that the settings name. A new one on a store that holds images is marked as to be filled.

    Raises:
        Misconfigured, Transient: see workers.index.sql.open_index.
    """
    files_dir, url = settings.store.files_dir, settings.index_url
    path = sqlite_path(url)
    replace = partial(_replace, path, files_dir) if path is not None else None
    with transient_errors(), _of_the_disk():
        if path is not None and _is_missing(path):
            # before the tables: nobody may see an empty index that looks like a new node's
            mark_rebuilding(files_dir, MISSING)
        engine = open_engine(url)
        engine.update_execution_options(**{SAME_ID: SameId(settings.patients.same_id)})
        if path is not None and replace is not None:
            damage.guard(engine, replace, partial(_renew, path, files_dir))
        try:
            found = migrations.prepare(engine, upgrade=settings.owns_index)
        except DBAPIError as error:
            if not damage.is_damage(error.orig):
                raise
            found = migrations.prepare(engine, upgrade=settings.owns_index)  # it was replaced
        if found.revision is None:
            mark_rebuilding(files_dir, MISSING)
            _restore_words(engine, files_dir)
            if path is not None:
                with locked(path, exclusive=True) as lock:
                    lock.note(files_of(path))
    return NodeIndex(engine, FactFolder(files_dir), replace)


def _replace(path: Path, files_dir: Path, thorough: bool) -> bool:
    return damage.put_aside(
        path, create=partial(_create, files_dir), before=partial(mark_rebuilding, files_dir), thorough=thorough
    )


def _renew(path: Path, files_dir: Path, loss: Loss, opened: Files, connection: sqlite3.Connection) -> None:
    if not (files_dir / "store").is_dir():
        # it was moved, or is not mounted: an index made now would say that this node has never received anything
        raise OSError(errno.ENOENT, "the state folder is gone")
    create, before = partial(_create, files_dir), partial(mark_rebuilding, files_dir)
    damage.make_again(path, loss, opened, connection, create=create, before=before)


@contextmanager
def _of_the_disk() -> Iterator[None]:
    """A folder that cannot be read or written now is no reason for a process to end."""
    try:
        yield
    except OSError as error:
        raise Transient(f"index: its folder cannot be used ({error.strerror})") from error


def _create(files_dir: Path, path: Path) -> None:
    engine = open_engine(f"sqlite:///{path}")
    try:
        migrations.prepare(engine, upgrade=False)
        _restore_words(engine, files_dir)
    finally:
        engine.dispose()
        path.with_name(f"{path.name}.lock").unlink(missing_ok=True)


def _restore_words(engine: Engine, files_dir: Path) -> None:
    """At once: what is planned before they are back would count as in shadow mode, or as not acknowledged."""
    try:
        with engine.begin() as connection:
            restore_words(connection, FactFolder(files_dir))
    except (OSError, Transient) as error:
        log.warning("facts.restored_later", error=brief(error))


def _is_missing(path: Path) -> bool:
    return not path.exists() or path.stat().st_size == 0


class NodeIndex(SqlIndex):
    """See ports.StudyIndex."""

    def __init__(self, engine: Engine, facts: FactFolder, replace: Callable[[bool], bool] | None) -> None:
        super().__init__(engine)
        self._facts, self._replace, self._verified = facts, replace, False

    def verify(self) -> None:
        """Look through the whole file once, and replace it when it is damaged.

        Raises:
            Transient: it cannot be read now.
        """
        if self._replace is None or self._verified:
            return
        try:
            self._replace(False)
        except (sqlite3.Error, OSError) as error:
            raise Transient(f"index: {type(error).__name__}") from error
        self._verified = True

    # --- facts

    def _put_statement(self, connection: Connection, patient: PatientKey, said: StatedInfusion, now: datetime) -> None:
        self._keep(infusion_fact(patient, said))
        super()._put_statement(connection, patient, said, now)

    def record_identity(self, event: IdentityEvent) -> bool:
        stored, new = self._record_identity(event)  # first: it may be refused
        self._keep(identity_fact(stored))  # also when it was known: the process may have ended in between
        return new

    def answer_objects(
        self, study_instance_uid: str, answers: Mapping[str, GivenAnswer], *, now: datetime, again: bool = True
    ) -> None:
        for uid, given in answers.items():
            if given.answer not in BY_NOTE:  # the note is a stored file, and is read again
                self._keep(answer_fact(study_instance_uid, uid, given))
        super().answer_objects(study_instance_uid, answers, now=now, again=again)

    def _keep(self, fact: KeptFact) -> None:
        try:
            self._facts.put(fact)
        except OSError as error:
            raise Transient(f"facts: the file cannot be written ({error.strerror})") from error

    def restore_facts(self, *, now: datetime) -> int:
        """Make rows and files agree: a file counts, and a row without a file gets one. How many rows changed.

        Raises:
            Transient: the index is away, or a file cannot be written.
            OSError: the folder of the files cannot be read now.
        """
        with self._write() as connection:
            words = restore_words(connection, self._facts)
        return words + self._restore_identities(now) + self._restore_infusions(now) + self._restore_answers(now)

    @property
    def facts_unread(self) -> int:
        """How many files of facts could not be read by ``restore_facts``."""
        return len(self._facts.unread)

    def _restore_identities(self, now: datetime) -> int:
        kept, events = set(), []
        for fact in self._facts.all(IDENTITY):
            kept.add(fact.key)
            with costs_itself(fact):
                events.append(from_json(fact.value))
        with self._write() as connection:
            changed = persons.restore_events(connection, self._insert, events, now)
            recorded = persons.all_events(connection)
        for fact in map(identity_fact, recorded):
            if fact.key not in kept:
                self._keep(fact)
        return changed

    def _restore_infusions(self, now: datetime) -> int:
        with self._reading() as connection:
            rows = patients.read_statements(connection)
        known = {(patient, one.infusion.day): one for patient, some in rows.items() for one in some}
        kept, changed = set(), 0
        for fact in self._facts.all(INFUSION):
            with costs_itself(fact):
                patient, said = infusion_of_fact(fact)
                key = (patient, said.infusion.day)
                kept.add(key)
                gone = fact.withdrawn and said.withdrawn_at is None  # of a program that did not record when
                if known.get(key) != (None if gone else said):
                    with self._write() as connection:
                        if gone:
                            patients.forget_statement(connection, *key)
                            patients.mark(connection, self._insert, patient.patient_id, now)
                        else:
                            super()._put_statement(connection, patient, said, now)
                    changed += 1
        for (patient, day), said in known.items():
            if (patient, day) not in kept:  # of a program that kept no files
                self._keep(infusion_fact(patient, said))
        return changed

    def _restore_answers(self, now: datetime) -> int:
        with self._reading() as connection:
            known = object_answers.all_answers(connection)
        missing: dict[str, dict[str, GivenAnswer]] = {}
        for fact in self._facts.all(OBJECT):
            with costs_itself(fact):
                study, uid = fact.key
                given = answer_of_fact(fact)
                row = known.pop((study, uid), None)
                if row != given and not (row is not None and row.answer in BY_NOTE and row.at > given.at):
                    missing.setdefault(study, {})[uid] = given
        for study, answers in missing.items():
            super().answer_objects(study, answers, now=now, again=False)
        for (study, uid), given in known.items():
            if given.answer not in BY_NOTE:
                self._keep(answer_fact(study, uid, given))
        return sum(map(len, missing.values()))

    # --- decisions

    def newest_decisions(self) -> dict[str, tuple[int, int]]:
        """Study -> revision and rank of the stage of its newest decision."""
        a = assessments.c
        rows = self._read(sa.select(a.study_instance_uid, a.revision, a.stage_rank).order_by(a.revision, a.stage_rank))
        return {row["study_instance_uid"]: (row["revision"], row["stage_rank"]) for row in rows}

    def hold(self, study_instance_uid: str, *, newest_revision: int, now: datetime) -> None:
        """A study whose stored decisions cannot be read now is decided by nobody before they can, or a human says so;
        unless somebody has decided it meanwhile, or is at it."""
        c = studies.c
        unknown = (c.study_instance_uid == study_instance_uid, c.decided_revision.is_(None), c.lease_owner.is_(None))
        revision = max(1, newest_revision)
        values = {**_given_up(revision, now), "failure": UNREAD}
        with self._write() as connection:
            connection.execute(studies.update().where(*unknown, c.revision <= revision).values(**values))

    def restore_decisions(
        self,
        study_instance_uid: str,
        versions: Sequence[tuple[int, str, Mapping[str, Any], datetime]],
        *,
        newest_revision: int,
        retracted: Collection[tuple[int, str]] = (),
        now: datetime,
    ) -> bool:
        """Put stored decisions back. The study counts as decided when the newest one is a full assessment of the very
        images that are here; otherwise it is assessed again, as a later revision, beside its earlier decisions.

        Args:
            versions: (revision, stage, document, when it was written), oldest first.
            newest_revision: the study continues behind it.
            retracted: revision and stage of those that a person took back.

        Returns:
            False: somebody has decided the study meanwhile, or is at it. An index that was replaced by an older copy
            knows earlier decisions.
        """
        c, of_study = studies.c, studies.c.study_instance_uid == study_instance_uid
        with self._write() as connection:
            row = connection.execute(
                sa.select(c.decided_revision, c.stage, c.lease_owner, c.revision).where(of_study).with_for_update()
            ).one_or_none()
            if row is not None and (_is_newer(row, *versions[-1][:2]) or row.lease_owner is not None):
                return False
            if row is None:
                self._insert_removed(connection, study_instance_uid, versions[-1], newest_revision)
            for revision, stage, document, written_at in versions:
                decisions.insert_document(
                    connection,
                    self._insert,
                    (study_instance_uid, revision, stage),
                    document=document,
                    now=written_at,
                    planned_at=decisions.RESTORED,
                )
            for revision, stage in retracted:
                connection.execute(note_retracted(Decided(study_instance_uid, revision, stage), now))
            decisions.supersede(connection, study_instance_uid)
            if row is not None:
                values = self._settled(connection, study_instance_uid, versions[-1], newest_revision, row.revision)
                connection.execute(studies.update().where(of_study).values(**values))
            patients.mark_of_study(connection, self._insert, study_instance_uid, now)
        return True

    def _settled(
        self,
        connection: Connection,
        study_instance_uid: str,
        newest: tuple[int, str, Mapping[str, Any], datetime],
        newest_revision: int,
        revision_here: int,
    ) -> dict[str, Any]:
        revision, stage, document, written_at = newest
        c = instances.c
        rows = connection.execute(
            sa.select(c.sop_instance_uid, c.sop_class_uid, c.received_at).where(
                c.study_instance_uid == study_instance_uid
            )
        )
        here = [one.sop_instance_uid for one in rows if is_measured(one.sop_class_uid) or one.received_at <= written_at]
        seen, found = document.get("images"), images_seen(here)
        same = seen == found
        if seen is not None and seen["count"] > found["count"]:
            missing = seen["count"] - found["count"]
            failure = f"store_fault: {missing} of the {seen['count']} images of its last decision are not here"
            return {**_given_up(newest_revision, written_at), "failure": failure}
        if stage != "full" or revision != newest_revision or not same:
            next_one = max(newest_revision + 1, revision_here)
            return {"state": StudyState.RECEIVING.value, "revision": next_one, "attempts": 0, "due_at": None}
        # what fell or changed may stand before it
        given_up = next((one for one in document["decision"]["reasons"] if one.startswith(GIVEN_UP)), None)
        values = _given_up(revision, written_at)
        return {**values, "failure": given_up} if given_up else {**values, "state": StudyState.ASSESSED.value}

    def _insert_removed(
        self,
        connection: Connection,
        study_instance_uid: str,
        newest: tuple[int, str, Mapping[str, Any], datetime],
        newest_revision: int,
    ) -> None:
        """A study whose images are gone: only its decisions are left, and its patient as they say."""
        _, _, document, written_at = newest
        said = (document.get("inputs") or {}).get("patient") or [document["study"].get("patient_id"), "", None, ""]
        patient_id, issuer, birth_date, sex = said
        study_date = document["study"].get("study_date")
        values = {
            "study_instance_uid": study_instance_uid,
            "patient_id": patient_id or "",
            "issuer": issuer or "",
            "birth_date": date.fromisoformat(birth_date) if birth_date else None,
            "sex": sex or "",
            "study_date": date.fromisoformat(study_date) if study_date else None,
            "study_time": "",
            "accession_number": "",
            "state": StudyState.REMOVED.value,
            "revision": newest_revision,
            "instance_count": 0,
            "series_count": 0,
            "first_received_at": written_at,
            "last_received_at": written_at,
            "attempts": 0,
        }
        remember(connection, self._insert, {patient_id or ""})
        connection.execute(self._insert(studies).on_conflict_do_nothing(), [values])


def _is_newer(row: Any, revision: int, stage: str) -> bool:
    """Whether the index knows this decision or a later one."""
    known, rank = row.decided_revision, decisions.STAGE_RANK
    return known is not None and (known, rank.get(row.stage, 1)) >= (revision, rank.get(stage, 1))


def _given_up(revision: int, at: datetime) -> dict[str, Any]:
    state = StudyState.FAILED.value
    return {"state": state, "revision": revision, "attempts": 0, "due_at": None, "settled_at": at, "failure": None}
