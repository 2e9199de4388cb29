"""A study in, what its order hints about an infusion out: asked by C-FIND of a modality worklist (PS3.4 Annex K)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

from triage.identity import same_form
from workers.audit.messages import RemoteNode
from workers.audit.spool import Auditor, NoAudit
from workers.feeds.order_hint import hint_in, sentence
from workers.log import brief, get_logger, study_hash
from workers.ports import StudyRow
from workers.remote.find import WILDCARDS, connected, encoded
from workers.sections import DicomTarget

if TYPE_CHECKING:
    from pydicom import Dataset

log = get_logger(__name__)

WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
MR = "MR"
TIMEOUT_S = 3.0  # a decision waits for it
PAUSE_S = 60.0  # after a worklist that did not answer
TEXTS = (
    "ReasonForTheRequestedProcedure",
    "RequestedProcedureDescription",
    "RequestedProcedureComments",
    "ReasonForTheImagingServiceRequest",
    "ImagingServiceRequestComments",
    "AdditionalPatientHistory",
)
PRIORITIES = ("STAT", "HIGH", "ROUTINE", "MEDIUM", "LOW")  # (0040,1003), PS3.3 section C.4.11; most urgent first
STEP_TEXTS = ("ScheduledProcedureStepDescription", "CommentsOnTheScheduledProcedureStep")


class OrderTexts:
    """One worklist. One that is away, or answers with a failure, costs one timeout in a minute and no decision."""

    def __init__(
        self,
        settings: DicomTarget,
        own_ae: str,
        *,
        auditor: Auditor | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._own_ae, self._now_s = settings, own_ae, now_s
        self._auditor = auditor or NoAudit()
        self._again_s = float("-inf")

    def __call__(self, row: StudyRow, infusion: date | None) -> str | None:
        """The sentence for the notices; None: the order says nothing that is not known."""
        if not (row.accession_number or row.patient_id):
            return None
        answers = self._answers(row)
        if answers is None:
            return None
        hint = hint_in(text for answer in answers if _is_of(answer, row) for text in texts_of(answer))
        log.info("worklist.asked", study=study_hash(row.study_instance_uid), orders=len(answers), hint=hint is not None)
        return None if hint is None or hint.agrees(row.study_date, infusion) else sentence(hint)

    def priority(self, row: StudyRow) -> str | None:
        """Requested Procedure Priority of the order, the most urgent of several; empty: none. None: the worklist is
        away."""
        answers = self._answers(row)
        if answers is None:
            return None
        said = {_text(one, "RequestedProcedurePriority").upper() for one in orders_of(answers, row)}
        return next((one for one in PRIORITIES if one in said), "")

    def _answers(self, row: StudyRow) -> list[Dataset] | None:
        """None: the worklist is away or did not answer to the end, or did so a moment ago."""
        if self._now_s() < self._again_s:
            return None
        try:
            answers = self._ask(row)
        except Exception as error:  # what an order says is never worth a decision
            log.warning("worklist.not_asked", study=study_hash(row.study_instance_uid), error=brief(error))
            answers = None
        if answers is None:
            self._again_s = self._now_s() + PAUSE_S
        return answers

    def _ask(self, row: StudyRow) -> list[Dataset] | None:
        """By accession number, else by patient; None: the worklist is away."""
        keys = query_of(row)
        if keys is None:
            return []
        with connected(self._settings, self._own_ae, model=WORKLIST_FIND, timeout_s=TIMEOUT_S) as find:
            if find is None:
                return None
            peer = RemoteNode(self._settings.ae_title, self._settings.host)
            self._auditor.queried(peer, WORKLIST_FIND, encoded(keys))
            return list(find(keys))


def query_of(row: StudyRow) -> Dataset | None:
    """The order of the study when its accession number is known, else the orders of the patient. None: a query by
    either would name the orders of others, since it has wildcards."""
    from pydicom import Dataset

    number, patient = ("" if WILDCARDS & set(one) else one for one in (row.accession_number, row.patient_id))
    if not (number or patient):
        return None
    keys, step = Dataset(), Dataset()
    keys.RequestedProcedurePriority = ""
    for name in TEXTS:
        setattr(keys, name, "")
    for name in (*STEP_TEXTS, "Modality"):
        setattr(step, name, "")
    keys.ScheduledProcedureStepSequence = [step]
    keys.StudyInstanceUID = ""
    keys.AccessionNumber = number
    keys.PatientID = "" if number else patient
    return keys


def _is_of(answer: Dataset, row: StudyRow) -> bool:
    """An accession number that two departments use must not bring the order of somebody else."""
    patient = _text(answer, "PatientID")
    return not patient or not row.patient_id or same_form(patient, row.patient_id)


def orders_of(answers: Iterable[Dataset], row: StudyRow) -> list[Dataset]:
    """The entries that are of the study itself: those with its Study Instance UID, else those of MR. An accession
    number that is of no MR entry is believed: it names the order."""
    mine = [one for one in answers if _is_of(one, row)]
    same = [one for one in mine if _text(one, "StudyInstanceUID") == row.study_instance_uid]
    of_mr = [one for one in mine if _may_be_mr(one)]
    return same or of_mr or (mine if row.accession_number else [])


def _may_be_mr(answer: Dataset) -> bool:
    said = {_text(step, "Modality") for step in answer.get("ScheduledProcedureStepSequence") or ()} - {""}
    return not said or MR in said


def _text(item: Dataset, name: str) -> str:
    return str(item.get(name, "") or "").strip()


def texts_of(answer: Dataset) -> Iterator[str]:
    """Every free text of one worklist entry."""
    yield from _values(answer, TEXTS)
    for step in answer.get("ScheduledProcedureStepSequence") or ():
        yield from _values(step, STEP_TEXTS)


def _values(item: Dataset, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        value: Any = item.get(name)
        if value:
            yield str(value)
