"""An assessment in, the same one beside what was decided before out: its first line says what changed and what fell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from triage.decision import certainty, fall, keep_priority, say_first
from triage.model import Category
from triage.report.contents import Assessment
from triage.report.headline import ASSESSED_AGAIN
from workers.studies.baselines import previous_document
from workers.studies.inputs import Inputs, changed
from workers.studies.reconsider import stored_inputs

if TYPE_CHECKING:
    from workers.ports import Claim
    from workers.studies.deps import Deps

Version = Mapping[str, Any]  # as StudyIndex.assessments gives it


def over_time(assessment: Assessment, claim: Claim, inputs: Inputs, deps: Deps) -> Assessment:
    """The same assessment; a category that falls and inputs that changed are its first line, and the priority is the
    highest that any stored version of the study had.

    A version falls against the most certain of the earlier ones, and against the latest earlier study of the patient
    that could be assessed: in between nothing may have been seen.
    """
    decision = assessment.decision
    stored = deps.index.assessments(claim.study_instance_uid)
    said = [
        *_fall_of_versions(decision.category, stored, claim.revision),
        *_fall_of_studies(decision.category, claim, deps),
        *_what_changed(stored, claim.revision, inputs),
    ]
    decision = say_first(decision, said)
    decision = keep_priority(decision, [version["document"]["decision"]["priority"] for version in stored])
    return replace(assessment, decision=decision)


def _what_changed(stored: Sequence[Version], revision: int, inputs: Inputs) -> list[str]:
    """Against the newest version of an earlier revision: of this revision there may be a first look, or a version that
    another attempt stored."""
    earlier = [version for version in stored if version["revision"] < revision]
    why = changed(stored_inputs(earlier[-1]["document"]), inputs) if earlier else ()
    return [f"{ASSESSED_AGAIN}: {'; '.join(why)}"] if why else []


def _fall_of_versions(now: Category, stored: Sequence[Version], revision: int) -> list[str]:
    if not stored:
        return []
    newest_first = [(Category(one["document"]["decision"]["category"]), one) for one in reversed(stored)]
    before, version = max(newest_first, key=lambda pair: certainty(pair[0]))
    if version["revision"] == revision:
        when = f"in the {version['stage'].replace('_', ' ')} of this version"
    elif version is stored[-1]:
        when = "in the version of this study before"
    else:
        when = "in an earlier version of this study"
    said = fall(now, before, when)
    return [] if said is None else [said]


def _fall_of_studies(now: Category, claim: Claim, deps: Deps) -> list[str]:
    row = deps.index.study(claim.study_instance_uid)
    previous = None if row is None else previous_document(row, deps)
    if previous is None:
        return []
    said = fall(now, Category(previous["decision"]["category"]), f"in the study of {previous['study']['study_date']}")
    return [] if said is None else [said]
