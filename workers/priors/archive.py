"""What is needed of an archive, and what it says, as values and Protocols."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from triage.errors import Rejected, Transient
from workers.files.part10 import Announced
from workers.files.store import Spool
from workers.files.stored import Stored
from workers.files.uid_paths import valid_uid

TIME_IS_OVER = "the time for one attempt is over"


@dataclass(frozen=True)
class FoundStudy:
    """A study as an archive describes it. patient_id, issuer: of this archive. Empty or None: not stated."""

    study_instance_uid: str
    study_date: date | None = None
    study_time: str = ""
    patient_id: str = ""
    issuer: str = ""
    birth_date: date | None = None
    sex: str = ""
    modalities: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundSeries:
    """A series as an archive describes it."""

    series_instance_uid: str
    modality: str = ""


@dataclass(frozen=True)
class FoundInstance:
    """An object as an archive describes it. sop_class_uid: empty when it is not stated."""

    sop_instance_uid: str
    sop_class_uid: str = ""


def instances_of(stated: Iterable[tuple[str, str]]) -> list[FoundInstance]:
    """Pairs of SOP Instance and SOP Class UID -> each valid instance once, in order."""
    return [FoundInstance(uid, class_uid) for uid, class_uid in sorted(dict(stated).items()) if valid_uid(uid)]


class SeriesFailedError(Transient):
    """Images of one series cannot be had now; those of others may come."""


class Taker(Protocol):
    """Takes the objects that an archive sends on our own connection."""

    def begin(self, announced: Announced) -> Spool:
        """Raises:
        Rejected: it is refused before its data came.
        """

    def finish(self, spool: Spool) -> Stored:
        """Make the whole object durable.

        Raises:
            Rejected: nothing was kept.
        """

    def refused(self, refusal: Rejected) -> None:
        """An object was not taken; the retrieval goes on."""


class Archive(Protocol):
    """One connection to an archive. Every method raises errors.Transient when the archive is away or breaks off, or the
    time for the connection is over.

    pushes: what is fetched comes to the node's own listener instead of the taker.
    """

    pushes: bool

    def studies(self, patient_id: str, *, until: date) -> list[FoundStudy]:
        """Studies of this patient ID, of ``until`` or earlier."""

    def series(self, study_instance_uid: str) -> list[FoundSeries]: ...

    def instances(self, study_instance_uid: str, series_instance_uid: str) -> list[FoundInstance]:
        """Every object of the series, by SOP Instance UID."""

    def fetch(self, study_instance_uid: str, series_instance_uid: str, instance: str | None, taker: Taker) -> None:
        """One instance, or the whole series when ``instance`` is None. Returns when the archive says it is done.

        Raises:
            SeriesFailedError: the archive answers, and does not send this.
        """
