"""Objects that state another identity than their study, or that were rejected: which, and what a human says.

The files stay as they are. A restored object is measured with its study; a discarded one is treated as if it had never
come. Either way the study is decided again by itself, and the first line of the new version says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from triage.errors import Misconfigured
from workers.identities import BY_NOTE, LEFT_OUT, GivenAnswer, ObjectAnswer, Sorted, StudyFacts, Votes, sort_out

if TYPE_CHECKING:
    from workers.ports import InstanceRow, StudyIndex


@dataclass(frozen=True)
class AsideObject:
    """One object. why: how it differs from the study, or why it was rejected. answer: None while nobody said a word."""

    sop_instance_uid: str
    series_description: str
    modality: str
    patient_id: str
    birth_date: date | None
    why: str
    answer: GivenAnswer | None

    @property
    def waits(self) -> bool:
        """Whether it is set aside, and no human has said anything about it."""
        return self.answer is None or self.answer.answer in (ObjectAnswer.REJECTED, ObjectAnswer.MISIDENTIFIED)


@dataclass(frozen=True)
class AsideInStudy:
    """The objects of one study that state another identity, or that somebody answered about.

    clear: False when too many differ: then nobody can say whose study it is, and nothing of it is measured until a
    human discards or restores objects.
    """

    study_instance_uid: str
    patient_id: str
    clear: bool
    objects: tuple[AsideObject, ...]

    @property
    def open(self) -> tuple[AsideObject, ...]:
        """Those that no human answered about."""
        return tuple(one for one in self.objects if one.waits)


def list_aside(index: StudyIndex, *, answered: bool = False) -> list[AsideInStudy]:
    """Every study with such objects, by study UID.

    Args:
        answered: also studies whose objects were all answered about.
    """
    found = (aside_in(uid, index) for uid in index.studies_in_question())
    return [one for one in found if one.open or (answered and one.objects)]


def aside_in(study_instance_uid: str, index: StudyIndex) -> AsideInStudy:
    """Of one study; without objects when all agree, or when it is not here."""
    answers = index.object_answers(study_instance_uid)
    rows = index.instances(study_instance_uid)
    kept, found = _sorted(rows, answers)
    strays = {kept[number].sop_instance_uid: why for number, why in found.strays.items()}
    objects = [
        AsideObject(
            row.sop_instance_uid,
            row.series_description,
            row.modality,
            row.patient_id,
            row.birth_date,
            strays.get(row.sop_instance_uid) or rejected_because(answers.get(row.sop_instance_uid)),
            answers.get(row.sop_instance_uid),
        )
        for row in rows
        if row.sop_instance_uid in strays or row.sop_instance_uid in answers
    ]
    return AsideInStudy(study_instance_uid, found.facts.patient_id, found.clear, tuple(objects))


def rejected_because(given: GivenAnswer | None) -> str:
    """What the rejection note says, in words; empty for what no note says."""
    return "" if given is None or given.answer not in BY_NOTE else given.by.partition(": ")[2]


def aside_facts(study: AsideInStudy) -> dict[str, Any]:
    """The same in JSON types."""
    return {
        "study_instance_uid": study.study_instance_uid,
        "patient_id": study.patient_id,
        "clear": study.clear,
        "objects": [
            {
                "sop_instance_uid": one.sop_instance_uid,
                "series_description": one.series_description,
                "modality": one.modality,
                "patient_id": one.patient_id,
                "birth_date": None if one.birth_date is None else one.birth_date.isoformat(),
                "why": one.why or None,
                "answer": None
                if one.answer is None
                else {
                    "answer": one.answer.answer.value,
                    "by": one.answer.by,
                    "at": one.answer.at.isoformat(timespec="seconds"),
                },
            }
            for one in study.objects
        ],
    }


def objects_of_study(rows: Sequence[InstanceRow], answers: Mapping[str, GivenAnswer]) -> list[InstanceRow]:
    """Those that are neither set aside nor discarded nor rejected."""
    kept, found = _sorted(rows, answers)
    return [row for number, row in enumerate(kept) if number not in found.strays]


def answer_aside(
    index: StudyIndex,
    study_instance_uid: str,
    answer: ObjectAnswer,
    *,
    by: str,
    now: datetime,
    objects: Collection[str] = (),
    patient_id: str | None = None,
) -> int:
    """Restore or discard objects of a study; how many. The latest answer about an object counts.

    Args:
        by: who says so.
        objects: SOP Instance UIDs; empty: every object that is set aside and that nobody answered about.
        patient_id: only, and all, objects that state this ID; needed when nobody can say whose study it is.

    Raises:
        Misconfigured: the study is not here, has no such objects, or the call must name which are meant.
    """
    rows = index.instances(study_instance_uid)
    if not rows:
        raise Misconfigured("STUDY_UID: no such study here, or its images were deleted")
    aside = aside_in(study_instance_uid, index)
    uids = _meant(rows, aside, objects, patient_id)
    rejected = {one.sop_instance_uid for one in aside.open if one.answer is not None}
    if answer is ObjectAnswer.DISCARDED and len(uids) == len(rows) and not rejected.issuperset(uids):
        raise Misconfigured("nothing would be left of the study: name the objects that are not of it")
    given = GivenAnswer(answer, by, _after_all(study_instance_uid, index, now))
    index.answer_objects(study_instance_uid, dict.fromkeys(uids, given), now=now)
    return len(uids)


def _after_all(study_instance_uid: str, index: StudyIndex, now: datetime) -> datetime:
    """Now, or just after every answer about the study and every note of its patient: a clock may have been set back,
    and who answers now knows what came before."""
    row = index.study(study_instance_uid)
    among = index.studies_with_id(row.patient_id) if row is not None and row.patient_id else []
    uids = sorted({study_instance_uid, *(one.study_instance_uid for one in among)})
    said = [one.received_at for one in index.key_objects(uids)]
    said += [given.at for given in index.object_answers(study_instance_uid).values()]
    return max([now, *(at + timedelta(microseconds=1) for at in said)])


def _meant(
    rows: Sequence[InstanceRow], aside: AsideInStudy, objects: Collection[str], patient_id: str | None
) -> list[str]:
    here = {row.sop_instance_uid: row.patient_id for row in rows}
    if objects:
        unknown = sorted(set(objects) - set(here))
        if unknown:
            raise Misconfigured(f"--object: {unknown[0]} is no object of this study")
        return sorted(objects)
    if patient_id is not None:
        found = [uid for uid, stated in here.items() if stated == patient_id]
        if not found:
            raise Misconfigured("--patient-id: no object of this study states it")
        return found
    if not aside.open:
        raise Misconfigured("STUDY_UID: no object of this study is set aside")
    if not aside.clear:
        raise Misconfigured(
            "nobody can say whose study it is: name with --patient-id or --object which objects are meant"
        )
    return [one.sop_instance_uid for one in aside.open]


def _sorted(rows: Sequence[InstanceRow], answers: Mapping[str, GivenAnswer]) -> tuple[list[InstanceRow], Sorted]:
    """The objects that nobody discarded or rejected, and whose they are."""
    said = {uid: given.answer for uid, given in answers.items()}
    kept = [row for row in rows if said.get(row.sop_instance_uid) not in LEFT_OUT]
    vouched = {number for number, row in enumerate(kept) if row.sop_instance_uid in said}
    votes = [Votes(_facts(row), 1, max(1, row.frame_count)) for row in kept]
    return kept, sort_out(votes, vouched)


def _facts(row: InstanceRow) -> StudyFacts:
    return StudyFacts(**{name: getattr(row, name) for name in StudyFacts.__dataclass_fields__})
