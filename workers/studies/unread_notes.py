"""Rejection notes whose files cannot be read when a study is decided: the study waits for a while, then it is decided
without them, says so, and stays in the queue until they can be read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from triage.errors import NotAssessable, Transient
from triage.report.contents import Assessment
from workers.ports import InstanceRow, StudyRow
from workers.studies.inputs import UNREAD, Inputs
from workers.studies.rejections import apply_notes

if TYPE_CHECKING:
    from workers.studies.deps import Deps


def with_notes(row: StudyRow, deps: Deps, *, waits: bool) -> tuple[StudyRow, tuple[str, ...]]:
    """The study, once the rejection notes of its patient are applied, since they may correct whose it is; and the key
    objects that cannot be read now. Any of them may be a note.

    Raises:
        Transient: one cannot be read now, and the study waits.
    """
    read = deps.reader.note_reader()
    applied = apply_notes(_of_form(row, deps), deps.index, lambda one: read(deps.files.path(one)), now=deps.clock.now())
    if applied.away and waits:
        raise Transient("a key object of the patient cannot be read now")
    return deps.index.study(row.study_instance_uid) or row, applied.away


def with_unread(inputs: Inputs, unread: Sequence[str]) -> dict[str, Any]:
    """The inputs of a decision, naming the key objects that could not be read."""
    return {**inputs, UNREAD: sorted(unread)} if unread else dict(inputs)


def unread_in(document: Mapping[str, Any]) -> list[str]:
    """SOP Instance UIDs."""
    return list((document.get("inputs") or {}).get(UNREAD) or ())


def can_be_read(unread: Sequence[str], row: StudyRow, deps: Deps) -> bool:
    """Whether one of them can be read now, or is no object of the patient any more."""
    held = {one.sop_instance_uid: one for one in deps.index.key_objects(_uids(row, deps))}
    return any(uid not in held or _is_readable(held[uid], deps) for uid in unread)


def saying_what_is_unread(assessment: Assessment, inputs: Inputs) -> Assessment:
    """The same assessment, with a notice when key objects could not be read."""
    if not inputs.get(UNREAD):
        return assessment
    text = f"{len(inputs[UNREAD])} key objects of the patient cannot be read now: a rejection note may be among them"
    return dataclasses.replace(assessment, notices=(*assessment.notices, text))


def _is_readable(one: InstanceRow, deps: Deps) -> bool:
    try:
        deps.reader.note_reader()(deps.files.path(one))
    except NotAssessable:
        return True  # its content says so
    except (Transient, OSError):
        return False
    return True


def _of_form(row: StudyRow, deps: Deps) -> Sequence[StudyRow]:
    return deps.index.studies_with_id(row.patient_id) if row.patient_id else [row]


def _uids(row: StudyRow, deps: Deps) -> list[str]:
    return [one.study_instance_uid for one in _of_form(row, deps)]
