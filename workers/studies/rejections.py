"""Stored rejection notes (IHE IOCM) in, answers about the objects that they name out.

Each look at a patient reads its notes again, so that a note may come before or after its objects. A later answer of a
human about an object counts more than the note.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from triage.errors import NotAssessable, Transient
from workers.identities import BY_NOTE, LEFT_OUT, GivenAnswer, ObjectAnswer
from workers.identity_events import Change, Persons
from workers.log import get_logger, study_hash, uid_hash
from workers.measured_classes import is_measured
from workers.rejection_notes import SETS_ASIDE, TITLES, TOO_SLOW, RejectionNote
from workers.studies.corrections import answer_correction, corrections_among
from workers.studies.person import same_person
from workers.studies.set_aside import objects_of_study

if TYPE_CHECKING:
    from workers.ports import InstanceRow, StudyIndex, StudyRow
    from workers.studies.slow_notes import SlowNotes

log = get_logger(__name__)

ReadNote = Callable[["InstanceRow"], RejectionNote | None]
"""Of a Key Object Selection. Raises NotAssessable for one that says nothing readable, OSError or Transient for a file
that cannot be read now."""
REMEMBERED = 1000  # notes
REMEMBERED_OTHERS = 100_000  # key objects that are none, of which only the UID is remembered
T = TypeVar("T")
Notes = Sequence[tuple["InstanceRow", RejectionNote]]


class KnownNotes:
    """Reads each note once: its patient is looked at again and again, and a stored file never changes.

    Args:
        slow: what is known of notes that cannot be read in the time of the caller, e.g. those that name thousands of
            objects: a worker has more.
    """

    def __init__(self, read: ReadNote, slow: SlowNotes) -> None:
        self._read, self._slow = read, slow
        self._known: OrderedDict[str, RejectionNote] = OrderedDict()
        self._none: OrderedDict[str, None] = OrderedDict()

    def __call__(self, row: InstanceRow) -> RejectionNote | None:
        uid = row.sop_instance_uid
        if uid in self._none:
            return None
        if uid not in self._known:
            note = self._look(row)
            if note is None:
                _remember(self._none, uid, None, REMEMBERED_OTHERS)
                return None
            _remember(self._known, uid, note, REMEMBERED)
        return self._known[uid]

    def _look(self, row: InstanceRow) -> RejectionNote | None:
        if self._slow.is_given_up(row):
            return None
        try:
            return self._read(row)
        except NotAssessable as error:
            log.warning("note.not_readable", note=uid_hash(row.sop_instance_uid), code=error.code)
            if error.code == TOO_SLOW:
                self._slow.was_slow(row)
            return None


def _remember(known: OrderedDict[str, T], uid: str, said: T, most: int) -> None:
    known[uid] = said
    while len(known) > most:
        known.popitem(last=False)


@dataclass(frozen=True)
class Applied:
    """changed: about how many objects something new is said. away: SOP Instance UIDs of key objects whose files cannot
    be read now; the other notes count.

    whole: False: the time was over before every note was read, and nothing was changed.
    """

    changed: int = 0
    away: tuple[str, ...] = ()
    whole: bool = True


def apply_notes(
    among: Sequence[StudyRow],
    index: StudyIndex,
    read: ReadNote,
    *,
    now: datetime,
    in_time: Callable[[Iterable[InstanceRow]], Iterable[InstanceRow]] = iter,
) -> Applied:
    """Bring what is said about objects up to date with the notes that these studies hold.

    A note counts for its own study and for others of the same person. One that states another patient than its study is
    no object of it, and counts for nothing.

    Args:
        among: studies whose patient ID has one form.
        in_time: those of the key objects that are read before the time of the caller is over.
    """
    by_uid = {row.study_instance_uid: row for row in among}
    held = _own_key_objects(list(by_uid), index)
    notes, away, seen = _read_notes(in_time(held), read)
    if seen < len(held):
        return Applied(0, away, whole=False)
    about: defaultdict[str, list[tuple[InstanceRow, RejectionNote]]] = defaultdict(list)
    for uid, some in notes.items():
        persons = {one.study_instance_uid for one in same_person(by_uid[uid], among, index.same_id)}
        for instance, note in some:
            for named in note.objects:
                if named == uid or named in persons:
                    about[named].append((instance, note))
                else:
                    log.warning("note.of_another_patient", note=uid_hash(instance.sop_instance_uid))
    return Applied(sum(_apply(by_uid[uid], notes, index, now) for uid, notes in about.items()), away)


def rejected_words(answers: Mapping[str, GivenAnswer]) -> tuple[str, ...]:
    """What a reader of the decision is told about objects that are rejected."""
    counts: defaultdict[str, int] = defaultdict(int)
    for given in answers.values():
        if given.answer in (ObjectAnswer.REJECTED, ObjectAnswer.MISIDENTIFIED):
            counts[given.by] += 1
    return tuple(f"{count} objects are rejected ({by})" for by, count in sorted(counts.items()))


def _own_key_objects(uids: Sequence[str], index: StudyIndex) -> list[InstanceRow]:
    """Those of somebody else left out."""
    by_study: defaultdict[str, list[InstanceRow]] = defaultdict(list)
    for one in index.key_objects(uids):
        by_study[one.study_instance_uid].append(one)
    found = []
    for uid, some in by_study.items():
        own = {one.sop_instance_uid for one in objects_of_study(index.instances(uid), index.object_answers(uid))}
        for one in some:
            if one.sop_instance_uid in own:
                found.append(one)
            else:
                log.warning("note.of_another_patient", note=uid_hash(one.sop_instance_uid))
    return found


def _read_notes(key_objects: Iterable[InstanceRow], read: ReadNote) -> tuple[Mapping[str, Notes], tuple[str, ...], int]:
    """The rejection notes among the key objects by their study, what cannot be read now, and how many were looked
    at."""
    found: defaultdict[str, list[tuple[InstanceRow, RejectionNote]]] = defaultdict(list)
    away, seen = [], 0
    for one in key_objects:
        seen += 1
        try:
            note = read(one)
        except NotAssessable as error:
            log.warning("note.not_readable", note=uid_hash(one.sop_instance_uid), code=error.code)
            continue
        except (Transient, OSError) as error:
            log.warning("note.away", note=uid_hash(one.sop_instance_uid), error=type(error).__name__)
            away.append(one.sop_instance_uid)
            continue
        if note is not None:
            found[one.study_instance_uid].append((one, note))
    return found, tuple(away), seen


def _apply(row: StudyRow, notes: Notes, index: StudyIndex, now: datetime) -> int:
    uid = row.study_instance_uid
    here = [one.sop_instance_uid for one in index.instances(uid) if is_measured(one.sop_class_uid)]
    said = index.object_answers(uid)
    named = _named(uid, notes, here, said)
    wrong = {one for one, given in named.items() if given.answer is ObjectAnswer.MISIDENTIFIED}
    left = {one for one in here if one not in said or said[one].answer is not ObjectAnswer.DISCARDED}
    again = _came_again(row, left <= wrong, index, now) & wrong if wrong else set()
    wanted = named | {one: GivenAnswer(ObjectAnswer.CORRECTED, named[one].by, named[one].at) for one in again}
    new = {one: given for one, given in wanted.items() if _counts(given, said.get(one))}
    if not new:
        return 0
    out = sum(given.answer in LEFT_OUT for given in new.values())
    log.warning("study.objects_rejected", study=study_hash(uid), objects=out, came_again=len(new) - out)
    # whether it is to be decided again, the comparison of its inputs says
    index.answer_objects(uid, new, now=now, again=False)
    return len(new)


def _named(uid: str, notes: Notes, here: Sequence[str], said: Mapping[str, GivenAnswer]) -> dict[str, GivenAnswer]:
    """What the notes say about each object that is here, and that no human restored since. That it is not to be used
    counts more than that it is somebody else's, and of two notes that say the same the later one does."""
    found: dict[str, GivenAnswer] = {}
    in_turn = sorted(notes, key=lambda one: (one[0].received_at, one[0].sop_instance_uid))
    for instance, note in in_turn:
        answer = SETS_ASIDE.get(note.code)
        if answer is None:
            continue
        given = GivenAnswer(answer, f"{instance.calling_ae or 'an archive'}: {TITLES[note.code]}", instance.received_at)
        for one in note.objects[uid].intersection(here):
            if _is_overruled(given, said.get(one)):
                continue  # also when a later note weighs less
            if answer is ObjectAnswer.REJECTED or one not in found or found[one].answer is answer:
                found[one] = given
            else:  # a word of a human between the two does not hold either
                found[one] = replace(found[one], at=given.at)
    return found


