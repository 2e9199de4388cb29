"""Storms of decisions, receivers that break off late, and our own disk."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.workers.deliveries.delivering import TOY, Site
from tests.workers.deliveries.test_forwarding import Forwards
from tests.workers.deliveries.test_to_dicom import ONE, Node, an_object, sender_to, serving
from triage.errors import Transient
from workers.deliveries import process
from workers.deliveries.errors import Unreachable
from workers.deliveries.stored import FILES_WITHIN_S, EvidenceFolder
from workers.delivery_ports import Decided, DeliveryState
from workers.outputs.output import Output

DISK_FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
PROMPT_S = 3.0  # far below the timeout of the destination


@pytest.mark.parametrize("between", [0, 1, 7], ids=["the sender rests", "it sends each", "it sends every seventh"])
def test_of_fifty_decisions_in_a_minute_no_older_one_follows_a_newer_one(tmp_path: Path, between: int) -> None:
    site = Site(tmp_path)
    for revision in range(1, 51):
        site.decide(Decided("1.2.3", revision, "full"), at=site.clock.now())
        waiting = site.deliveries.listed(states=[DeliveryState.PLANNED])
        assert [one.decided.revision for one in waiting] == [revision], "only the newest waits"
        if between and revision % between == 0:
            site.step()
        site.clock.advance(1.2)
    site.step(times=3)
    got = [int(one.split()[0].removeprefix("r")) for one in site.got()]
    assert got == sorted(set(got))
    assert got[-1] == 50
    assert len(got) == {0: 1, 1: 50, 7: 8}[between]


@pytest.mark.parametrize("failing", [0, 1, 9])
@pytest.mark.parametrize("fault", [Transient("a file cannot be read now"), RuntimeError("a fault")], ids=["io", "bug"])
def test_decisions_that_cannot_be_planned_keep_no_other_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int, fault: Exception
) -> None:
    monkeypatch.setattr(process, "AT_ONCE", 3)
    site = Site(tmp_path)

    def images_known(decided: Decided) -> list[str] | None:
        if decided.study_instance_uid.startswith("1.1"):
            raise fault
        return []

    document = {
        "decision": {"priority": "P1"},
        "series": [{"series_instance_uid": "1", "used_as": "flair", "objects": 1}],
    }
    forwarding = replace(Forwards(tmp_path).parts, meant=images_known)
    site.parts = replace(site.parts, document=lambda _decided: document, forwarding=forwarding)
    for number in range(failing):
        site.decide(Decided(f"1.1.{number}", 1, "full"))
    site.clock.advance(0.1)
    site.decide(Decided("1.2.3", 1, "full"), at=site.clock.now())
    site.senders["pacs"].step()
    assert site.got() == ["r1 full"]
    assert len(site.deliveries.unplanned(limit=1000)) == failing, "they are tried again"


class EndsLate(Node):
    """It answers, and breaks off before anybody releases the association."""

    association: Any = None

    def store(self, event: Any) -> int:
        self.association = event.assoc
        return super().store(event)


def test_a_receiver_that_breaks_off_after_the_last_answer_has_the_object(tmp_path: Path) -> None:
    del tmp_path
    node = EndsLate()
    with serving(node) as port:
        sender = sender_to(port)
        for number in (1, 2):
            assert sender.send(ONE, "sc.dcm", "application/dicom", an_object(number)).text == "C-STORE 0x0000"
            node.association.abort()
            began = time.monotonic()
            sender.close()
            assert time.monotonic() - began < PROMPT_S
    assert [len(node.stored), node.associations] == [2, 2]


def with_render(site: Site, output: Output) -> None:
    site.parts.outputs["document"] = output  # type: ignore[index]


def test_a_disk_that_is_full_while_an_output_is_made_costs_no_attempt(tmp_path: Path) -> None:
    site = Site(tmp_path)

    def full(*_arguments: object) -> bytes:
        raise DISK_FULL

    with_render(site, replace(TOY, render=full))
    site.decide()
    for _ in range(30):
        site.step()
        site.clock.advance(10)
    assert (site.row().state, site.row().attempts) == (DeliveryState.PLANNED, 0)
    assert "No space left" in (site.row().failure or "")
    with_render(site, TOY)
    site.step()
    assert site.got() == ["r1 full"]


def test_a_destination_that_the_settings_lose_keeps_what_waits_and_gets_nothing_new(tmp_path: Path) -> None:
    Site(tmp_path, names=("pacs", "old")).decide()
    site = Site(tmp_path, names=("pacs",))
    site.decide(Decided("1.2.4", 1, "full"))
    site.step(times=3)
    assert len(site.got()) == 2
    (left,) = site.deliveries.listed(destination="old")
    assert (left.state, left.decided.study_instance_uid) == (DeliveryState.PLANNED, "1.2.3")
    assert site.deliveries.discard([left.number], why="not wanted", now=site.clock.now()) == 1


PICTURE = replace(TOY, kind="sc", applies=lambda _document, evidence: "evidence.png" in evidence)


@pytest.mark.parametrize(
    ("written", "busy", "expected"),
    [
        pytest.param(True, False, DeliveryState.DONE, id="no-op: the decision has no picture"),
        pytest.param(False, True, DeliveryState.PLANNED, id="not measured: a worker may still write it"),
        pytest.param(False, False, DeliveryState.DEAD, id="they were never written"),
    ],
)
def test_a_picture_that_could_not_be_written_is_not_done(
    tmp_path: Path, *, written: bool, busy: bool, expected: DeliveryState
) -> None:
    site, folder = Site(tmp_path, own={"outputs": ["sc"]}), tmp_path / "r1-full"
    if written:
        folder.mkdir()
    site.evidence = EvidenceFolder(  # type: ignore[assignment]
        folder, tmp_path / "early", age_s=lambda: FILES_WITHIN_S + 1, busy=lambda: busy, repair=lambda: None
    )
    site.parts.outputs["sc"] = PICTURE  # type: ignore[index]
    site.deliveries.pause("pacs", failures=2, until=None)
    site.decide()
    site.step()
    row, known = site.row(), site.deliveries.known("pacs")
    assert known is not None
    assert (row.state, known.failures) == (expected, 2), "the receiver was not asked"
    assert "assess the study again" in str(row.failure) or expected is not DeliveryState.DEAD
    assert site.got() == []


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        pytest.param(OSError("image file is truncated"), DeliveryState.DEAD, id="a library about a damaged picture"),
        pytest.param(DISK_FULL, DeliveryState.PLANNED, id="no-op: the disk is full"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_not_tried_for_days(
    tmp_path: Path, fault: OSError, state: DeliveryState
) -> None:
    site = Site(tmp_path)

    def draws(*_arguments: object) -> bytes:
        raise fault

    with_render(site, replace(TOY, render=draws))
    site.decide()
    for _ in range(9):
        site.step()
        site.clock.advance(60)
    assert site.row().state is state


def test_what_waits_for_a_destination_that_is_gone_is_said_at_the_start(tmp_path: Path) -> None:
    before = Site(tmp_path, names=("pacs", "old"))
    before.destinations["old"].fault = Unreachable("away")
    before.decide()
    before.step("old")
    for names, expected in ((("pacs", "old"), []), (("pacs",), [("old", 1)])):
        with capture_logs() as said:
            Site(tmp_path, names=names)
        named = [(one["to"], one["number"]) for one in said if one["event"] == "delivery.no_such_destination"]
        assert named == expected
