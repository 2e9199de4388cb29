"""A study that could not be measured in, a stored and visible ``not_assessable`` out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from triage.infusions import infusion_of
from triage.model import Stage
from workers.delivery_ports import Decided
from workers.log import get_logger
from workers.ports import Claim, StudyRow
from workers.studies import refusals
from workers.studies.deps import Deps, with_outside_facts
from workers.studies.identity import study_of
from workers.studies.images import images_of_revision
from workers.studies.inputs import Inputs
from workers.studies.over_time import over_time
from workers.studies.person import infusions_of_person
from workers.studies.sources import files_of_sources

if TYPE_CHECKING:
    from triage.assessment import Assessed

log = get_logger(__name__)


def undecided_outcome(row: StudyRow, deps: Deps, code: str, message: str) -> Assessed:
    """See refusals.outcome; the study as the index knows it."""
    infusion = infusion_of(row.study_date, infusions_of_person(row, deps.index)[0])
    infusion_date = None if infusion is None else infusion.day
    return refusals.outcome(
        study_of(row), code=code, message=message, infusion_date=infusion_date, versions=deps.engine.versions
    )


def store_undecided(claim: Claim, row: StudyRow, deps: Deps, *, code: str, message: str, inputs: Inputs) -> None:
    """Store that this revision could not be measured. Nothing is stored when it has a first look: that was
    measured, and nothing later contradicts it."""
    from triage.report.document import to_document

    if any(version["revision"] == claim.revision for version in deps.index.assessments(row.study_instance_uid)):
        return
    now = deps.clock.now()
    outcome = undecided_outcome(row, deps, code, message)
    assessment = over_time(outcome.assessment, claim, inputs, deps)
    document = to_document(assessment) | {"inputs": inputs} | images_of_revision(claim, deps.index)
    document = with_outside_facts(document, deps, row.study_instance_uid)
    document["decided_at"] = now.isoformat(timespec="seconds")
    if deps.index.save_assessment(claim, stage=Stage.FULL.value, document=document, now=now):
        write_files(claim, dataclasses.replace(outcome, assessment=assessment), document, deps)


def write_files(claim: Claim, outcome: Assessed, document: Mapping[str, Any], deps: Deps) -> None:
    """The files of a stored decision. One that cannot be written is logged; the decision stands."""
    try:
        decided = Decided(claim.study_instance_uid, claim.revision, outcome.assessment.stage.value)
        beside = files_of_sources(decided, document, deps)
        deps.results.write(claim.study_instance_uid, claim.revision, outcome, document, beside=beside)
    except Exception:
        log.exception("results.not_written", stage=outcome.assessment.stage.value)
