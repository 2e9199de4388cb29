"""Earlier studies of a patient in, the chosen and prepared baseline out; keeps prepared baselines in the
state folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from triage.baseline import Candidate
from triage.errors import NotAssessable, Transient
from triage.infusions import Infusion, infusion_of
from triage.model import BaselineChoice, Category, Presence, RejectedBaseline, SequenceKind, Study
from triage.unjudged import left_open
from workers.ports import ACUTE_CATEGORIES, StudyRow, StudyState
from workers.studies import quarantine
from workers.studies.identity import in_force, study_of
from workers.studies.inputs import is_before, was_judged
from workers.studies.merging import said_of_unused
from workers.studies.person import (
    infusions_of_person,
    said_of_spellings,
    studies_of_person,
    why_not_of_person,
)
from workers.studies.whole_files import read_whole

if TYPE_CHECKING:
    from triage.draft import Context
    from triage.preparation import PreparedBaseline
    from workers.studies.deps import Deps

AWAY = "store_fault: its files cannot be read now"


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a study is compared with. choice None: no earlier study of the patient is stored."""

    choice: BaselineChoice | None
    prepared: PreparedBaseline | None
    infusions: tuple[Infusion, ...]
    infusion_date: date | None
    """Of the infusion that the study belongs to; None when none is known."""
    notices: tuple[str, ...] = ()
    """About infusions that are not used, and identities that are written in more than one way."""
    away: tuple[str, ...] = ()
    """Study UIDs of candidates that could not be read."""


def compare_with(study: Study, row: StudyRow, deps: Deps, *, waits: bool = True) -> Comparison:
    """Choose the baseline; one that turns out not to be assessable becomes a rejected candidate, and the choice is
    made again.

    Args:
        waits: whether a fault of the store ends the attempt. Otherwise a study that cannot be read now is a rejected
            candidate: the follow-up must not wait for it for ever.

    Raises:
        Transient: a candidate cannot be read now, and the caller waits.
    """
    infusions, notices = infusions_of_person(row, deps.index)
    infusion = infusion_of(study.study_date, infusions)
    infusion_date = None if infusion is None else infusion.day
    # of a study whose images were deleted there is nothing to compare with
    gone = (StudyState.REMOVING, StudyState.REMOVED)
    rows = {r.study_instance_uid: r for r in _others(row, deps) if r.state not in gone}
    of_person = studies_of_person(row, deps.index)
    person = {r.study_instance_uid for r in of_person}
    why_not = why_not_of_person(row, [row, *rows.values()], deps.index.same_id)
    notices = (*notices, *said_of_spellings(row, of_person, deps.index.same_id), *said_of_unused(row, deps.index))
    studies, refused, away = _described(rows, deps, waits=waits)
    rows = {uid: r for uid, r in rows.items() if uid in studies}
    decided = {uid: deps.index.assessment(uid) for uid in rows}
    reasons = {
        uid: refused.get(uid) or _known_refusal(r, studies[uid], deps) if uid in person else why_not
        for uid, r in rows.items()
    }
    while True:
        candidates = [_candidate(studies[uid], reasons[uid], decided[uid]) for uid in rows]
        choice = deps.engine.choose_baseline(study, candidates, infusions)
        compared = choice.study_instance_uid or (choice.since[0] if choice.since is not None else None)
        if compared is None:
            return Comparison(_with_away(choice, away), None, infusions, infusion_date, notices, tuple(away))
        try:
            prepared = deps.baselines.prepared(rows[compared])
        except NotAssessable as refusal:
            if reasons[compared] is not None:
                raise  # chosen although refused: going round again would not end
            reasons[compared] = f"{refusal.code}: {refusal.message}"
            continue
        except (Transient, OSError):
            if waits:
                raise
            away.append(compared)
            del rows[compared]
            continue
        return Comparison(_with_away(choice, away), prepared, infusions, infusion_date, notices, tuple(away))


def _candidate(study: Study, reason: str | None, document: Mapping[str, Any] | None) -> Candidate:
    return Candidate(
        study,
        reason is None,
        reason,
        acute_patterns(document),
        judged=was_judged(document),
        left_open=left_open(document),
    )


