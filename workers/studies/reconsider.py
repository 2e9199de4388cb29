"""Marked patients in, studies whose inputs changed back in the queue out: decisions follow the facts by themselves.

Every change of a fact that a decision may rest on (an infusion, a decision on an earlier study, an identity) marks the
patient in the same transaction. Here the inputs of each decided study of a marked patient are compared with the facts
of now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from triage.errors import Transient
from workers.budget import PASS_S, within
from workers.log import get_logger, study_hash
from workers.ports import StudyRow, StudyState
from workers.studies.inputs import (
    Inputs,
    changed,
    inputs_of,
    is_before,
    is_under_way,
    is_used,
    objects_corrected,
    objects_said,
)
from workers.studies.merging import said_of
from workers.studies.person import infusions_among, same_person, shares_id, studies_of_person
from workers.studies.rejections import ReadNote, apply_notes

if TYPE_CHECKING:
    from workers.ports import Bell, Clock, InstanceRow, StudyIndex

log = get_logger(__name__)


@dataclass(frozen=True)
class Due:
    """A decided study that is to be assessed again, and why."""

    study_instance_uid: str
    why: tuple[str, ...]


def inputs_now(row: StudyRow, index: StudyIndex) -> dict[str, Any]:
    """What a decision on the study would rest on now."""
    with index.one_look():
        return _inputs_now(row, index)


def _inputs_now(row: StudyRow, index: StudyIndex) -> dict[str, Any]:
    like = index.studies_with_id(row.patient_id) if row.patient_id else []
    person = same_person(row, like, index.same_id)
    earlier = [other for other in person if is_before(other, row) and is_used(other)]
    found = {other.study_instance_uid: index.assessment(other.study_instance_uid) for other in earlier}
    documents = {uid: document for uid, document in found.items() if document is not None}
    infusions, _ = infusions_among(row, like, index)
    corrected = {one.study_instance_uid: _corrected(one.study_instance_uid, index) for one in earlier}
    found_inputs = inputs_of(
        row, earlier, documents, infusions, shared_id=shares_id(row, like, index.same_id), corrected=corrected
    )
    objects = objects_said(index.object_answers(row.study_instance_uid))
    filled = sorted(index.blank_filled(row.study_instance_uid))
    beside = {"identity": said_of(row, index), "objects": objects, "blank_filled": filled}
    return found_inputs | {name: said for name, said in beside.items() if said}


def _corrected(uid: str, index: StudyIndex) -> dict[str, Any]:
    return objects_corrected(index.object_answers(uid), sorted(index.blank_filled(uid)))


def due_studies(patient_id: str, index: StudyIndex) -> Iterator[Due]:
    """Decided studies of the ID whose inputs are not what they were.

    A study waits while an earlier one is still being decided: that decision marks the patient again.
    """
    for row in index.studies_with_id(patient_id):
        if not _stands(row):
            continue
        if any(is_before(other, row) and is_under_way(other) for other in studies_of_person(row, index)):
            continue
        why = changed(stored_inputs(index.assessment(row.study_instance_uid)), inputs_now(row, index))
        if why:
            yield Due(row.study_instance_uid, why)


def _stands(row: StudyRow) -> bool:
    """Whether nobody is going to decide it soon anyway: it is done, or waits for a fault of the store to end."""
    waits = row.state is StudyState.READY and row.due_at is not None and row.lease_owner is None
    return row.decided_revision == row.revision and (waits or row.state in (StudyState.ASSESSED, StudyState.FAILED))


def stored_inputs(document: Mapping[str, Any] | None) -> Inputs | None:
    """None: the document is of a program that did not record them."""
    return None if document is None else document.get("inputs")


def reconsider(
    index: StudyIndex,
    bell: Bell,
    clock: Clock,
    *,
    alive: Callable[[], None] = lambda: None,
    read: ReadNote = lambda _: None,
) -> int:
    """One pass over the marked patients; how many studies were put back in the queue.

    A pass is short: who stays marked comes first in the next one. A patient who cannot be looked at is marked anew,
    behind the others, and the error is raised at the end. So is one with a note that cannot be read now: what else is
    known of the patient counts meanwhile.

    Args:
        alive: called for each patient and each note, so that many are no silence.
        read: of rejection notes.

    Raises:
        Transient: the index is away.
    """
    woken, fault = 0, None
    for patient_id, marked_at in within(PASS_S, clock, index.marked_patients().items()):
        alive()
        try:
            notes = apply_notes(
                index.studies_with_id(patient_id), index, read, now=clock.now(), in_time=partial(_in_time, clock, alive)
            )
            if not notes.whole:
                continue
            woken += _wake(patient_id, index, bell, clock)
        except Transient:
            raise
        except Exception as error:  # one patient costs only itself
            fault = fault or error
            index.mark_patient(patient_id, now=clock.now())
        else:
            if notes.away:
                index.mark_patient(patient_id, now=clock.now())
            else:
                index.forget_mark(patient_id, marked_at)
    if fault is not None:
        raise fault
    return woken


def _in_time(clock: Clock, alive: Callable[[], None], key_objects: Iterable[InstanceRow]) -> Iterator[InstanceRow]:
    """What is read once is known in the next pass, so that each goes on where the last one ended."""
    for one in within(PASS_S, clock, key_objects):
        alive()
        yield one


def _wake(patient_id: str, index: StudyIndex, bell: Bell, clock: Clock) -> int:
    woken = 0
    # one by one: a study that is put back keeps the later ones waiting, which would else be decided without it
    for due in due_studies(patient_id, index):
        if not index.requeue(due.study_instance_uid, now=clock.now()):
            continue
        log.info("study.reconsidered", study=study_hash(due.study_instance_uid), reasons=len(due.why))
        woken += 1
        try:
            bell.ring(due.study_instance_uid, urgent=True)
        except Transient as error:
            log.warning("bell.not_rung", error=str(error))
    return woken
