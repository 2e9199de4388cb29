"""A Part-10 file in pieces in, one received object or a refusal out: for STOW-RS and the drop folder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

from listener.associations.contexts import TRANSFER_SYNTAXES, storage_classes
from listener.receiving.reception import Reception, Tally
from triage.errors import Rejected
from workers.dicom_status import (
    CLASS_NOT_SUPPORTED,
    DOES_NOT_MATCH,
    OUT_OF_RESOURCES,
    PROCESSING_FAILURE,
    SYNTAX_NOT_SUPPORTED,
)
from workers.files.intake import Part10Intake
from workers.files.part10 import Announced
from workers.files.store import CUT_SHORT, Spool
from workers.settings import ListenerSettings

PASSING = (OUT_OF_RESOURCES, PROCESSING_FAILURE)
# reasons that come with such a status, too, and are the same however often the file comes
LASTING_REASONS = ("too_large", "too_many_parts")


@dataclass(frozen=True)
class Taken:
    """What became of one file. status: of DICOM; UIDs empty: the file did not come so far."""

    status: int
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    reason: str | None = None
    """Why it was refused; None: it is stored."""
    again: bool = False
    """The same file may be stored when it comes again: the disk was full, or the node had a fault."""
    was_cut: bool = False
    """It ends inside an element: its copy may go on."""


class FileTaker:
    """Takes files of one sender into the reception, with the admission of the DICOM port.

    Args:
        sender: name in the place of the AE title.
        study_instance_uid: objects of other studies are refused; None: any study.
    """

    def __init__(
        self,
        reception: Reception,
        settings: ListenerSettings,
        *,
        sender: str,
        study_instance_uid: str | None = None,
    ) -> None:
        self._reception, self._sender, self._study = reception, sender, study_instance_uid
        self._classes = storage_classes(settings)
        self.tally = Tally()

    def begin(self) -> TakenFile:
        return TakenFile(self)

    def open(self, announced: Announced) -> Spool:
        """Raises:
        Rejected: the object is not admitted.
        """
        if announced.sop_class_uid not in self._classes:
            raise Rejected(CLASS_NOT_SUPPORTED, "class_not_supported", "this node does not store the SOP class")
        if announced.transfer_syntax_uid not in TRANSFER_SYNTAXES:
            raise Rejected(SYNTAX_NOT_SUPPORTED, "syntax_not_supported", "the transfer syntax is not taken")
        return self._reception.begin(announced, announced.sop_class_uid)

    def keep(self, intake: Part10Intake, *, since: float) -> Taken:
        """Make the whole object durable, and note it.

        Raises:
            Rejected: nothing was kept.
        """
        if self._study is not None and intake.study_instance_uid() != self._study:
            raise Rejected(DOES_NOT_MATCH, "another_study", "the object is not of the study that the request names")
        intake.spool.check_whole()
        received = self._reception.finish(intake.spool, since=since)
        self._reception.note(received, self.tally)
        stored = received.stored
        uids = stored.uids
        return Taken(stored.status, uids.sop_class_uid, uids.sop_instance_uid, uids.study_instance_uid)

    def refused(self, error: Exception, announced: Announced | None) -> Taken:
        """Count and log a refusal."""
        status = self._reception.refused(error, self.tally, calling_ae=self._sender)
        reason = error.message if isinstance(error, Rejected) else "a fault of the node"
        again = status in PASSING and not (isinstance(error, Rejected) and error.reason in LASTING_REASONS)
        known = announced or Announced("", "", "")
        cut = isinstance(error, Rejected) and error.reason == CUT_SHORT
        return Taken(status, known.sop_class_uid, known.sop_instance_uid, reason=reason, again=again, was_cut=cut)

    @property
    def sender(self) -> str:
        return self._sender


class TakenFile:
    """One file that is coming in. Nothing is raised for what is wrong with it: ``end`` says it."""

    def __init__(self, taker: FileTaker) -> None:
        self._taker, self._since = taker, time.monotonic()
        self._intake = Part10Intake(taker.open, sender=taker.sender)
        self._refusal: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._intake.__exit__()

    @property
    def is_refused(self) -> bool:
        return self._refusal is not None

    def refuse(self, error: Exception) -> None:
        self._refusal = self._refusal or error
        self._intake.__exit__()

    def write(self, piece: bytes) -> None:
        """What follows a refusal is thrown away."""
        if self._refusal is None:
            try:
                self._intake.write(piece)
            except Exception as error:  # noqa: BLE001, RUF100 - it costs this file only, and is logged by ``end``
                self.refuse(error)

    def end(self) -> Taken:
        """The file is complete."""
        if self._refusal is None:
            try:
                return self._taker.keep(self._intake, since=self._since)
            except Exception as error:  # noqa: BLE001, RUF100 - as above
                self.refuse(error)
        return self._taker.refused(self._refusal or RuntimeError("no reason"), self._intake.announced)
