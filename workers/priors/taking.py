"""Objects of an archive in, files and rows of the index out: what a retrieval on our own connection gives them to."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from triage.errors import IcanseeError, Rejected, Transient
from workers.dicom_status import DOES_NOT_MATCH
from workers.files.dataset_head import head_in
from workers.files.index_rows import row_of
from workers.files.part10 import Announced
from workers.files.store import FileStore, Spool
from workers.files.stored import Outcome, Stored
from workers.log import get_logger
from workers.ports import InstanceRow
from workers.priors.archive import TIME_IS_OVER

log = get_logger(__name__)

BATCH_ROWS = 32


class TooMuchError(IcanseeError):
    """The study has more bytes than may be retrieved."""


class AnotherPatientError(IcanseeError):
    """An image is not of the patient that was asked for."""


class StoreTaker:
    """See workers.priors.archive.Taker.

    Args:
        study_instance_uid: objects of other studies are refused.
        record: writes rows into the index; idempotent.
        check: raises when an object is not to be there; it is asked before anything is kept.
        left_bytes: how much may still come.
        deadline_s: time.monotonic() at which the attempt ends.
        stopping: whether this process is to end.
    """

    def __init__(
        self,
        store: FileStore,
        study_instance_uid: str,
        *,
        record: Callable[[Sequence[InstanceRow]], object],
        check: Callable[[InstanceRow], None],
        left_bytes: int,
        deadline_s: float,
        stopping: Callable[[], bool],
    ) -> None:
        self._store, self._study, self._record, self._check = store, study_instance_uid, record, check
        self._left_bytes, self._deadline_s, self._stopping = left_bytes, deadline_s, stopping
        self._rows: list[InstanceRow] = []
        self.taken: list[Stored] = []
        self.why_refused = ""
        """Of the last object that was not taken."""

    def begin(self, announced: Announced) -> Spool:
        if self._stopping():
            raise Transient("the node stops")
        if time.monotonic() > self._deadline_s:
            raise Transient(TIME_IS_OVER)
        if self._left_bytes <= 0:
            raise TooMuchError("the study has more bytes than priors.max_study_bytes")
        return self._store.spool(announced)

    def finish(self, spool: Spool) -> Stored:
        values, uids = spool.head()
        if uids.study_instance_uid != self._study:
            raise Rejected(DOES_NOT_MATCH, "another_study", "the archive sends an object of another study")
        self._check(row_of(spool.announced, head_in(values, uids), 0, self._store.now()))
        stored = spool.finish()
        self._left_bytes -= stored.size_bytes
        if stored.outcome is not Outcome.CONFLICT:
            self._rows.append(stored.row)
        self.taken.append(stored)
        if len(self._rows) >= BATCH_ROWS:
            self.flush()
        return stored

    def refused(self, refusal: Rejected) -> None:
        log.warning("prior.refused", reason=refusal.reason)
        self.why_refused = f"refused here: {refusal.reason}, {refusal.message}"

    def flush(self) -> None:
        """Write what waits into the index.

        Raises:
            Transient: the index is away.
        """
        rows, self._rows = self._rows, []
        if rows:
            self._record(rows)
