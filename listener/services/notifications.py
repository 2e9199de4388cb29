"""Modality Performed Procedure Step (PS3.4 Annex F) and Instance Availability Notification (PS3.4 Annex R) as SCP:
N-CREATE and N-SET in, announcements in the index out.

They say when a study is complete and how many images it has. A message that cannot be stored now is refused, so that
its sender repeats it. A lost message costs the quiet period, never a study.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from listener.services.service import Service
from triage.errors import Transient
from workers.announcements import Announcement, Source, Step, from_counts
from workers.dicom_status import (
    DUPLICATE_INSTANCE,
    INVALID_VALUE,
    MISSING_ATTRIBUTE,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    SUCCESS,
)
from workers.files.uid_paths import valid_uid
from workers.log import brief, get_logger, study_hash

if TYPE_CHECKING:
    from pydicom import Dataset

log = get_logger(__name__)

MPPS = "1.2.840.10008.3.1.2.3.3"
AVAILABILITY = "1.2.840.10008.5.1.4.33"


STEPS = {"IN PROGRESS": Step.IN_PROGRESS, "COMPLETED": Step.COMPLETED, "DISCONTINUED": Step.DISCONTINUED}
NOT_IMAGES = ("1.2.840.10008.5.1.4.1.1.11.", "1.2.840.10008.5.1.4.1.1.66", "1.2.840.10008.5.1.4.1.1.88.")
"""Beginnings of SOP classes that are no images: presentation states, registrations and raw data, reports."""

Answer = tuple[int, "Dataset | None"]
Facts = TypeVar("Facts")


class Notices(Protocol):
    """What is needed of the index."""

    def put_announcement(self, announcement: Announcement, *, now: datetime) -> None: ...

    def announcement(self, source: Source, uid: str) -> Announcement | None: ...


def services(index: Notices, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> list[Service]:
    """Both services, writing into ``index``."""
    from pynetdicom import evt

    def create_step(event: Any) -> Answer:
        uid = _new_uid(event)
        status = _stored(index, now, event, lambda: step_in(event.attribute_list), partial(_created, index, uid))
        return status, _identified(event, uid)

    def set_step(event: Any) -> Answer:
        uid = str(event.request.RequestedSOPInstanceUID or "")
        return _stored(index, now, event, lambda: step_in(event.modification_list), partial(_changed, index, uid)), None

    def create_notice(event: Any) -> Answer:
        uid = _new_uid(event)
        status = _stored(index, now, event, lambda: availability(uid, event.attribute_list), lambda found: found)
        return status, _identified(event, uid)

    return [
        Service((MPPS,), ((evt.EVT_N_CREATE, create_step), (evt.EVT_N_SET, set_step))),
        Service((AVAILABILITY,), ((evt.EVT_N_CREATE, create_notice),)),
    ]


def _stored(
    index: Notices,
    now: Callable[[], datetime],
    event: Any,
    read: Callable[[], Facts],
    decide: Callable[[Facts], Announcement | int],
) -> int:
    """Store what is decided about the facts in a message; the status to answer with."""
    calling_ae = str(event.assoc.requestor.ae_title).strip()
    try:
        facts = read()
    except Exception as error:  # noqa: BLE001, RUF100 - the library decodes as it goes: anything can come out of damaged bytes
        log.warning("announcement.refused", reason="unreadable_data_set", error=brief(error), calling_ae=calling_ae)
        return PROCESSING_FAILURE
    try:
        found = decide(facts)
        if isinstance(found, int):
            log.warning("announcement.refused", status=f"0x{found:04X}", calling_ae=calling_ae)
            return found
        index.put_announcement(found, now=now())
    except Transient as error:
        log.warning("announcement.not_stored", error=str(error), calling_ae=calling_ae)
        return PROCESSING_FAILURE
    except Exception as error:  # ours: answer this request and keep the association
        log.error("announcement.failed", error=type(error).__name__, exc_info=error, calling_ae=calling_ae)
        return PROCESSING_FAILURE
    log.info(
        "study.announced",
        study=study_hash(found.study_instance_uid),
        source=found.source.value,
        step=found.step.value,
        images=sum(found.images.values()),
        calling_ae=calling_ae,
    )
    return SUCCESS


@dataclass(frozen=True)
class StepFacts:
    """What is used of a performed procedure step. None: the message does not say. Everything else in it may be
    damaged."""

    status: str | None
    study_instance_uid: str
    images: list[tuple[str, int]] | None


def step_in(attributes: Dataset) -> StepFacts:
    """The facts of an N-CREATE or N-SET of a step.

    Raises:
        Exception: of any kind, one of them cannot be decoded.
    """
    written = attributes.get("PerformedProcedureStepStatus")
    return StepFacts(
        None if written is None else str(written).strip(),
        next(_values(attributes, "ScheduledStepAttributesSequence", "StudyInstanceUID"), ""),
        _performed(attributes) if "PerformedSeriesSequence" in attributes else None,
    )


def _created(index: Notices, uid: str, facts: StepFacts) -> Announcement | int:
    if not valid_uid(uid):
        return INVALID_VALUE
    if index.announcement(Source.MPPS, uid) is not None:
        return DUPLICATE_INSTANCE
    step = STEPS.get("IN PROGRESS" if facts.status is None else facts.status)
    if step is not Step.IN_PROGRESS:
        return INVALID_VALUE  # PS3.4 table F.7.2-1: a step begins IN PROGRESS
    if not valid_uid(facts.study_instance_uid):
        return MISSING_ATTRIBUTE
    return from_counts(Source.MPPS, uid, facts.study_instance_uid, step, facts.images or [])


def _changed(index: Notices, uid: str, facts: StepFacts) -> Announcement | int:
    before = index.announcement(Source.MPPS, uid)
    if before is None:
        return NO_SUCH_INSTANCE
    if before.step is not Step.IN_PROGRESS:
        return PROCESSING_FAILURE  # PS3.4 section F.7.2.2.2: may no longer be updated
    step = before.step if facts.status is None else STEPS.get(facts.status)
    if step is None:
        return INVALID_VALUE
    images = list(before.images.items()) if facts.images is None else facts.images
    return from_counts(Source.MPPS, uid, before.study_instance_uid, step, images)


def _performed(attributes: Dataset) -> list[tuple[str, int]]:
    """Series and their numbers of images; what is no image stands in another sequence of the step."""
    return [
        (str(series.get("SeriesInstanceUID", "")), len(series.get("ReferencedImageSequence") or ()))
        for series in attributes.get("PerformedSeriesSequence") or ()
        if valid_uid(str(series.get("SeriesInstanceUID", "")))
    ]


def availability(uid: str, attributes: Dataset) -> Announcement | int:
    """The announcement in an availability notice; the status to refuse it with when it has none."""
    study = str(attributes.get("StudyInstanceUID", ""))
    if not valid_uid(uid) or not valid_uid(study):
        return MISSING_ATTRIBUTE
    series = [
        (
            str(one.get("SeriesInstanceUID", "")),
            sum(
                not uid_of_class.startswith(NOT_IMAGES)
                for uid_of_class in _values(one, "ReferencedSOPSequence", "ReferencedSOPClassUID")
            ),
        )
        for one in attributes.get("ReferencedSeriesSequence") or ()
    ]
    return from_counts(
        Source.AVAILABILITY, uid, study, Step.COMPLETED, [(name, count) for name, count in series if valid_uid(name)]
    )


def _values(attributes: Dataset, sequence: str, keyword: str) -> Iterator[str]:
    return (str(item.get(keyword, "")) for item in attributes.get(sequence) or ())


def _new_uid(event: Any) -> str:
    """The requester's SOP Instance UID, or one of ours when it leaves that to us (PS3.7 section 10.1.5.1.4)."""
    from pydicom.uid import generate_uid

    return str(event.request.AffectedSOPInstanceUID or generate_uid(prefix=None))


def _identified(event: Any, uid: str) -> Dataset | None:
    """The attribute list of the response: only who it is, when the requester does not know."""
    from pydicom import Dataset

    if event.request.AffectedSOPInstanceUID:
        return None
    answer = Dataset()
    answer.AffectedSOPInstanceUID = uid
    return answer
