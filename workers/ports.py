"""What the use cases need from the outside, as Protocols. One fake per port stands in tests/fakes.py.

The index row is the task; the queue only wakes a worker. A study's ``revision`` grows by one when a new instance
arrives after the study was marked ready. An assessment is keyed by (study_instance_uid, revision, stage).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from triage.identity import SameId
from triage.infusions import Infusion, StatedInfusion
from workers.announcements import Announcement, Source, StudyCount
from workers.identities import GivenAnswer
from workers.identities import PatientKey as PatientKey  # noqa: PLC0414 - named from here everywhere
from workers.identity_events import IdentityEvent
from workers.rejection_notes import RejectionNote

if TYPE_CHECKING:  # the receiving processes import this file: nothing heavy at run time
    from triage.assessment import Assessed
    from triage.baseline import Candidate
    from triage.draft import Context
    from triage.model import BaselineChoice, SequenceKind, Study, StudyImages
    from triage.preparation import PreparedBaseline


# Categories of decisions that found something, by their names: the receiving processes import this file, and
# triage.model loads numpy.
ACUTE_CATEGORIES = ("possible", "neurotoxicity_suspected")


class StudyState(StrEnum):
    """RECEIVING until complete; READY waits for a worker; ASSESSED has its full assessment; FAILED needs a human, since
    its attempts are used up; REMOVING while its images are deleted; REMOVED: only the decisions are left."""

    RECEIVING = "receiving"
    READY = "ready"
    ASSESSED = "assessed"
    FAILED = "failed"
    REMOVING = "removing"
    REMOVED = "removed"


@dataclass(frozen=True)
class InstanceRow:
    """One stored SOP instance, as the index knows it. path is relative to the store folder; received_at is UTC."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    series_instance_uid: str
    study_instance_uid: str
    path: str
    size_bytes: int
    received_at: datetime
    calling_ae: str = ""
    patient_id: str = ""
    issuer: str = ""
    birth_date: date | None = None
    sex: str = ""
    study_date: date | None = None
    study_time: str = ""
    accession_number: str = ""
    modality: str = ""
    series_description: str = ""
    series_number: int | None = None
    images_in_acquisition: int | None = None
    frame_count: int = 1
    patient_name: str = ""


@dataclass(frozen=True)
class StudyRow:
    """One study of the index. Times are UTC. lease_until None: nobody works on it."""

    study_instance_uid: str
    patient_id: str
    issuer: str
    birth_date: date | None
    sex: str
    study_date: date | None
    study_time: str
    accession_number: str
    state: StudyState
    revision: int
    instance_count: int
    series_count: int
    first_received_at: datetime
    last_received_at: datetime
    ready_at: datetime | None
    due_at: datetime | None  # READY: not before this time (retry delay)
    attempts: int
    lease_owner: str | None
    lease_until: datetime | None
    failure: str | None
    decided_revision: int | None  # newest revision that has a stored decision
    category: str | None
    priority: str | None
    reasons: tuple[str, ...] = ()  # of the decision, as its document says them
    stated_patient_id: str | None = None  # as the images say, when that is not the identity above; otherwise None
    stated_issuer: str | None = None
    stated_birth_date: date | None = None
    stated_sex: str | None = None
    patient_name: str = ""  # of the images that carry the study's identity
    before_treatment: bool = False  # the decision says so (triage.report.headline)


@dataclass(frozen=True)
class ConflictRow:
    """Content that came under a SOP Instance UID which is stored with other content. path: file name in the conflicts
    folder. same_images: only identity and description differ, the image and its place do not. fills_blank: the stored
    image is blank or was cut short before it came, and this one is not."""

    path: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    received_at: datetime
    calling_ae: str
    patient_id: str = ""
    issuer: str = ""
    birth_date: date | None = None
    sex: str = ""
    same_images: bool = False
    fills_blank: bool = False


@dataclass(frozen=True)
class Claim:
    """A lease on one revision of one study, held by ``owner`` until ``until`` (UTC)."""

    study_instance_uid: str
    revision: int
    owner: str
    until: datetime
    attempt: int


