"""Alerts to a receiver that was written from the documents alone."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.workers.deliveries.webhook_receiver import WINDOW_S, Receiver, serving
from tests.workers.outputs.alerts.documents import a_document, evidence
from triage.errors import Misconfigured
from workers.alert_settings import WebhookDestinationSettings
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.to_webhook import WebhookSender
from workers.delivery_ports import Decided, Delivery
from workers.outputs.alerts.webhook import WEBHOOK

NOW = 1_710_147_601.0
OLD, NEW = "0123456789abcdef" * 2, "fedcba9876543210" * 2
CONTENT = WEBHOOK.render(a_document(), evidence())
DELIVERY = Delivery(Decided("1.2.826.0.1.77", 3, "full"), "webhook", "pager", due_at=datetime(2024, 3, 11, tzinfo=UTC))


@pytest.fixture
def receiver() -> Receiver:
    return Receiver(NEW, lambda: NOW)


@pytest.fixture
def url(receiver: Receiver) -> Iterator[str]:
    with serving(receiver) as address:
        yield address


def a_sender(folder: Path, url: str, *keys: str, now: Callable[[], float] = lambda: NOW) -> WebhookSender:
    names: dict[str, Any] = {}
    for name, key in zip(("key_file", "former_key_file"), keys, strict=False):
        (folder / name).write_text(key + "\n")
        names[name] = folder / name
    return WebhookSender(WebhookDestinationSettings(name="pager", kind="webhook", url=url, timeout_s=10, **names), now)


def send(to: WebhookSender, content: bytes = CONTENT) -> str:
    return to.send(DELIVERY, WEBHOOK.file_name, WEBHOOK.media_type, content).text


def test_it_arrives(tmp_path: Path, url: str, receiver: Receiver) -> None:
    assert send(a_sender(tmp_path, url, NEW)) == "HTTP 200"
    (alert,) = receiver.alerts.values()
    assert (alert["version"], alert["event"], alert["revision"], alert["accession_number"]) == (
        "1", "decision", 3, "ACC-7",
    )  # fmt: skip
    assert alert["title"] == "P1: Neurotoxicity suspected: bithalamic and brain stem FLAIR rise (strong, new)"
    assert alert["document"] == a_document()
    assert receiver.requests[0][0]["ICANSee-Id"] == alert["id"]


def test_a_replay_is_rejected(tmp_path: Path, url: str, receiver: Receiver) -> None:
    send(a_sender(tmp_path, url, NEW))
    headers, body = receiver.requests[0]
    assert httpx.post(url, content=body, headers=headers).status_code == 409
    receiver.now = lambda: NOW + WINDOW_S + 1
    assert httpx.post(url, content=body, headers=headers).status_code == 401
    assert len(receiver.alerts) == 1


@pytest.mark.parametrize("changed", ["body", "time"])
def test_a_forged_request_is_rejected(tmp_path: Path, url: str, receiver: Receiver, changed: str) -> None:
    send(a_sender(tmp_path, url, NEW))
    headers, body = receiver.requests[0]
    if changed == "body":
        body = body.replace(b'"P1', b'"P3')
    else:
        headers = headers | {"ICANSee-Timestamp": str(int(NOW) + 1)}
    assert httpx.post(url, content=body, headers=headers).status_code == 401


def test_a_repeat_is_one_alert(tmp_path: Path, url: str, receiver: Receiver) -> None:
    """After a lost answer: a little later it is a repeat, within the same second the receiver has seen it."""
    send(a_sender(tmp_path, url, NEW))
    assert send(a_sender(tmp_path, url, NEW, now=lambda: NOW + 40)) == "HTTP 200"
    assert send(a_sender(tmp_path, url, NEW)) == "HTTP 409 (it had it already)"
    assert len(receiver.alerts) == 1


@pytest.mark.parametrize(
    ("keys", "taken"),
    [
        pytest.param((OLD,), False, id="the receiver has the new key already"),
        pytest.param((NEW, OLD), True, id="both sign, new receiver"),
        pytest.param((OLD, NEW), True, id="both sign, old receiver"),
        pytest.param((NEW,), True, id="noop: one key"),
    ],
)
def test_change_of_keys(tmp_path: Path, url: str, keys: tuple[str, ...], taken: bool) -> None:
    to = a_sender(tmp_path, url, *keys)
    if taken:
        assert send(to) == "HTTP 200"
    else:
        with pytest.raises(Unreachable, match="401"):
            send(to)


@pytest.mark.parametrize(
    ("status", "raised"),
    [(400, DeliveryRejected), (422, DeliveryRejected), (302, Unreachable), (404, Unreachable), (503, Unreachable)],
)
def test_answers(tmp_path: Path, url: str, receiver: Receiver, status: int, raised: type[Exception]) -> None:
    receiver.status = status
    with pytest.raises(raised, match=str(status)):
        send(a_sender(tmp_path, url, NEW))


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match="cannot be reached"):
        send(a_sender(tmp_path, f"http://127.0.0.1:{port}/", NEW))


def test_a_short_key_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"pager.*fewer than 32"):
        a_sender(tmp_path, "https://pager.hospital/", "short")


def test_a_key_that_is_not_there(tmp_path: Path) -> None:
    settings = WebhookDestinationSettings(name="p", kind="webhook", url="https://x.y/", key_file=tmp_path / "none")
    with pytest.raises(Misconfigured, match="none: cannot be read"):
        WebhookSender(settings)