def _described(
    rows: Mapping[str, StudyRow], deps: Deps, *, waits: bool
) -> tuple[dict[str, Study], dict[str, str], list[str]]:
    """The candidates as their files describe them, why some are none, and those that cannot be read now. What is wrong
    with a candidate says nothing about the study that is decided."""
    studies: dict[str, Study] = {}
    refused: dict[str, str] = {}
    away: list[str] = []
    for uid, row in rows.items():
        try:
            studies[uid] = in_force(_describe(row, deps), row)
        except NotAssessable as refusal:
            studies[uid], refused[uid] = study_of(row), f"{refusal.code}: {refusal.message}"
        except (Transient, OSError):
            if waits:
                raise
            away.append(uid)
    return studies, refused, away


def _with_away(choice: BaselineChoice, away: Sequence[str]) -> BaselineChoice:
    """The choice, naming the candidates that nobody could look at."""
    said = tuple(RejectedBaseline(uid, AWAY) for uid in away)
    return replace(choice, rejected=(*choice.rejected, *said)) if said else choice


def _others(row: StudyRow, deps: Deps) -> list[StudyRow]:
    """Every other study with that patient ID; who is somebody else is rejected with its reason."""
    others = deps.index.studies_with_id(row.patient_id) if row.patient_id else []
    return [other for other in others if other.study_instance_uid != row.study_instance_uid]


def acute_patterns(document: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The patterns that a decision found; none when it found nothing, or there is no decision."""
    if document is None or document["decision"]["category"] not in ACUTE_CATEGORIES:
        return ()
    return tuple(f["pattern"] for f in document["findings"] if f["presence"] == Presence.PRESENT)


def worth_preparing(row: StudyRow, deps: Deps) -> bool:
    """Whether a follow-up may soon be compared with a decided study: nothing acute was found in it, or an infusion of
    the patient is known. Any other becomes a baseline only by a fact that nobody knows yet, and is prepared then."""
    if row.state is not StudyState.ASSESSED:
        return False
    document = deps.index.assessment(row.study_instance_uid)
    return not acute_patterns(document) or bool(infusions_of_person(row, deps.index)[0])


def context_of(comparison: Comparison, row: StudyRow, deps: Deps) -> Context:
    """What the measurement core is told about the study beside its images."""
    from triage.draft import Context

    return Context(
        infusion_date=comparison.infusion_date,
        infusions=comparison.infusions,
        baseline_choice=comparison.choice,
        versions=deps.engine.versions,
        earlier=earlier_documents(row, deps),
        notices=comparison.notices,
    )


def earlier_documents(row: StudyRow, deps: Deps) -> list[Mapping[str, Any]]:
    """Newest document of each earlier study of the patient, for the course of the patterns. A study whose birth date or
    sex contradicts this one's is somebody else's."""
    found = (
        deps.index.assessment(other.study_instance_uid)
        for other in studies_of_person(row, deps.index)
        if other.decided_revision is not None and is_before(other, row)
    )
    return [document for document in found if document is not None]


def previous_document(row: StudyRow, deps: Deps) -> Mapping[str, Any] | None:
    """Newest document of the patient's latest study before this one that could be assessed; None: there is none."""
    earlier = earlier_documents(row, deps)  # by date and time
    seen = [document for document in earlier if document["decision"]["category"] != Category.NOT_ASSESSABLE]
    return seen[-1] if seen else None


def _describe(row: StudyRow, deps: Deps) -> Study:
    if deps.descriptions is not None:
        return deps.descriptions.of(row)
    return read_whole(row.study_instance_uid, deps.index, deps.files, deps.reader.describe)


def _known_refusal(row: StudyRow, study: Study, deps: Deps) -> str | None:
    if row.state is StudyState.RECEIVING and row.decided_revision is None:
        return "still_arriving: its images are still coming in"
    if row.state is StudyState.FAILED and (row.failure or "").startswith(quarantine.CODE):
        return f"{quarantine.CODE}: its images took more time or memory than an assessment may take"
    if not any(series.identification.kind is SequenceKind.FLAIR for series in study.series):
        return "no_flair: none of its series is a FLAIR"
    refusal = deps.baselines.refusal(row)
    return None if refusal is None else ": ".join(refusal)