def _counts(given: GivenAnswer, known: GivenAnswer | None) -> bool:
    """Whether what the notes say is news, and no human said otherwise since."""
    if known is None:
        return given.answer is not ObjectAnswer.CORRECTED  # it was never set aside
    if known.answer in BY_NOTE:
        return (known.answer, known.by) != (given.answer, given.by)
    return known.answer is ObjectAnswer.RESTORED and not _is_overruled(given, known)


def _is_overruled(given: GivenAnswer, known: GivenAnswer | None) -> bool:
    """Whether a human restored the object after the note came."""
    return known is not None and known.answer is ObjectAnswer.RESTORED and known.at >= given.at


def _came_again(row: StudyRow, all_wrong: bool, index: StudyIndex, now: datetime) -> set[str]:
    """Objects whose images came again under another identity that is in force for the study. When all of the study
    is wrong, the note puts the identity of the latest copies in force, as a message of a clinical system does."""
    uid, conflicts = row.study_instance_uid, index.conflicts()
    copies = [one for one in conflicts if one.study_instance_uid == uid and one.same_images]
    if not copies:
        return set()
    for one in corrections_among([row], conflicts, index) if all_wrong else ():
        answer_correction(index, one, Change.CORRECT, source="rejection note", now=now)
    current = index.study(uid) or row
    accepted = Persons(index.identity_events(current.patient_id)).correction_of(uid)
    if accepted is None:
        return set()
    new = (accepted.new.patient_id, accepted.new.issuer)
    return {one.sop_instance_uid for one in copies if (one.patient_id, one.issuer) == new}
