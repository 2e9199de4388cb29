"""Stored rejection notes (IHE IOCM) in, answers about the objects that they name out.

A note is read again whenever its patient is looked at, so that it does not matter whether the note or the objects come
first. A human's later word about an object counts more than the note.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from triage.errors import NotAssessable
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

log = get_logger(__name__)

ReadNote = Callable[["InstanceRow"], RejectionNote | None]
"""Of a Key Object Selection. Raises NotAssessable for one that says nothing readable, OSError or Transient for a file
that cannot be read now."""
REMEMBERED = 1000  # notes
Notes = Sequence[tuple["InstanceRow", RejectionNote]]


class KnownNotes:
    """Reads each note once: its patient is looked at again and again, and a stored file never changes.

    Args:
        leave: called with the study of a note that cannot be read in the time of the caller, e.g. one that names
            thousands of objects: a worker has more.
    """

    def __init__(self, read: ReadNote, leave: Callable[[str], object] = lambda _: None) -> None:
        self._read, self._leave = read, leave
        self._known: OrderedDict[str, RejectionNote | None] = OrderedDict()

    def __call__(self, row: InstanceRow) -> RejectionNote | None:
        uid = row.sop_instance_uid
        if uid not in self._known:
            try:
                self._known[uid] = self._read(row)
            except NotAssessable as error:
                log.warning("note.not_readable", note=uid_hash(uid), code=error.code)
                self._known[uid] = None
                if error.code == TOO_SLOW:
                    self._leave(row.study_instance_uid)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return self._known[uid]


def apply_notes(among: Sequence[StudyRow], index: StudyIndex, read: ReadNote, *, now: datetime) -> int:
    """Bring what is said about objects up to date with the notes that these studies hold; about how many it changed.

    A note counts for its own study and for others of the same person. One that states another patient than its study is
    no object of it, and counts for nothing.

    Args:
        among: studies whose patient ID has one form.
    """
    by_uid = {row.study_instance_uid: row for row in among}
    held: defaultdict[str, list[InstanceRow]] = defaultdict(list)
    for one in index.key_objects(list(by_uid)):
        held[one.study_instance_uid].append(one)
    about: defaultdict[str, list[tuple[InstanceRow, RejectionNote]]] = defaultdict(list)
    for uid, some in held.items():
        notes = _read_notes(uid, some, index, read)
        persons = {one.study_instance_uid for one in same_person(by_uid[uid], among, index.same_id)} if notes else ()
        for instance, note in notes:
            for named in note.objects:
                if named == uid or named in persons:
                    about[named].append((instance, note))
                else:
                    log.warning("note.of_another_patient", note=uid_hash(instance.sop_instance_uid))
    return sum(_apply(by_uid[uid], notes, index, now) for uid, notes in about.items())


def rejected_words(answers: Mapping[str, GivenAnswer]) -> tuple[str, ...]:
    """What a reader of the decision is told about objects that are rejected."""
    counts: defaultdict[str, int] = defaultdict(int)
    for given in answers.values():
        if given.answer in (ObjectAnswer.REJECTED, ObjectAnswer.MISIDENTIFIED):
            counts[given.by] += 1
    return tuple(f"{count} objects are rejected ({by})" for by, count in sorted(counts.items()))


def _read_notes(uid: str, some: Sequence[InstanceRow], index: StudyIndex, read: ReadNote) -> Notes:
    """The rejection notes among the key objects of one study, those of somebody else left out."""
    own = {one.sop_instance_uid for one in objects_of_study(index.instances(uid), index.object_answers(uid))}
    found = []
    for one in some:
        if one.sop_instance_uid not in own:
            log.warning("note.of_another_patient", note=uid_hash(one.sop_instance_uid))
            continue
        try:
            note = read(one)
        except NotAssessable as error:
            log.warning("note.not_readable", note=uid_hash(one.sop_instance_uid), code=error.code)
            continue
        if note is not None:
            found.append((one, note))
    return found


def _apply(row: StudyRow, notes: Notes, index: StudyIndex, now: datetime) -> int:
    uid = row.study_instance_uid
    here = [one.sop_instance_uid for one in index.instances(uid) if is_measured(one.sop_class_uid)]
    said = index.object_answers(uid)
    named = _named(uid, notes, here)
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


def _named(uid: str, notes: Notes, here: Sequence[str]) -> dict[str, GivenAnswer]:
    """What the notes say about each object that is here. That it is not to be used counts more than that it is somebody
    else's, and of two notes that say the same the later one does."""
    found: dict[str, GivenAnswer] = {}
    in_turn = sorted(notes, key=lambda one: (one[0].received_at, one[0].sop_instance_uid))
    for instance, note in in_turn:
        answer = SETS_ASIDE.get(note.code)
        if answer is None:
            continue
        given = GivenAnswer(answer, f"{instance.calling_ae or 'an archive'}: {TITLES[note.code]}", instance.received_at)
        for one in note.objects[uid].intersection(here):
            if answer is ObjectAnswer.REJECTED or one not in found or found[one].answer is answer:
                found[one] = given
    return found


def _counts(given: GivenAnswer, known: GivenAnswer | None) -> bool:
    """Whether what the notes say is news, and no human said otherwise since."""
    if known is None:
        return given.answer is not ObjectAnswer.CORRECTED  # it was never set aside
    if known.answer in BY_NOTE:
        return (known.answer, known.by) != (given.answer, given.by)
    return known.answer is ObjectAnswer.RESTORED and known.at < given.at


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