class StudyIndex(Protocol):
    """The index of what is stored and decided. Each method is one transaction and may raise errors.Transient."""

    def record_instances(self, rows: Sequence[InstanceRow]) -> None:
        """Insert, idempotent on sop_instance_uid. A new instance of a settled study that a decision may rest on raises
        its revision and reopens it; so does the row of a file that was replaced, which is renewed."""

    def receiving(self) -> list[StudyRow]:
        """Studies in RECEIVING state: first those of patients with an infusion on or before the day of the study, as
        the patient ID is spelled, then by their first image."""

    def mark_ready(self, study_instance_uid: str, *, now: datetime, reason: str) -> bool:
        """RECEIVING -> READY. False: it was not RECEIVING."""

    def due(self, *, now: datetime, lease_s: float = math.inf) -> list[StudyRow]:
        """READY, due_at passed, no live lease; in the order of ``receiving``, but by ready_at. A due_at that was
        written in the future, and a lease for more than twice lease_s, are over: the clock was set back."""

    def claim(self, study_instance_uid: str, *, owner: str, now: datetime, lease_s: float) -> Claim | None:
        """Compare-and-set: a due study without a live lease is leased to owner, attempts + 1. None: somebody else
        has it, or there is nothing to do."""

    def renew(self, claim: Claim, *, now: datetime, lease_s: float) -> Claim | None:
        """Prolong; None when the lease was lost (then stop working on it)."""

    def save_assessment(self, claim: Claim, *, stage: str, document: Mapping[str, Any], now: datetime) -> bool:
        """Store the document for (study, revision, stage). False, and nothing stored: the lease was lost, or another
        document of this key may have gone out.
        The caller keeps the priority from falling between versions; the index only stores. Older versions stay, marked
        superseded."""

    def complete(self, claim: Claim, *, now: datetime) -> bool:
        """Drop the lease; READY -> ASSESSED if the revision is still the claimed one."""

    def fail(self, claim: Claim, *, reason: str, retry_at: datetime | None, now: datetime) -> None:
        """Drop the lease; retry_at None: FAILED, needs a human."""

    def requeue(self, study_instance_uid: str, *, now: datetime) -> bool:
        """`icansee replay`: READY again with attempts 0 and a new revision. False: the study is unknown, or its images
        are gone."""

    def begin_removal(self, study_instance_uid: str, *, revision: int) -> bool:
        """ASSESSED -> REMOVING, if the revision is still this one and nobody holds a lease. False: it is not."""

    def finish_removal(self, study_instance_uid: str, sop_instance_uids: Sequence[str], *, now: datetime) -> None:
        """Forget these instances, whose files are gone; REMOVING -> REMOVED unless new ones came meanwhile. The patient
        is marked."""

    def study(self, study_instance_uid: str) -> StudyRow | None: ...

    def studies(self, *, limit: int = 500) -> list[StudyRow]:
        """Newest first by last_received_at."""

    def most_urgent(self, *, limit: int = 500) -> list[StudyRow]:
        """Every study of the highest priority, then at most ``limit`` others by priority, newest first."""

    def number_of_studies(self) -> int: ...

    def instances(self, study_instance_uid: str) -> list[InstanceRow]: ...

    def key_objects(self, study_instance_uids: Sequence[str]) -> list[InstanceRow]:
        """The Key Object Selections of these studies, by their arrival."""

    def assessment(self, study_instance_uid: str) -> dict[str, Any] | None:
        """The newest document that is not superseded."""

    def assessments(self, study_instance_uid: str) -> list[dict[str, Any]]:
        """All versions, oldest first: {"revision", "stage", "created_at", "superseded", "document"}."""

    def tried_often(self, attempts: int) -> int:
        """How many READY studies have at least that many attempts behind them."""

    def tallies(self) -> dict[tuple[str, str, str], int]:
        """(state, category, priority) -> number of studies; the latter two are empty without a decision."""

    def not_looked_at(self) -> int:
        """How many studies were not looked at: their patients are not on the roster."""

    def put_announcement(self, announcement: Announcement, *, now: datetime) -> None:
        """Store what somebody said about a study, in place of what the same message said before."""

    def announcement(self, source: Source, uid: str) -> Announcement | None: ...

    def study_counts(self, study_instance_uids: Sequence[str]) -> dict[str, StudyCount]:
        """Study UID -> how many of the announced images came; only studies about which something was said."""

    def record_conflicts(self, rows: Sequence[ConflictRow]) -> None:
        """Insert, idempotent on path."""

    def blank_filled(self, study_instance_uid: str) -> dict[str, ConflictRow]:
        """Stored images of the study that are blank, by SOP Instance UID, each with the latest content of the same
        series that came under this UID and is not."""

    def conflicts(self) -> list[ConflictRow]:
        """All of them, oldest first."""

    def object_answers(self, study_instance_uid: str) -> dict[str, GivenAnswer]:
        """SOP Instance UID -> what a human or a rejection note said about it."""

    def answer_objects(
        self, study_instance_uid: str, answers: Mapping[str, GivenAnswer], *, now: datetime, again: bool = True
    ) -> None:
        """Store the last words, by SOP Instance UID. Objects with an answer have no vote about the study's patient any
        more. again: a study that is decided goes back into the queue, as a new revision."""

    def put_visit(self, study_instance_uid: str, day: date, at: str, *, now: datetime) -> None:
        """The day and time of the visit that is assessed, until the objects say something else; marks the patient."""

    def studies_in_question(self) -> list[str]:
        """Study UIDs whose objects spell several patient IDs or birth dates, or with answers."""

    @property
    def same_id(self) -> SameId:
        """When two spellings of a patient ID are one at this site."""

    def infusions_of(self, patient: PatientKey) -> tuple[Infusion, ...]:
        """By day. Of exactly this patient ID and issuer, and of those that are merged with them."""

    def infusions_like(self, patient_id: str) -> dict[PatientKey, tuple[StatedInfusion, ...]]:
        """What was said under every ID in force that has the form of this one (``triage.identity.id_form``), whoever it
        belongs to; also what was withdrawn since."""

    def add_infusion(self, patient: PatientKey, infusion: Infusion, *, now: datetime) -> None:
        """Store it, in place of what was said under this ID about that day, as the last word; the patient is marked."""

    def remove_infusion(self, patient: PatientKey, day: date, *, now: datetime) -> bool:
        """Withdraw it, also where it was said under another spelling or before a merge to come, and mark the patient.
        False: no such infusion was known so far."""

    def infusions(self) -> dict[PatientKey, tuple[Infusion, ...]]:
        """All of them, by the patient ID in force and by day."""

    def record_identity(self, event: IdentityEvent) -> bool:
        """Store who is who, put it in force for every study, and mark the patients. False: it was known.

        Raises:
            IdentityRefusedError: it contradicts what is in force.
        """

    def one_look(self) -> AbstractContextManager[None]:
        """Reads of this thread inside it share one connection. Nothing is written inside."""

    def identity_events(self, patient_id: str) -> list[IdentityEvent]:
        """Oldest first; those about the ID and about every ID that is connected with it."""

    def studies_with_id(self, patient_id: str) -> list[StudyRow]:
        """Whose patient ID in force has the form of this one (``triage.identity.id_form``), of any issuer, by date and
        time. Whether they are one person's is another question (``workers.studies.person``)."""

    def marked_patients(self) -> dict[str, datetime]:
        """Patient IDs of which something changed that a decision rests on, and when; the earliest mark first.
        save_assessment marks, too."""

    def mark_patient(self, patient_id: str, *, now: datetime) -> None: ...

    def forget_mark(self, patient_id: str, marked_at: datetime) -> None:
        """Remove the mark, unless it was set again meanwhile."""


