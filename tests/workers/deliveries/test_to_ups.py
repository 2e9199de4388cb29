"""Workitems to a worklist that goes by the standard, over DICOM and over HTTP."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.fakes import NOON
from tests.workers.deliveries.ups_worklist import Worklist, over_dicom, over_http
from tests.workers.outputs.alerts.documents import a_document, evidence, quiet
from workers.alert_settings import UpsDestinationSettings, UpsRsDestinationSettings
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.to_ups import UpsSender
from workers.deliveries.to_ups_rs import UpsRsSender
from workers.delivery_ports import Decided, Delivery
from workers.outputs.alerts.ups import UPS

ONE = Delivery(Decided("1.2.826.0.1.77", 3, "full"), "ups", "work", due_at=NOON)
FULL = UPS.render(a_document(), evidence())
Sender = UpsSender | UpsRsSender
Opened = Callable[[Worklist], contextlib.AbstractContextManager[Sender]]


def first_look() -> bytes:
    document = a_document(stage="first_look")
    document["decision"] = document["decision"] | {"priority": "P2"}
    return UPS.render(document, evidence())


def ups_sender(port: int) -> UpsSender:
    settings = UpsDestinationSettings(
        name="work", kind="ups", ae_title="UPS", host="127.0.0.1", port=port, timeout_s=10
    )
    return UpsSender(settings, "ICANSEE")


@contextlib.contextmanager
def dimse(worklist: Worklist) -> Iterator[Sender]:
    with over_dicom(worklist) as port:
        sender = ups_sender(port)
        yield sender
        sender.close()


@contextlib.contextmanager
def http(worklist: Worklist) -> Iterator[Sender]:
    with over_http(worklist) as url:
        yield UpsRsSender(UpsRsDestinationSettings(name="work", kind="ups_rs", url=url, timeout_s=10))


def send(sender: Sender, content: bytes) -> str:
    return sender.send(ONE, UPS.file_name, UPS.media_type, content).text


@pytest.fixture(params=[dimse, http], ids=["DICOM", "HTTP"])
def opened(request: pytest.FixtureRequest) -> Opened:
    found: Opened = request.param
    return found


def test_the_full_decision_updates_what_the_first_look_created(opened: Opened) -> None:
    worklist = Worklist()
    with opened(worklist) as sender:
        send(sender, first_look())
        (item,) = worklist.items.values()
        assert (item.ScheduledProcedureStepPriority, item.PatientID) == ("MEDIUM", "A|1^2")
        assert "already" in send(sender, FULL)
    (item,) = worklist.items.values()
    assert (item.ScheduledProcedureStepPriority, item.ProcedureStepState) == ("HIGH", "SCHEDULED")
    assert item.ProcedureStepLabel.startswith("P1: ")
    assert str(item.PatientName).endswith("やまだ^たろう")


def test_noop_a_repeat_changes_nothing(opened: Opened) -> None:
    worklist = Worklist()
    with opened(worklist) as sender:
        send(sender, FULL)
        before = [item.to_json() for item in worklist.items.values()]
        send(sender, FULL)
    assert [item.to_json() for item in worklist.items.values()] == before
    assert worklist.updates == 1


def of_revision(revision: int, document: dict[str, Any] | None = None) -> bytes:
    before = {"previous": (revision - 1, "full")} if revision > 1 else {}
    return UPS.render(document or a_document(), evidence(revision=revision, **before))


def states(worklist: Worklist) -> list[str]:
    """Of all workitems, the oldest first."""
    return [str(item.ProcedureStepState) for item in worklist.items.values()]


def test_a_later_revision_calls_the_earlier_ones_back(opened: Opened) -> None:
    worklist = Worklist()
    with opened(worklist) as sender:
        for revision in (1, 2, 3):
            said = send(sender, of_revision(revision))
        assert states(worklist) == ["CANCELED", "CANCELED", "SCHEDULED"]
        assert "1 earlier workitems called back" in said or "2 earlier" in said
        send(sender, of_revision(3))
    assert states(worklist) == ["CANCELED", "CANCELED", "SCHEDULED"], "a repeat changes nothing"
    assert "newer result" in next(iter(worklist.items.values())).ReasonForCancellation


def test_a_full_decision_without_a_priority_only_calls_back(opened: Opened) -> None:
    worklist = Worklist()
    with opened(worklist) as sender:
        send(sender, of_revision(1))
        assert "called back" in send(sender, of_revision(2, quiet()))
    assert states(worklist) == ["CANCELED"]


def test_what_somebody_reads_already_is_not_called_back(opened: Opened) -> None:
    worklist = Worklist()
    with opened(worklist) as sender:
        send(sender, of_revision(1))
        next(iter(worklist.items.values())).ProcedureStepState = "IN PROGRESS"
        assert "called back" not in send(sender, of_revision(2))
    assert states(worklist) == ["IN PROGRESS", "SCHEDULED"]


def test_a_first_look_calls_nothing_back(opened: Opened) -> None:
    worklist = Worklist()
    with opened(worklist) as sender:
        send(sender, of_revision(1))
        send(sender, of_revision(2, a_document(stage="first_look")))
    assert states(worklist) == ["SCHEDULED", "SCHEDULED"]


@pytest.mark.parametrize("state", ["IN PROGRESS", "COMPLETED", "CANCELED"])
def test_what_somebody_has_taken_up_is_left_alone(opened: Opened, state: str) -> None:
    worklist = Worklist()
    with opened(worklist) as sender:
        send(sender, first_look())
        (item,) = worklist.items.values()
        item.ProcedureStepState = state
        assert "somebody has taken it up" in send(sender, FULL)
    assert (item.ScheduledProcedureStepPriority, worklist.updates) == ("MEDIUM", 0)


@pytest.mark.parametrize(
    ("opens", "answer", "raised"),
    [
        pytest.param(dimse, 0x0106, DeliveryRejected, id="invalid value"),
        pytest.param(dimse, 0x0120, DeliveryRejected, id="missing attribute"),
        pytest.param(dimse, 0x0110, Unreachable, id="processing failure"),
        pytest.param(dimse, 0x0124, Unreachable, id="not authorised"),
        pytest.param(dimse, 0x0213, Unreachable, id="no resources"),
        pytest.param(dimse, None, Unreachable, id="the connection ends"),
        pytest.param(http, 400, DeliveryRejected, id="HTTP 400"),
        pytest.param(http, 415, DeliveryRejected, id="HTTP 415"),
        pytest.param(http, 401, Unreachable, id="HTTP 401"),
        pytest.param(http, 503, Unreachable, id="HTTP 503"),
    ],
)
def test_answers(opens: Opened, answer: int | None, raised: type[Exception]) -> None:
    worklist = Worklist()
    with opens(worklist) as sender:
        worklist.answers.append(answer)
        with pytest.raises(raised):
            send(sender, FULL)
        assert worklist.items == {}
        send(sender, FULL)  # the next attempt opens what it needs
    assert len(worklist.items) == 1


def test_a_workitem_that_was_created_with_changes_is_done() -> None:
    worklist = Worklist()
    with dimse(worklist) as sender:
        worklist.answers.append(0xB300)
        assert send(sender, FULL) == "N-CREATE 0xB300"


@pytest.mark.parametrize("classes", [True, False], ids=["a worklist", "no UPS there"])
def test_a_person_asks_what_it_accepts(*, classes: bool) -> None:
    with over_dicom(Worklist(), classes=classes) as port:
        sender = ups_sender(port)
        if classes:
            assert sender.probe() == ["accepts UPS Push", "accepts UPS Pull (updates)"]
        else:
            with pytest.raises(Unreachable):
                sender.probe()


def test_nobody_there() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with pytest.raises(Unreachable):
        send(ups_sender(port), FULL)
    settings = UpsRsDestinationSettings(name="w", kind="ups_rs", url=f"http://127.0.0.1:{port}", timeout_s=5)
    with pytest.raises(Unreachable):
        send(UpsRsSender(settings), FULL)


@pytest.mark.parametrize(
    ("answer", "taken"),
    [
        pytest.param(httpx.Response(201), True, id="no-op: created"),
        pytest.param(httpx.Response(200, html="<p>sign in"), False, id="the page of a proxy"),
    ],
)
def test_a_page_for_people_is_no_success(answer: httpx.Response, *, taken: bool) -> None:
    sender = UpsRsSender(UpsRsDestinationSettings(name="w", kind="ups_rs", url="http://127.0.0.1:1"))
    sender._client = httpx.Client(transport=httpx.MockTransport(lambda _request: answer))
    if taken:
        assert "HTTP 201" in send(sender, FULL)
    else:
        with pytest.raises(Unreachable):
            send(sender, FULL)
