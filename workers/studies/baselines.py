"""Earlier studies of a patient in, the chosen and prepared baseline out; keeps prepared baselines on a shelf in the
state folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from triage.baseline import Candidate, identity_mismatch
from triage.errors import NotAssessable
from triage.infusions import Infusion, infusion_of
from triage.model import BaselineChoice, Category, Presence, SequenceKind, Study
from workers.log import get_logger, study_hash
from workers.ports import StudyRow, StudyState
from workers.studies.identity import study_of

if TYPE_CHECKING:
    from triage.draft import Context
    from triage.preparation import PreparedBaseline
    from workers.studies.deps import Deps

log = get_logger(__name__)

ACUTE = (Category.POSSIBLE.value, Category.NEUROTOXICITY_SUSPECTED.value)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a study is compared with. choice None: no earlier study of the patient is stored."""

    choice: BaselineChoice | None
    prepared: PreparedBaseline | None
    infusions: tuple[Infusion, ...]
    infusion_date: date | None
    """Of the infusion that the study belongs to; None when none is known."""


def compare_with(study: Study, row: StudyRow, deps: Deps) -> Comparison:
    """Choose the baseline; one that turns out not to be assessable becomes a rejected candidate, and the choice is
    made again."""
    infusions = known_infusions(row, deps)
    infusion = infusion_of(study.study_date, infusions)
    infusion_date = None if infusion is None else infusion.day
    # of a study whose images were deleted there is nothing to compare with
    gone = (StudyState.REMOVING, StudyState.REMOVED)
    rows = {r.study_instance_uid: r for r in _earlier_rows(row, deps) if r.state not in gone}
    studies = {uid: _describe(r, deps) for uid, r in rows.items()}
    acute = {uid: acute_patterns(deps.index.assessment(uid)) for uid in rows}
    reasons = {uid: _known_refusal(r, studies[uid], deps) for uid, r in rows.items()}
    while True:
        candidates = [Candidate(studies[uid], reasons[uid] is None, reasons[uid], acute[uid]) for uid in rows]
        choice = deps.engine.choose_baseline(study, candidates, infusions)
        compared = choice.study_instance_uid or (choice.since[0] if choice.since is not None else None)
        if compared is None:
            return Comparison(choice, None, infusions, infusion_date)
        try:
            prepared = deps.shelf.prepared(rows[compared])
        except NotAssessable as refusal:
            if reasons[compared] is not None:
                raise  # chosen although refused: going round again would not end
            reasons[compared] = f"{refusal.code}: {refusal.message}"
            continue
        return Comparison(choice, prepared, infusions, infusion_date)


def known_infusions(row: StudyRow, deps: Deps) -> tuple[Infusion, ...]:
    """Every known infusion of the study's patient. An empty patient ID is not an identity: nothing is known of it."""
    day = deps.index.infusion_date(row.patient_id) if row.patient_id else None
    return () if day is None else (Infusion(day),)


def acute_patterns(document: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The patterns that a decision found; none when it found nothing, or there is no decision."""
    if document is None or document["decision"]["category"] not in ACUTE:
        return ()
    return tuple(f["pattern"] for f in document["findings"] if f["presence"] == Presence.PRESENT)


def context_of(comparison: Comparison, row: StudyRow, deps: Deps) -> Context:
    """What the measurement core is told about the study beside its images."""
    from triage.draft import Context

    return Context(
        infusion_date=comparison.infusion_date,
        infusions=comparison.infusions,
        baseline_choice=comparison.choice,
        versions=deps.engine.versions,
        earlier=earlier_documents(row, deps),
    )


def reopen_followups(row: StudyRow, infusion_date: date | None, deps: Deps) -> int:
    """A prior that arrives after the study it is the baseline of (prefetch is often slower than the scanner) wakes
    that study again.

    Called once per study, at its first decision, so that two studies cannot wake each other for ever. Returns how many
    were woken.
    """
    woken = 0
    for other in deps.index.studies_of_patient(row.patient_id, row.issuer) if row.patient_id else []:
        if other.decided_revision is None or not _is_before(row, other) or not _would_gain(other, row, deps):
            continue
        if deps.index.requeue(other.study_instance_uid, now=deps.clock.now()):
            log.info("study.woken_by_baseline", followup=study_hash(other.study_instance_uid))
            deps.bell.ring(other.study_instance_uid, urgent=infusion_date is not None)
            woken += 1
    return woken


def earlier_documents(row: StudyRow, deps: Deps) -> list[Mapping[str, Any]]:
    """Newest document of each earlier study of the patient, for the course of the patterns. A study whose birth date or
    sex contradicts this one's is somebody else's."""
    found = (
        deps.index.assessment(other.study_instance_uid)
        for other in _earlier_rows(row, deps)
        if other.decided_revision is not None and _is_before(other, row) and _nobody_else(other, row)
    )
    return [document for document in found if document is not None]


def previous_document(row: StudyRow, deps: Deps) -> Mapping[str, Any] | None:
    """Newest document of the patient's latest decided study before this one; None: there is none."""
    earlier = earlier_documents(row, deps)  # by date and time
    return earlier[-1] if earlier else None


def _nobody_else(other: StudyRow, row: StudyRow) -> bool:
    return identity_mismatch(study_of(other).patient, study_of(row).patient) is None


def _would_gain(followup: StudyRow, arrived: StudyRow, deps: Deps) -> bool:
    document = deps.index.assessment(followup.study_instance_uid)
    used = (document or {}).get("baseline") or {}
    used_date = used.get("study_date") if used.get("study_instance_uid") else None
    return used_date is None or (arrived.study_date is not None and date.fromisoformat(used_date) < arrived.study_date)


def _is_before(row: StudyRow, other: StudyRow) -> bool:
    if row.study_date is None or other.study_date is None or row.study_instance_uid == other.study_instance_uid:
        return False
    return (row.study_date, row.study_time) < (other.study_date, other.study_time)


def _earlier_rows(row: StudyRow, deps: Deps) -> list[StudyRow]:
    """The patient's other studies. A study without a patient id has none: an empty id is not an identity."""
    if not row.patient_id:
        return []
    others = deps.index.studies_of_patient(row.patient_id, row.issuer)
    return [other for other in others if other.study_instance_uid != row.study_instance_uid]


def _describe(row: StudyRow, deps: Deps) -> Study:
    return deps.reader.describe([deps.files.path(i) for i in deps.index.instances(row.study_instance_uid)])


def _known_refusal(row: StudyRow, study: Study, deps: Deps) -> str | None:
    if row.state is StudyState.RECEIVING and row.decided_revision is None:
        return "still_arriving: its images are still coming in"
    if not any(series.identification.kind is SequenceKind.FLAIR for series in study.series):
        return "no_flair: none of its series is a FLAIR"
    refusal = deps.shelf.refusal(row)
    return None if refusal is None else ": ".join(refusal)
