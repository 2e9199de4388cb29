"""What happens to one C-STORE request, whichever way its bytes come in: a request in, a DICOM status out.

0x0000 is answered only when the object is durable. Everything that is refused is logged with a reason, without PHI.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from listener.meters import Meter
from listener.receiving.pace import Pace
from triage.errors import Rejected
from workers.audit.messages import Transfer
from workers.dicom_status import CLASS_NOT_SUPPORTED, PROCESSING_FAILURE
from workers.files.part10 import Announced
from workers.files.store import FileStore, Spool
from workers.files.stored import Outcome, Stored
from workers.log import get_logger, study_hash
from workers.ports import InstanceRow
from workers.settings import Peer

log = get_logger(__name__)


@dataclass
class Tally:
    """What one association brought; changed only by its own thread."""

    instances: int = 0
    bytes: int = 0
    refused: int = 0
    studies: dict[str, Transfer] = field(default_factory=dict)  # what came of each study; only kept when audit is on


@dataclass(frozen=True)
class Received:
    """An object that is durable but not yet counted. seconds: from its announcement until it may be answered for."""

    stored: Stored
    seconds: float


class Reception:
    """Takes objects into the store and their rows to the index.

    Args:
        store: where the objects go.
        record: takes the row of a durable object; must not block.
        meter: counts what comes and what is refused.
        peers: whose limits on size and pace are kept.
        on_loss: called when a row could not be passed on: the store has to be scanned.
        audited: whether tallies are to tell what came of which study.
    """

    def __init__(
        self,
        store: FileStore,
        record: Callable[[InstanceRow], None],
        meter: Meter | None = None,
        peers: Iterable[Peer] = (),
        *,
        audited: bool = False,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        self._store, self._record, self.meter = store, record, meter or Meter()
        self._audited, self._on_loss = audited, on_loss
        self._finishing: set[int] = set()  # threads; each has one object at a time
        self._largest = {peer.ae_title: peer.max_object_bytes for peer in peers}
        self._paces = {peer.ae_title: Pace(peer.max_instances_per_s) for peer in peers if peer.max_instances_per_s}

    @property
    def finishing(self) -> int:
        """How many objects are on the way to the disk, or there without their row being passed on yet."""
        return len(self._finishing)

    def begin(self, announced: Announced, context_class_uid: str) -> Spool:
        """Open a place for the object that was announced under a presentation context.

        Raises:
            Rejected: it is refused before its data came.
        """
        if announced.sop_class_uid != context_class_uid:
            message = "the SOP class is not the one of the presentation context"
            raise Rejected(CLASS_NOT_SUPPORTED, "class_not_negotiated", message)
        return self._store.spool(announced, limit_bytes=self._largest.get(announced.calling_ae))

    def finish(self, spool: Spool, *, since: float) -> Received:
        """Make a completely received object durable. What comes back says how to answer; pass it to ``note``
        afterwards.

        Args:
            spool: the whole object.
            since: time.monotonic() when it was announced.

        Raises:
            Rejected: nothing was kept.
        """
        self._finishing.add(threading.get_ident())
        try:
            stored = spool.finish()
        except BaseException:
            self._finishing.discard(threading.get_ident())
            raise
        pace = self._paces.get(stored.announced.calling_ae)
        if pace is not None:
            pace.keep()  # the sender waits for its answer: nothing piles up here
        return Received(stored, time.monotonic() - since)

    def note(self, received: Received, tally: Tally) -> None:
        """Pass its row on and count it. Never raises: this may come after the answer, while the sender is at work on
        the next object. What a crash in between costs, the scan at the next start finds."""
        stored = received.stored
        if stored.outcome is not Outcome.CONFLICT:
            self._pass_on(stored)  # also a repeated one: its row may have been lost
        self._finishing.discard(threading.get_ident())
        try:
            self._count(received, tally)
        except Exception as error:
            log.error("instance.not_counted", error=type(error).__name__, exc_info=error)
        self._store.prepare()

    def _pass_on(self, stored: Stored) -> None:
        try:
            self._record(stored.row)
        except Exception as error:  # no memory; nothing that a sender writes gets here
            log.error("instance.not_indexed", error=type(error).__name__, exc_info=error)
            self._on_loss()

    def _count(self, received: Received, tally: Tally) -> None:
        stored = received.stored
        tally.instances += 1
        tally.bytes += stored.size_bytes
        if self._audited:
            _note(tally, stored.row)
        if stored.outcome is Outcome.CONFLICT:
            log.error(
                "instance.conflict",
                study=study_hash(stored.uids.study_instance_uid),
                kept_aside=stored.path.parent.name,
                calling_ae=stored.announced.calling_ae,
            )
        self.meter.stored(stored.outcome.value, stored.size_bytes, received.seconds)

    def refused(self, error: Exception, tally: Tally, *, calling_ae: str) -> int:
        """Log a refusal; the status to answer with."""
        tally.refused += 1
        self.meter.count(f"instances_refused:{error.reason if isinstance(error, Rejected) else 'fault'}")
        if isinstance(error, Rejected):
            log.warning("instance.refused", reason=error.reason, message=error.message, calling_ae=calling_ae)
            return error.dicom_status
        log.error("instance.failed", error=type(error).__name__, exc_info=error)
        return PROCESSING_FAILURE


def _note(tally: Tally, row: InstanceRow) -> None:
    before = tally.studies.get(row.study_instance_uid)
    classes = dict(before.classes) if before else {}
    classes[row.sop_class_uid] = classes.get(row.sop_class_uid, 0) + 1
    tally.studies[row.study_instance_uid] = Transfer(
        row.study_instance_uid, row.patient_id, row.accession_number, classes
    )
