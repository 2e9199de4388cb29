"""A decided study in, prepared as a baseline before its follow-up comes."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from triage.errors import NotAssessable
from workers.log import bind, get_logger, study_hash
from workers.studies.baselines import worth_preparing

if TYPE_CHECKING:
    from triage.model import StudyImages
    from workers.ports import StudyRow
    from workers.studies.deps import Deps

log = get_logger(__name__)


def prepare_afterwards(row: StudyRow, images: StudyImages, infusion_date: date | None, deps: Deps) -> None:
    """What may be done once the decision stands, and lost without harm. infusion_date: of the infusion that the study
    belongs to."""
    try:
        if not deps.baselines.can_serve(images, infusion_date):
            return
        if deps.settings.baseline.prepare_ahead and deps.prepare_later is not None:
            deps.prepare_later(row.study_instance_uid)
        elif deps.settings.baseline.prepare_ahead:
            deps.baselines.prepared(row)
    except NotAssessable as refusal:
        log.info("baseline.refused", code=refusal.code)
    except Exception:
        log.exception("baseline.preparation_failed")


def prepare_ahead(study_instance_uid: str, deps: Deps) -> None:
    """Prepare a decided study as a baseline, unless that is done. Without a lease: it changes no decision, and twice
    does no harm."""
    with bind(study=study_hash(study_instance_uid)):
        try:
            row = deps.index.study(study_instance_uid)
            if row is None:
                return
            if deps.descriptions is not None:
                deps.descriptions.of(row)  # a follow-up looks at it, whether it is compared with it or not
            if worth_preparing(row, deps):
                deps.baselines.prepared(row)
        except NotAssessable as refusal:
            log.info("baseline.refused", code=refusal.code)
        except Exception:
            log.exception("baseline.preparation_failed")
