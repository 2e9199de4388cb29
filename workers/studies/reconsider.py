"""Marked patients in, studies whose inputs changed back in the queue out. What makes decisions right by themselves.

Whatever changes a fact that a decision may rest on (an infusion, a decision on an earlier study, an identity) marks the
patient in the same transaction. Here each decided study of a marked patient is compared with what is known now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from triage.errors import Transient
from workers.log import get_logger, study_hash
from workers.ports import StudyRow, StudyState
from workers.studies.inputs import Inputs, changed, inputs_of, is_before, is_settled
from workers.studies.person import infusions_of_person, studies_of_person

if TYPE_CHECKING:
    from workers.ports import Bell, Clock, StudyIndex

log = get_logger(__name__)


@dataclass(frozen=True)
class Due:
    """A decided study that is to be assessed again, and why."""

    study_instance_uid: str
    why: tuple[str, ...]


def inputs_now(row: StudyRow, index: StudyIndex) -> dict[str, Any]:
    """What a decision on the study would rest on now."""
    earlier = [other for other in studies_of_person(row, index) if is_before(other, row) and is_settled(other)]
    documents = {other.study_instance_uid: _document(other, index) for other in earlier}
    return inputs_of(row, earlier, documents, infusions_of_person(row, index)[0])


def _document(row: StudyRow, index: StudyIndex) -> Mapping[str, Any]:
    found = index.assessment(row.study_instance_uid)
    return {"findings": ()} if found is None else found


def due_studies(patient_id: str, index: StudyIndex) -> Iterator[Due]:
    """Decided studies of the ID whose inputs are not what they were.

    A study waits while an earlier one is still being decided: that decision marks the patient again.
    """
    for row in index.studies_with_id(patient_id):
        if row.state not in (StudyState.ASSESSED, StudyState.FAILED) or row.decided_revision != row.revision:
            continue
        if any(is_before(other, row) and not is_settled(other) for other in studies_of_person(row, index)):
            continue
        why = changed(stored_inputs(index.assessment(row.study_instance_uid)), inputs_now(row, index))
        if why:
            yield Due(row.study_instance_uid, why)


def stored_inputs(document: Mapping[str, Any] | None) -> Inputs | None:
    """None: the document is of a program that did not record them."""
    return None if document is None else document.get("inputs")


def reconsider(index: StudyIndex, bell: Bell, clock: Clock) -> int:
    """One pass over the marked patients; how many studies were put back in the queue.

    Raises:
        Transient: the index is away.
    """
    woken = 0
    for patient_id, marked_at in index.marked_patients().items():
        for due in list(due_studies(patient_id, index)):
            if not index.requeue(due.study_instance_uid, now=clock.now()):
                continue
            log.info("study.reconsidered", study=study_hash(due.study_instance_uid), reasons=len(due.why))
            woken += 1
            try:
                bell.ring(due.study_instance_uid, urgent=True)
            except Transient as error:
                log.warning("bell.not_rung", error=str(error))
        index.forget_mark(patient_id, marked_at)
    return woken