class InstanceFiles(Protocol):
    """The durable files; the record of truth. Paths returned are absolute."""

    def path(self, row: InstanceRow) -> Path: ...

    def conflict_path(self, row: ConflictRow) -> Path | None:
        """None: it is not there any more."""

    def size_now(self, row: InstanceRow) -> int:
        """Bytes of the stored file. Raises OSError when it cannot be looked at."""

    def all_files(self) -> Iterable[Path]: ...


class Bell(Protocol):
    """Tells a worker to look at a study now. A ring that is lost costs seconds, never a study."""

    def ring(self, study_instance_uid: str, *, urgent: bool = False, waited: bool = False, small: bool = False) -> None:
        """waited: it is no urgent one, and has waited so long that it goes before them."""


class Clock(Protocol):
    def now(self) -> datetime:
        """Current time, UTC, timezone-aware. It may leap, and be set back."""

    def elapsed_s(self) -> float:
        """Seconds that only go forward, for durations; since when they count means nothing."""


class Reader(Protocol):
    """DICOM files into images; raises NotAssessable when there are none, Transient when a file cannot be read.

    vouched: those of the files that a human restored: they belong to the study, whatever their headers state.
    """

    def read(
        self,
        paths: Sequence[Path],
        *,
        kinds: frozenset[SequenceKind] | None = None,
        vouched: frozenset[Path] = frozenset(),
    ) -> StudyImages:
        """Volumes of ``kinds`` only (None: all); the Study lists every series."""

    def describe(self, paths: Sequence[Path], *, vouched: frozenset[Path] = frozenset()) -> Study:
        """Headers only: the study with its series recognised."""

    def note_reader(self) -> Callable[[Path], RejectionNote | None]: ...  # of one patient's notes, within one budget


class Engine(Protocol):
    """The measurement core with its atlas and settings bound."""

    @property
    def versions(self) -> Mapping[str, str]: ...

    @property
    def preparation_key(self) -> str:
        """Changes with everything that ``prepare_baseline`` reads beside the images; a part of a folder name."""

    def warm_up(self) -> None:
        """Load now what the first study would otherwise wait for."""

    def choose_baseline(
        self, study: Study, candidates: Sequence[Candidate], infusions: Sequence[Infusion]
    ) -> BaselineChoice: ...

    def prepare_baseline(self, images: StudyImages) -> PreparedBaseline: ...

    def first_look(self, images: StudyImages, prepared: PreparedBaseline | None, context: Context) -> Assessed: ...

    def full(self, images: StudyImages, prepared: PreparedBaseline | None, context: Context) -> Assessed: ...


class ResultFiles(Protocol):
    def write(
        self,
        study_instance_uid: str,
        revision: int,
        outcome: Assessed,
        document: Mapping[str, Any] | None = None,
        *,
        beside: Mapping[str, bytes] | None = None,
    ) -> None:
        """Document, as the index has it, and evidence of one stored decision. beside: file name -> content, stored in
        the same folder."""


class PreparedStorage(Protocol):
    """How a prepared baseline lies in a folder."""

    def save(self, folder: Path, prepared: PreparedBaseline, beside: Mapping[str, str]) -> None:
        """Whole or not at all, with further files. beside: their names and texts."""

    def load(self, folder: Path) -> PreparedBaseline | None: ...
