"""One thread writes the rows of acknowledged objects into the index, one transaction per batch.

The file is the record. A row that is lost here (crash, index away for too long) is written again by reconcile.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence

from triage.errors import Transient
from workers.backoff import Backoff
from workers.log import get_logger, uid_hash
from workers.ports import InstanceRow

log = get_logger(__name__)

BATCH_ROWS = 128
BATCH_WAIT_S = 0.1  # an object is in the index at most this long after its answer
WAITING_ROWS = 100_000  # about 100 MB; at the highest rates the index may be away for a minute before rows are dropped
AWAY = Backoff(first_s=0.1, longest_s=5.0)  # between attempts while the index is away
MOST_REFUSED = 3  # rows of one batch; when more are refused, the fault is not in the rows


def record_one_by_one(record: Callable[[Sequence[InstanceRow]], object], rows: Sequence[InstanceRow]) -> int:
    """Write the rows of a refused batch one by one. Returns how many rows were not written.

    The content of one object must not cost the others their rows. After more than MOST_REFUSED refusals the rest is
    not tried.

    Raises:
        Transient: the index is away.
    """
    refused = 0
    for number, row in enumerate(rows):
        try:
            record([row])
        except Transient:
            raise
        except Exception as error:
            refused += 1
            log.error("index.row_refused", instance=uid_hash(row.sop_instance_uid), error=type(error).__name__)
            if refused > MOST_REFUSED:
                return refused + len(rows) - number - 1
    return refused


class IndexWriter:
    """The only writer of instance rows in a listener.

    Args:
        record: writes rows, idempotent; may raise Transient, which is tried again.
        on_recorded: called in the writer's thread with each batch after it was written. Rows that the index refused are
            among them.
    """

    def __init__(
        self,
        record: Callable[[Sequence[InstanceRow]], object],
        *,
        on_recorded: Callable[[Sequence[InstanceRow]], object] | None = None,
        waiting_rows: int = WAITING_ROWS,
    ) -> None:
        self._record, self._on_recorded = record, on_recorded
        self._queue: queue.Queue[InstanceRow | None] = queue.Queue(waiting_rows)
        self._closing, self._hurry = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="index-writer", daemon=True)
        self.incomplete = threading.Event()  # rows were dropped: the index needs a scan

    def start(self) -> None:
        self._thread.start()

    def put(self, row: InstanceRow) -> None:
        """Never blocks: the sender's answer must not wait for the index."""
        if self._hurry.is_set() and not self._thread.is_alive():
            return self._drop(1, "the writer has ended")
        try:
            self._queue.put_nowait(row)
        except queue.Full:
            self._drop(1, "the queue is full")
        return None

    @property
    def waiting(self) -> int:
        """Rows not in the index yet."""
        return self._queue.qsize()

    def close(self, *, timeout_s: float) -> bool:
        """Write what is waiting and end. False: not all could be written in time (the next scan will)."""
        deadline = time.monotonic() + timeout_s
        self._hurry.set()
        while self._thread.is_alive() and time.monotonic() < deadline:
            try:
                self._queue.put(None, timeout=0.05)
                break
            except queue.Full:
                continue
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self._closing.set()  # from now on a batch that fails is not tried again
        if not self._thread.is_alive() and self._queue.qsize():
            self._drop(self._queue.qsize(), "they came behind the end")
        return not self._thread.is_alive() and not self.incomplete.is_set()

    def _run(self) -> None:
        more = True
        while more:
            batch, more = self._next_batch()
            if batch:
                self._write(batch)

    def _next_batch(self) -> tuple[list[InstanceRow], bool]:
        """(rows, False when this was the last batch)."""
        first = self._queue.get()
        if first is None:
            return [], False
        if self._queue.qsize() + 1 < BATCH_ROWS:
            # sleep instead of waiting at the queue: a wake-up per row costs the receiving threads more than the row
            self._hurry.wait(BATCH_WAIT_S)
        batch = [first]
        while len(batch) < BATCH_ROWS:
            try:
                row = self._queue.get_nowait()
            except queue.Empty:
                break
            if row is None:
                return batch, False
            batch.append(row)
        return batch, True

    def _write(self, batch: list[InstanceRow]) -> None:
        pause_s = AWAY.first_s
        while True:
            try:
                self._record_all(batch)
                break
            except Transient as error:
                log.warning("index.away", error=str(error), waiting=self.waiting + len(batch))
                if self._closing.wait(pause_s):
                    return self._drop(len(batch), "the index is away")
                pause_s = AWAY.next_s(pause_s)
        if self._on_recorded is not None:
            try:
                self._on_recorded(batch)
            except Exception:  # whoever listens must not stop the writer
                log.exception("index.listener_failed")
        return None

    def _record_all(self, batch: list[InstanceRow]) -> None:
        try:
            self._record(batch)
        except Transient:
            raise
        except Exception:
            log.exception("index.write_failed", rows=len(batch))
            if refused := record_one_by_one(self._record, batch):
                self._drop(refused, "the index refuses them")

    def _drop(self, rows: int, why: str) -> None:
        if not self.incomplete.is_set():
            log.error("index.rows_dropped", rows=rows, reason=why, remedy="the next scan writes them")
        self.incomplete.set()
