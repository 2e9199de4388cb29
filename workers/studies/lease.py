"""A claim on a study in, a heartbeat that keeps it alive while the work runs out; says when the claim was lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from triage.errors import IcanseeError, Transient
from workers.log import brief, get_logger
from workers.ports import Claim, Clock, StudyIndex

log = get_logger(__name__)


class LeaseLost(IcanseeError):  # noqa: N818 - read as "the lease is lost"
    """Somebody else may work on the study now: stop, and store nothing."""


class Lease:
    """The claim as it is at this moment. A heartbeat thread renews it; the worker asks ``check()`` between steps."""

    def __init__(self, claim: Claim, index: StudyIndex, clock: Clock, *, lease_s: float, limit_s: float) -> None:
        self._claim = claim
        self._index = index
        self._clock = clock
        self._lease_s = lease_s
        self._end_s = clock.elapsed_s() + limit_s
        self._held_until_s = clock.elapsed_s() + lease_s
        self._lost = threading.Event()

    @property
    def claim(self) -> Claim:
        return self._claim

    def check(self) -> None:
        """Raises:
        LeaseLost: the claim is not ours any more.
        """
        if self._lost.is_set():
            raise LeaseLost(f"the lease on revision {self._claim.revision} was lost")

    def beat(self) -> None:
        """One heartbeat: renew, or find out that it is lost. A database that is away is not a loss until the claim
        runs out."""
        begun_s = self._clock.elapsed_s()
        if begun_s > self._end_s:
            # a hung task must not keep its study for ever: another worker may try
            self._lost.set()
            return
        try:
            renewed = self._index.renew(self._claim, now=self._clock.now(), lease_s=self._lease_s)
        except Exception as error:  # a heartbeat that dies silently would give the study to a second worker
            log.warning("lease.renewal_failed", error=brief(error), exc_info=not isinstance(error, Transient))
            if begun_s > self._held_until_s:
                self._lost.set()
            return
        if renewed is None:
            self._lost.set()
        else:
            self._claim, self._held_until_s = renewed, begun_s + self._lease_s

    @property
    def lost(self) -> bool:
        return self._lost.is_set()


@contextmanager
def hold(claim: Claim, index: StudyIndex, clock: Clock, *, lease_s: float, limit_s: float) -> Iterator[Lease]:
    """Keep ``claim`` alive by a heartbeat every third of ``lease_s`` seconds, for at most ``limit_s`` seconds of
    work."""
    lease = Lease(claim, index, clock, lease_s=lease_s, limit_s=limit_s)
    done = threading.Event()

    def run() -> None:
        while not done.wait(lease_s / 3) and not lease.lost:
            lease.beat()

    thread = threading.Thread(target=run, name="lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        done.set()
        thread.join()
