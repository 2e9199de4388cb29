"""STOW-RS to a scripted server: its answers, OAuth 2.0 client credentials, certificates of both sides."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import NOON
from tests.listener import certificates
from triage.errors import Misconfigured
from workers.config import parse
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.to_stow import StowSender
from workers.delivery_ports import Decided, Delivery
from workers.result_settings import StowDestinationSettings

ONE = Delivery(Decided("1.2.3", 1, "full"), "sr", "web", due_at=NOON)
STORED = {"00081199": {"vr": "SQ", "Value": [{}]}}


def failed(*reasons: int) -> dict[str, Any]:
    return {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [*reasons]}}]}}


class Web:
    """answers: (status, body) for one request after the other; the last one again and again."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.tokens = 0

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        if path == "/token":
            self.tokens += 1
            self.got.append((path, headers, body))
            return 200, {"access_token": f"token-{self.tokens}", "expires_in": 3600}
        self.got.append((path, headers, body))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def serving(web: Web, context: ssl.SSLContext | None = None) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, said = web.answer(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            data = json.dumps(said).encode() if said is not None else b"garbage"
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of http.server
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def sender_to(port: int, scheme: str = "http", **changes: Any) -> StowSender:
    one = {"name": "web", "kind": "stow", "url": f"{scheme}://127.0.0.1:{port}/dicom-web", "outputs": ["sr"]}
    settings = parse({"results": {"destinations": [{**one, "timeout_s": 10, **changes}]}}).results.destinations[0]
    assert isinstance(settings, StowDestinationSettings)
    return StowSender(settings)


def send(sender: StowSender) -> str:
    return sender.send(ONE, "sr.dcm", "application/dicom", b"DICM").text


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        pytest.param(200, STORED, "HTTP 200", id="stored"),
        pytest.param(409, failed(0x0111), "HTTP 409, 0x0111 (it was there already)", id="duplicate"),
        pytest.param(409, failed(0xC000), DeliveryRejected, id="refused"),
        pytest.param(409, failed(0xA700), Unreachable, id="all failed, out of resources"),
        pytest.param(200, failed(0xC122), DeliveryRejected, id="failed in an answer of success"),
        pytest.param(202, failed(0xA900), DeliveryRejected, id="accepted, and refused for good"),
        pytest.param(202, STORED, "HTTP 202", id="stored with a warning"),
        pytest.param(413, {}, DeliveryRejected, id="too large"),
        pytest.param(400, {}, DeliveryRejected, id="bad request"),
        pytest.param(415, {}, DeliveryRejected, id="media type"),
        pytest.param(403, {}, Unreachable, id="the site must let us in"),
        pytest.param(429, {}, Unreachable, id="too many"),
        pytest.param(503, {}, Unreachable, id="busy"),
        pytest.param(200, None, Unreachable, id="garbage"),
        pytest.param(302, {}, Unreachable, id="a redirection is not followed"),
        pytest.param(200, [STORED], "HTTP 200", id="stored, said in a list"),
        pytest.param(409, [failed(0xC000)], DeliveryRejected, id="refused, said in a list"),
        pytest.param(200, failed(), Unreachable, id="failed without a reason"),
        pytest.param(200, {"00081199": {"vr": "SQ", "Value": []}}, Unreachable, id="success, and nothing is stored"),
        pytest.param(200, {"00081199": {"vr": "SQ"}}, Unreachable, id="not measured: it names nothing"),
        pytest.param(200, {"00081198": []}, Unreachable, id="no DICOM JSON"),
        pytest.param(202, failed(0xA700), Unreachable, id="not measured: accepted, and failed"),
    ],
)
def test_every_answer_is_understood(status: int, body: Any, said: str | type[Exception]) -> None:
    web = Web((status, body))
    with serving(web) as port:
        if isinstance(said, str):
            assert send(sender_to(port)) == said
        else:
            with pytest.raises(said):
                send(sender_to(port))
    ((path, headers, content),) = web.got
    assert path == "/dicom-web/studies"
    assert headers["content-type"].startswith('multipart/related; type="application/dicom"')
    assert b"\r\n\r\nDICM\r\n--icansee-result--" in content


def test_nobody_there_passes() -> None:
    with serving(Web((200, STORED))) as port:
        pass
    with pytest.raises(Unreachable):
        send(sender_to(port))


def test_client_credentials_are_kept_and_renewed_when_they_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n", encoding="utf-8")
    web = Web((200, STORED), (200, STORED), (401, {}), (200, STORED))
    with serving(web) as port:
        oauth = {
            "token_url": f"http://127.0.0.1:{port}/token",
            "client_id": "icansee",
            "client_secret_file": str(tmp_path / "secret"),
            "scope": "dicom",
        }
        sender = sender_to(port, oauth=oauth)
        for _ in range(3):
            assert send(sender) == "HTTP 200"
    asked = [(path, headers["authorization"]) for path, headers, _ in web.got]
    basic = "Basic " + base64.b64encode(b"icansee:s3cret").decode()
    assert asked == [
        ("/token", basic),
        ("/dicom-web/studies", "Bearer token-1"),
        ("/dicom-web/studies", "Bearer token-1"),
        ("/dicom-web/studies", "Bearer token-1"),
        ("/token", basic),
        ("/dicom-web/studies", "Bearer token-2"),
    ]
    assert b"scope=dicom" in web.got[0][2]


def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="absent"):
        sender_to(1, token_file=str(tmp_path / "absent"))


def test_certificates_of_both_sides(tmp_path: Path) -> None:
    certificates.make(tmp_path, "server", "us")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    ca = {"ca": str(tmp_path / "ca.pem"), "check_hostname": False}
    ours = {"certificate": str(tmp_path / "us.pem"), "private_key": str(tmp_path / "us.key")}
    with serving(Web((200, STORED)), context) as port:
        assert send(sender_to(port, "https", tls={**ca, **ours})) == "HTTP 200"
        with pytest.raises(Unreachable):
            send(sender_to(port, "https", tls=ca))
