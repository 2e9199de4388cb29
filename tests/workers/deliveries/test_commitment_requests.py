"""With commitment a delivery is done only when the node has committed itself to the object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.workers.deliveries.delivering import Site
from tests.workers.deliveries.test_to_dicom import Node, an_object, send, sender_to, serving
from workers.deliveries.errors import NotCommittedError, Unreachable
from workers.deliveries.to_dicom import DicomSender
from workers.delivery_ports import DeliveryState
from workers.files.commitment_reports import AwaitedReports


@pytest.mark.parametrize(
    ("how", "why"),
    [
        pytest.param({"commits": None}, "no storage commitment report in 0.5 s", id="no report"),
        pytest.param({"action_status": 0x0110}, r"not accepted \(0x0110\)", id="the request fails"),
        pytest.param({"action_status": None}, r"not accepted \(0xFFFF\)", id="it breaks off"),
        pytest.param({"commits": False}, "does not commit itself to the object", id="not committed"),
    ],
)
def test_it_is_done_only_when_the_node_has_committed_itself(how: dict[str, Any], why: str) -> None:
    node = Node()
    with serving(node) as port:
        sender = sender_to(port, commitment=True, commitment_wait_s=0.5 if "commits" in how else 20)
        for name, value in how.items():
            setattr(node, name, value)
        with pytest.raises(NotCommittedError, match=why):
            send(sender, an_object())
        node.commits, node.action_status = True, 0x0000
        again = "C-STORE 0x0000" if how == {"commits": False} else "stored before"
        assert send(sender, an_object()) == f"{again}; committed", "it is sent again only when the node lacks it"
        assert send(sender, an_object(2)) == "C-STORE 0x0000; committed"
    assert len(node.stored) == (3 if how == {"commits": False} else 2)


def test_a_node_without_storage_commitment_has_stored_it_and_nothing_is_done() -> None:
    node = Node()
    with serving(node, commitment=False) as port, pytest.raises(NotCommittedError, match="not possible"):
        send(sender_to(port, commitment=True), an_object())
    assert len(node.stored) == 1


def test_a_report_that_comes_late_is_heard_at_the_next_attempt(tmp_path: Path) -> None:
    node, awaited, asked = Node(), AwaitedReports(tmp_path), list[str]()

    def later(event: Any) -> tuple[int, None]:
        asked.append(str(event.action_information.TransactionUID))
        return 0x0000, None

    node.action = later  # type: ignore[method-assign]
    with serving(node) as port:
        settings = sender_to(port, commitment=True, commitment_wait_s=0.3)._settings
        sender = DicomSender(settings, "ICANSEE", awaited)
        for number in (1, 2):
            with pytest.raises(NotCommittedError, match="no storage commitment report"):
                send(sender, an_object(number))
        assert awaited.take(asked[0], [])
        assert awaited.take(asked[1], ["1.2.3"])
        assert send(sender, an_object(1)) == "stored before; committed"
    assert (len(asked), len(node.stored)) == (2, 2)


@pytest.mark.parametrize("failed", [[], ["1.2.3"]], ids=["committed", "not committed"])
def test_a_report_may_come_to_our_own_port(tmp_path: Path, failed: list[str]) -> None:
    """As Orthanc and dcm4chee report: on an association that they open."""
    node, awaited = Node(), AwaitedReports(tmp_path)

    def elsewhere(event: Any) -> tuple[int, None]:
        assert awaited.take(str(event.action_information.TransactionUID), failed)
        return 0x0000, None

    node.action = elsewhere  # type: ignore[method-assign]
    with serving(node) as port:
        settings = sender_to(port, commitment=True, commitment_wait_s=20)._settings
        sender = DicomSender(settings, "ICANSEE", awaited)
        if failed:
            with pytest.raises(Unreachable, match="does not commit"):
                send(sender, an_object())
        else:
            assert send(sender, an_object()) == "C-STORE 0x0000; committed"
    assert list((tmp_path / "commitments" / "awaited").iterdir()) == []


def test_what_is_stored_and_not_committed_waits_alone_and_is_listed_in_the_end(tmp_path: Path) -> None:
    """Whoever answers is not away: others are sent meanwhile."""
    site = Site(tmp_path, max_attempts=5, failures_until_pause=2)
    site.decide()
    site.destinations["pacs"].fault = NotCommittedError("no report")
    for _ in range(4):
        site.step()
        site.clock.advance(300)
    known = site.deliveries.known("pacs")
    assert known is not None
    assert (site.row().state, site.row().failure, known.failures) == (DeliveryState.PLANNED, "no report", 0)
    site.step()
    assert site.row().state is DeliveryState.DEAD
