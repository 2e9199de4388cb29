"""A report that the node sends on our association stops no request of ours."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from pynetdicom.association import Association

from tests.patience import PATIENCE_S
from tests.workers.deliveries.test_to_dicom import ONE, Node, an_object, sender_to, serving
from workers.remote.reactor import reports_beside


class Reactor:
    """What pynetdicom's association says of its reactor. Serving a report ends as pynetdicom does."""

    def __init__(self, *, waits: bool) -> None:
        self._reactor_checkpoint = threading.Event()
        if not waits:
            self._reactor_checkpoint.set()
        self._is_paused = waits
        self.served: list[tuple[Any, int]] = []

    def _serve_request(self, message: Any, context_id: int) -> None:
        self.served.append((message, context_id))
        self._is_paused = False


@pytest.mark.parametrize("waits", [pytest.param(True, id="waits"), pytest.param(False, id="noop: runs")])
def test_a_reactor_that_waits_is_still_said_to_wait(waits: bool) -> None:
    one = Reactor(waits=waits)
    reports_beside(one)
    one._serve_request("report", 1)
    assert (one._is_paused, one.served) == (waits, [("report", 1)])


def test_another_version_of_the_library_is_left_alone() -> None:
    one = object()
    reports_beside(one)


class SlowlyCleared(threading.Event):
    """Set. ``clear`` returns when ``told``: between it and the next look at the reactor, the report's thread ends."""

    def __init__(self) -> None:
        super().__init__()
        self.set()
        self.cleared, self.told = threading.Event(), threading.Event()

    def clear(self) -> None:
        super().clear()
        self.cleared.set()
        self.told.wait(PATIENCE_S)


def test_an_association_is_released_though_a_report_ends_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    serve, checkpoint = Association._serve_request, SlowlyCleared()

    def late(self: Association, message: Any, context_id: int) -> None:
        serve(self, message, context_id)
        if self.is_requestor:
            checkpoint.cleared.wait(PATIENCE_S)
            time.sleep(0.05)  # the reactor waits by now
            self._is_paused = False  # as at the end of serving
            checkpoint.told.set()

    monkeypatch.setattr(Association, "_serve_request", late)
    with serving(Node()) as port:
        sender = sender_to(port, commitment=True, commitment_wait_s=PATIENCE_S)
        assert sender.send(ONE, "sc.dcm", "application/dicom", an_object()).text.endswith("committed")
        sender._association._reactor_checkpoint = checkpoint
        closing = threading.Thread(target=sender.close, daemon=True)
        closing.start()
        closing.join(PATIENCE_S)
        assert not closing.is_alive(), "it waits for the reactor without end"
