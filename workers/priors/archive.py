"""What is needed of an archive, and what it says, as values and Protocols."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Protocol

from workers.files.part10 import Announced
from workers.files.store import Spool
from workers.files.stored import Stored


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


class Archive(Protocol):
    """One connection to an archive. Every method raises errors.Transient when the archive is away or breaks off.

    pushes: what is fetched comes to the node's own listener instead of the taker.
    """

    pushes: bool

    def studies(self, patient_id: str, *, until: date) -> list[FoundStudy]:
        """Studies of this patient ID, of ``until`` or earlier."""

    def series(self, study_instance_uid: str) -> list[FoundSeries]: ...

    def instances(self, study_instance_uid: str, series_instance_uid: str) -> list[str]:
        """SOP Instance UIDs."""

    def fetch(self, study_instance_uid: str, series_instance_uid: str, instance: str | None, taker: Taker) -> None:
        """One instance, or the whole series when ``instance`` is None. Returns when the archive says it is done."""
