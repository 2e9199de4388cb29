"""What receivers answer under pressure, and what becomes of the delivery: one table for all kinds over HTTP."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from tests.fakes import NOON
from tests.workers.deliveries.delivering import Site
from tests.workers.outputs.alerts.documents import a_document, evidence
from workers.config import parse
from workers.deliveries.all import open_destinations
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.to_folder import FolderSender
from workers.delivery_ports import Decided, Delivery, DeliveryState, Destination
from workers.outputs.alerts.fhir import FHIR
from workers.outputs.alerts.webhook import WEBHOOK
from workers.outputs.output import Output
from workers.remote.http import asked_pause_s
from workers.result_settings import FolderDestinationSettings

ONE = Delivery(Decided("1.2.3", 1, "full"), "sr", "there", due_at=NOON)
SR = Output("sr", "sr.dcm", "application/dicom", lambda _document, _evidence: b"content")
TRANSACTED = b'{"resourceType": "Bundle", "type": "transaction-response"}'
OUTPUTS = {"webhook": WEBHOOK, "fhir": FHIR, "stow": SR, "s3": SR}


@contextmanager
def answering(status: int, headers: Mapping[str, str], body: bytes = b"") -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET = answer  # noqa: N815 - names of http.server

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def sender(kind: str, port: int, folder: Path) -> Destination:
    (folder / "key").write_text("0123456789abcdef" * 2, encoding="utf-8")
    url, key = f"http://127.0.0.1:{port}", str(folder / "key")
    own: dict[str, dict[str, Any]] = {
        "webhook": {"url": url, "key_file": key},
        "fhir": {"url": url},
        "stow": {"url": url, "outputs": ["sr"]},
        "s3": {
            "endpoint": url, "bucket": "results", "outputs": ["sr"], "access_key_id": "k", "secret_key_file": key,
        },
    }  # fmt: skip
    one = {"name": "there", "kind": kind, "timeout_s": 5, **own[kind]}
    return open_destinations(parse({"results": {"destinations": [one]}}).node())["there"]


def xml(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>of Jane Doe</Message></Error>".encode()


BUSY = {"Retry-After": "7"}
AWAY = {"Location": "http://elsewhere.invalid/"}
ANSWERS = [
    pytest.param("webhook", 429, BUSY, b"", (Unreachable, 7.0), id="webhook: too many, asks for a pause"),
    pytest.param("webhook", 503, {}, b"", (Unreachable, None), id="webhook: away, says nothing"),
    pytest.param("webhook", 301, AWAY, b"", (Unreachable, None), id="webhook: redirects"),
    pytest.param("webhook", 307, AWAY, b"", (Unreachable, None), id="webhook: redirects with the body"),
    pytest.param("webhook", 410, {}, b"", (DeliveryRejected, None), id="webhook: gone"),
    pytest.param("fhir", 429, BUSY, b"", (Unreachable, 7.0), id="FHIR: too many, asks for a pause"),
    pytest.param("fhir", 503, BUSY, b"", (Unreachable, 7.0), id="FHIR: busy, asks for a pause"),
    pytest.param("fhir", 409, {}, b"", (Unreachable, None), id="FHIR: two transactions meet"),
    pytest.param("fhir", 412, {}, b"", (DeliveryRejected, None), id="FHIR: several match the condition"),
    pytest.param("fhir", 422, {}, b"", (DeliveryRejected, None), id="FHIR: invalid"),
    pytest.param("fhir", 302, AWAY, b"", (Unreachable, None), id="FHIR: redirects to a sign-in page"),
    pytest.param("stow", 503, BUSY, b"", (Unreachable, 7.0), id="STOW: busy, asks for a pause"),
    pytest.param("stow", 507, {}, b"", (Unreachable, None), id="STOW: its disk is full"),
    pytest.param("stow", 415, {}, b"", (DeliveryRejected, None), id="STOW: refuses the kind"),
    pytest.param("stow", 308, AWAY, b"", (Unreachable, None), id="STOW: redirects"),
    pytest.param("s3", 409, {}, xml("ConditionalRequestConflict"), (Unreachable, None), id="S3: two writers meet"),
    pytest.param("s3", 503, {}, xml("SlowDown"), (Unreachable, None), id="S3: slow down"),
    pytest.param("s3", 301, AWAY, xml("PermanentRedirect"), (Unreachable, None), id="S3: another region"),
    pytest.param("webhook", 200, {}, b"", None, id="no-op: webhook takes it"),
    pytest.param("fhir", 200, {}, TRANSACTED, None, id="no-op: FHIR takes it"),
    pytest.param("fhir", 200, {}, b"", (Unreachable, None), id="FHIR: success without an answer"),
    pytest.param("fhir", 200, {}, b"<html>sign in</html>", (Unreachable, None), id="FHIR: the page of a proxy"),
    pytest.param("s3", 200, {"ETag": '"1"'}, b"", None, id="no-op: S3 takes it"),
]


@pytest.mark.parametrize(("kind", "status", "headers", "body", "expected"), ANSWERS)
def test_what_becomes_of_a_delivery(
    tmp_path: Path,
    kind: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    expected: tuple[type[Exception], float | None] | None,
) -> None:
    output = OUTPUTS[kind]
    content = output.render(a_document(), evidence())
    with answering(status, headers, body) as port:
        to = sender(kind, port, tmp_path)
        if expected is None:
            to.send(ONE, output.file_name, output.media_type, content)
            return
        with pytest.raises(expected[0]) as caught:
            to.send(ONE, output.file_name, output.media_type, content)
    assert getattr(caught.value, "again_after_s", None) == expected[1]
    assert str(status) in str(caught.value) or kind == "s3"
    assert ("is not followed" in str(caught.value)) is (status in (301, 302, 307, 308) and kind != "s3")
    assert "Jane" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, None, id="no-op: nothing is said"),
        pytest.param({"Retry-After": "120"}, 120.0, id="seconds"),
        pytest.param({"Retry-After": "0"}, 0.0, id="now"),
        pytest.param({"Retry-After": "-5"}, None, id="below zero"),
        pytest.param({"Retry-After": "soon"}, None, id="a word"),
        pytest.param({"Retry-After": "٣"}, None, id="a digit of another script"),
        pytest.param({"Retry-After": "9" * 400}, 86400.0, id="for ever"),
        pytest.param(
            {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT", "Date": "Fri, 31 Dec 1999 23:59:29 GMT"}, 30.0,
            id="a date, by the server's own clock",
        ),
        pytest.param(
            {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT", "Date": "Sat, 01 Jan 2000 23:59:29 GMT"}, 0.0,
            id="a date that is over",
        ),
    ],
)  # fmt: skip
def test_retry_after(headers: Mapping[str, str], expected: float | None) -> None:
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert asked_pause_s(httpx.Response(503, headers=encoded)) == expected


@pytest.mark.parametrize(
    ("asked_s", "waits_s", "own_s"),
    [
        pytest.param(None, 0, 10, id="no-op: our own pause, of this one alone"),
        pytest.param(120.0, 120, 120, id="the receiver's"),
        pytest.param(1.0, 1, 10, id="a short one holds up no other, and ours goes on"),
        pytest.param(86400.0, 300, 300, id="never longer than the longest: a clock set back looks so"),
    ],
)
def test_who_asks_for_a_pause_gets_it_for_all_deliveries(
    tmp_path: Path, asked_s: float | None, waits_s: int, own_s: int
) -> None:
    site = Site(tmp_path, longest_pause_s=300)
    site.decide()
    site.destinations["pacs"].fault = Unreachable("busy", again_after_s=asked_s)
    site.step()
    site.destinations["pacs"].fault = None
    site.decide(Decided("1.2.4", 1, "full"))
    if asked_s:
        site.clock.advance(waits_s - 0.5)
        site.step(times=3)
        assert site.got() == [], "the next one would meet the same answer"
        site.clock.advance(0.5)
    site.step(times=3)
    assert len(site.got()) == (2 if own_s == waits_s else 1)
    site.clock.advance(own_s)
    site.step(times=3)
    assert len(site.got()) == 2


def test_a_folder_on_a_full_disk_is_tried_again_and_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = FolderSender(FolderDestinationSettings(name="share", kind="folder", path=tmp_path, outputs=("sr",)))

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(Unreachable, match="No space left"):
            to.send(ONE, "sr.dcm", "application/dicom", b"content")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert to.send(ONE, "sr.dcm", "application/dicom", b"content").text == "written"


def test_what_waits_for_a_destination_under_its_old_name_is_listed_and_sent_when_the_name_is_back(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, names=("pacs",))
    site.decide()
    renamed = Site(tmp_path, names=("archive",))
    renamed.step("archive", times=3)
    assert [(one.destination, one.state) for one in renamed.deliveries.listed(destination="pacs")] == [
        ("pacs", DeliveryState.PLANNED)
    ]
    again = Site(tmp_path, names=("pacs",))
    again.step(times=2)
    assert again.got() == ["r1 full"]


def test_two_nodes_with_one_database_send_each_thing_once(tmp_path: Path) -> None:
    """The second takes over when the first gives no sign of life."""
    one = Site(tmp_path)
    other = Site(tmp_path, owner="other node")
    for number in range(4):
        one.decide(Decided(f"1.9.{number}", 1, "full"))
    for _ in range(2):
        one.step()
        other.step()
    assert (len(one.got()), len(other.got())) == (2, 0)
    other.clock.advance(120)
    other.step(times=3)
    assert len(other.got()) == 2
    assert {row.state for row in other.deliveries.listed()} == {DeliveryState.DONE}
