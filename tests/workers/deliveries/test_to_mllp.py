"""ORU messages to real MLLP receivers, and to one that answers whatever the test says."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hl7apy.mllp import AbstractHandler, MLLPServer
from hl7apy.parser import parse_message

from tests import npm
from tests.listener import certificates
from tests.patience import PATIENCE_S
from tests.workers.deliveries.scripted_mllp import DROP, ack, scripted
from tests.workers.outputs.alerts.documents import a_document, evidence
from workers.alert_settings import MllpDestinationSettings
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.to_mllp import MllpSender
from workers.delivery_ports import Decided, Delivery
from workers.outputs.alerts.oru import ORU

CONTENT = ORU.render(a_document(), evidence())
NUMBER = CONTENT.split(b"|")[9].decode()
ERR_207 = "ERR|||207^Application internal error^HL70357|E||||Jane Doe\r"


def delivery(attempts: int = 1) -> Delivery:
    now = datetime(2024, 3, 11, tzinfo=UTC)
    return Delivery(Decided("1.2.826.0.1.77", 3, "full"), "oru", "ris", due_at=now, attempts=attempts)


def sender(port: int, **keys: Any) -> MllpSender:
    keys = {"host": "127.0.0.1", "timeout_s": 10, **keys}
    return MllpSender(MllpDestinationSettings(name="ris", kind="mllp", outputs=("oru",), port=port, **keys))


def send(to: MllpSender, attempts: int = 1) -> str:
    try:
        return to.send(delivery(attempts), ORU.file_name, ORU.media_type, CONTENT).text
    finally:
        to.close()


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_accepted(code: str) -> None:
    with scripted(ack(code)) as server:
        assert send(sender(server.port, receiving_application="RIS")) == code
    assert server.got[0].split(b"\r")[0].split(b"|")[2:6] == [b"ICANSEE", b"", b"RIS", b""]


@pytest.mark.parametrize(
    ("answer", "attempts", "raised", "said"),
    [
        pytest.param(ack("AE"), 1, Unreachable, "answers AE", id="AE is tried again"),
        pytest.param(ack("AE"), 3, DeliveryRejected, "answers AE", id="AE for the last time"),
        pytest.param(ack("CE", error=ERR_207), 3, DeliveryRejected, r"CE \(error 207\)", id="CE with a code"),
        pytest.param(ack("AR"), 1, DeliveryRejected, "answers AR", id="AR"),
        pytest.param(ack("AA", "OTHER"), 1, Unreachable, "names another message", id="another message"),
        pytest.param(ack("OK"), 1, Unreachable, "no HL7 acknowledgement", id="no code of HL7"),
        pytest.param(b"\x0bhello\x1c\r", 1, Unreachable, "no HL7 acknowledgement", id="a frame of something else"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n", 1, Unreachable, "no MLLP frame", id="garbage"),
        pytest.param(b"\x0b" + b"x" * 70_000, 1, Unreachable, "no MLLP frame", id="an endless answer"),
        pytest.param(DROP, 1, Unreachable, "broke off", id="a dropped connection"),
    ],
)
def test_what_is_not_an_acceptance(
    answer: Callable[[bytes], bytes] | bytes, attempts: int, raised: type[Exception], said: str
) -> None:
    with scripted(answer) as server, pytest.raises(raised, match=said) as caught:
        send(sender(server.port), attempts)
    assert "Jane" not in str(caught.value)


def both(*answers: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda message: b"".join(answer(message) for answer in answers)


@pytest.mark.parametrize(
    ("first", "code"),
    [
        pytest.param(ack("AA"), "AA", id="no-op: one answer"),
        pytest.param(both(ack("CA"), ack("AA")), "CA", id="it has it, and then has used it"),
        pytest.param(both(ack("AA", "LATE"), ack("AA")), "AA", id="a late answer comes first"),
        pytest.param(both(ack("AR", "LATE"), ack("AA")), "AA", id="a late refusal of another one"),
    ],
)
def test_an_answer_about_another_message_is_passed_over(first: Callable[[bytes], bytes], code: str) -> None:
    with scripted(first, ack("AA")) as server:
        to = sender(server.port)
        said = [to.send(delivery(), ORU.file_name, ORU.media_type, CONTENT).text for _ in range(2)]
        to.close()
    assert (said, server.connections) == ([code, "AA"], 1)


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        pytest.param(b"", b"", id="no-op"),
        pytest.param(b"", b"\n", id="a line end"),
        pytest.param(b"", b"\x00", id="a zero byte"),
        pytest.param(b"", b"\x1c\r", id="the end twice"),
        pytest.param(b"", b"x" * 400, id="much, with the frame"),
        pytest.param(b"\r\n", b"", id="before it, as when it came late"),
    ],
)
def test_what_lies_between_two_answers_is_dropped(before: bytes, behind: bytes) -> None:
    with scripted(lambda message: before + ack("AA")(message) + behind) as server:
        to = sender(server.port)
        said = [to.send(delivery(), ORU.file_name, ORU.media_type, CONTENT).text for _ in range(3)]
        to.close()
    assert (said, server.connections, len(server.got)) == (["AA"] * 3, 1, 3)


@pytest.mark.parametrize(
    ("attempts", "failure", "answers", "ends"),
    [
        pytest.param(1, None, 3, True, id="no-op: three answers of its own"),
        pytest.param(40, "the connection failed or broke off", 2, False, id="a night without the receiver"),
        pytest.param(40, "the connection failed or broke off", 3, True, id="the same, and three answers"),
        pytest.param(3, "the receiver answers AE", 1, True, id="not measured: two answers before a restart"),
    ],
)
def test_only_answers_count(attempts: int, failure: str | None, answers: int, ends: bool) -> None:
    with scripted(*[ack("AE")] * answers) as server:
        to = sender(server.port)
        for number in range(answers):
            one = replace(delivery(attempts + number), failure=failure)
            with pytest.raises(DeliveryRejected if ends and number == answers - 1 else Unreachable):
                to.send(one, ORU.file_name, ORU.media_type, CONTENT)
            failure = "the receiver answers AE"
        to.close()


def test_a_silent_peer() -> None:
    with scripted(None) as server, pytest.raises(Unreachable, match=r"within 0\.2 s"):
        send(sender(server.port, timeout_s=0.2))


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable):
        send(sender(port))


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("hangs_up", [False, True], ids=["no-op: it keeps it", "it closes behind each answer"])
def test_a_receiver_may_close_the_connection_behind_its_answer(
    tmp_path: Path, *, hangs_up: bool, encrypted: bool
) -> None:
    context, keys = None, dict[str, Any]()
    if encrypted:
        certificates.make(tmp_path, "ris")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "ris.pem", tmp_path / "ris.key")
        keys = {"tls": {"ca": tmp_path / "ca.pem", "check_hostname": False}}
    with scripted(ack("AA"), tls=context, hangs_up=hangs_up) as server:
        to = sender(server.port, **keys)
        for _ in range(3):
            assert to.send(delivery(), ORU.file_name, ORU.media_type, CONTENT).text == "AA"
            if hangs_up:
                assert server.ended.acquire(timeout=PATIENCE_S)
        to.close()
    assert (len(server.got), server.connections) == (3, 3 if hangs_up else 1)


def test_one_connection_until_an_answer_makes_no_sense() -> None:
    with scripted(ack("AA"), ack("AA"), ack("AA", "OTHER"), ack("AA")) as server:
        to = sender(server.port)
        for _ in range(2):
            to.send(delivery(), ORU.file_name, ORU.media_type, CONTENT)
        with pytest.raises(Unreachable):
            to.send(delivery(), ORU.file_name, ORU.media_type, CONTENT)
        to.send(delivery(), ORU.file_name, ORU.media_type, CONTENT)
        to.close()
    assert server.connections == 2
    assert len(set(server.got)) == 1, "a repeat is the same message"


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_with_client_certificate(tmp_path: Path, trusted: bool) -> None:
    certificates.make(tmp_path, "ris", "ours")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ris.pem", tmp_path / "ris.key")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    ours = {"certificate": tmp_path / "ours.pem", "private_key": tmp_path / "ours.key"} if trusted else {}
    with scripted(ack("AA"), tls=context) as server:
        to = sender(server.port, tls={"ca": tmp_path / "ca.pem", "check_hostname": False, **ours})
        if trusted:
            assert send(to) == "AA"
            return
        with pytest.raises(Unreachable):
            send(to)
        assert server.got == []


def test_the_certificate_must_name_the_host(tmp_path: Path) -> None:
    certificates.make(tmp_path, "ris")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ris.pem", tmp_path / "ris.key")
    with scripted(ack("AA"), tls=context) as server, pytest.raises(Unreachable):
        send(sender(server.port, tls={"ca": tmp_path / "ca.pem"}))
    assert server.got == []


class Reads(AbstractHandler):  # type: ignore[misc]
    """hl7apy's server parses the message and answers."""

    def reply(self) -> str:
        found = parse_message(self.incoming_message)
        msh = f"MSH|^~\\&|RIS||ICANSEE||20240311||ACK^R01^ACK|9|P|{found.msh.msh_12.value}"
        return f"\x0b{msh}\rMSA|AA|{found.msh.msh_10.value}\r\x1c\r"


@contextmanager
def hl7apy_server() -> Iterator[int]:
    server = MLLPServer("127.0.0.1", 0, {"ORU^R01^ORU_R01": (Reads,)})
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_hl7apy_acknowledges() -> None:
    with hl7apy_server() as port:
        assert send(sender(port, picture="embedded")) == "AA"


@pytest.mark.server
def test_simple_hl7_acknowledges(tmp_path: Path) -> None:
    """The second receiver is npm's; it prints its port, then the fields that it read."""
    program = npm.beside(tmp_path, "simple-hl7@3.3.0", Path(__file__).with_name("receive.cjs"))
    with subprocess.Popen(["node", program], stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        port = int(node.stdout.readline())
        assert send(sender(port)) == "AA"
        assert node.stdout.readline().split() == ["R01", NUMBER, "S^STAT^HL70485"]
        node.terminate()
