"""Alerts to a real SMTP server; a mail names a patient only when the settings allow it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from tests.listener import certificates
from tests.workers.outputs.alerts.documents import HEADER, a_document, evidence, not_assessable
from workers.alert_settings import MailDestinationSettings
from workers.deliveries.errors import DeliveryRejected, Unreachable, WaitsAloneError
from workers.deliveries.to_mail import MailSender
from workers.delivery_ports import Decided, Delivery
from workers.outputs.alerts.mail import MAIL

CONTENT = MAIL.render(a_document(), evidence())
DELIVERY = Delivery(Decided("1.2.826.0.1.77", 3, "full"), "mail", "call", due_at=datetime(2024, 3, 11, tzinfo=UTC))
TITLE = "P1: Neurotoxicity suspected: bithalamic and brain stem FLAIR rise (strong, new)"

BASE: dict[str, Any] = {
    "name": "call", "kind": "mail", "host": "127.0.0.1", "timeout_s": 10,
    "sender": "icansee@hospital.example", "recipients": ("neuro@hospital.example",),
}  # fmt: skip


class Mailbox:
    """answer: of the server to a mail. refuses: an address that it does not know."""

    def __init__(self, answer: str = "250 OK", refuses: str = "") -> None:
        self.answer, self.refuses = answer, refuses
        self.got: list[EmailMessage] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:  # noqa: N802 - the library's name
        if address == self.refuses:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 - the library's name
        if self.answer.startswith("250") and isinstance(envelope.content, bytes):
            found = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(found, EmailMessage)
            self.got.append(found)
        return self.answer


@contextlib.contextmanager
def serving(mailbox: Mailbox, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    keys = {} if tls is None else {"tls_context": tls, "require_starttls": True}
    controller = Controller(mailbox, "127.0.0.1", port, **keys)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def send(port: int, content: bytes = CONTENT, **keys: Any) -> str:
    return MailSender(MailDestinationSettings(**BASE | {"port": port} | keys)).send(DELIVERY, "x", "y", content).text


def text_of(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n")


def test_nothing_of_the_patient_by_default() -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        assert send(port) == "accepted"
        send(port, MAIL.render(not_assessable(), evidence()))
        document = a_document()
        document["decision"]["reasons"] = ["no change since 2024-03-02; the infusion date is not known"]
        send(port, MAIL.render(document, evidence()))
    found, unmeasured, dated = mailbox.got
    assert dated["Subject"] == TITLE
    assert "no change since (date); the infusion date is not known" in text_of(dated)
    assert found["Subject"] == TITLE
    assert "thalamus L: FLAIR +24.8 ± 1.1 %" in text_of(found)
    assert unmeasured["Subject"] == "Not assessable: no flair: the study has no FLAIR series"
    for mail in mailbox.got:
        whole = mail.as_bytes().decode() + text_of(mail)
        for secret in (
            *(HEADER[key] for key in ("PatientID", "AccessionNumber", "StudyInstanceUID")),
            "Yamada",
            "山田",
        ):
            assert secret not in whole
        assert "2024-03" not in text_of(mail)


def test_what_the_settings_allow() -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        send(port, include=("accession_number", "patient_name"), study_dates=True)
    said = text_of(mailbox.got[0])
    assert "Accession number: ACC-7\nPatient name: Yamada^Tarou=山田^太郎=やまだ^たろう\n" in said
    assert "day 7 after infusion" in said
    assert "Patient ID" not in said


def test_a_repeat_has_the_same_message_id() -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        send(port)
        send(port)
    assert len({mail["Message-ID"] for mail in mailbox.got}) == 1


@pytest.mark.parametrize(
    ("answer", "raised"),
    [("554 no", DeliveryRejected), ("451 later", Unreachable), ("535 sign in", Unreachable)],
)
def test_answers(answer: str, raised: type[Exception]) -> None:
    with serving(Mailbox(answer)) as port, pytest.raises(raised, match=answer[:3]):
        send(port)


@contextlib.contextmanager
def answering(answers: Mapping[str, str]) -> Iterator[tuple[int, list[str]]]:
    """A server that answers by the beginning of a line, "" for the greeting; otherwise 250. Its port, and the
    recipients of each mail that it took."""
    server, got = socket.create_server(("127.0.0.1", 0)), list[str]()

    def answered(line: str) -> bytes:
        found = next((text for begins, text in answers.items() if begins and line.startswith(begins)), "250 ok")
        return f"{found}\r\n".encode()

    def talk(connection: socket.socket) -> None:
        with connection, connection.makefile("r", encoding="latin-1", newline="\r\n") as lines:
            connection.sendall(f"{answers.get('', '220 ready')}\r\n".encode())
            accepted: list[str] = []
            for line in lines:
                answer = b"354 go on\r\n" if line.startswith("data") else answered(line.lower())
                if line.lower().startswith("rcpt") and answer.startswith(b"250"):
                    accepted.append(line[len("rcpt TO:<") : line.index("@")])
                connection.sendall(answer)
                if line.startswith("data"):
                    while next(lines) != ".\r\n":
                        pass
                    got.append(" ".join(accepted))
                    connection.sendall(b"250 queued\r\n")

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                talk(server.accept()[0])

    threading.Thread(target=serve, daemon=True).start()
    with server:
        yield server.getsockname()[1], got


TWO = ("neuro@hospital.example", "late@hospital.example")
LATE = "rcpt to:<late"


@pytest.mark.parametrize(
    ("answers", "ends", "got"),
    [
        pytest.param({}, "accepted", ["neuro late"], id="noop: everybody has it"),
        pytest.param({"": "554 no mail today"}, Unreachable, [], id="the greeting is about the server"),
        pytest.param({"ehlo": "550 a whole name", "helo": "550 a whole name"}, Unreachable, [], id="so is its hello"),
        pytest.param({"mail": "550 not from you"}, DeliveryRejected, [], id="the sender is refused"),
        pytest.param({"mail": "451 later"}, Unreachable, [], id="the sender has to wait"),
        pytest.param({LATE: "450 greylisted"}, WaitsAloneError, ["neuro"], id="one of them has to wait"),
        pytest.param({LATE: "450 greylisted", "rcpt": "550 unknown"}, Unreachable, [], id="one waits, one is unknown"),
        pytest.param({LATE: "550 unknown"}, "accepted, 1 of 2 refused", ["neuro"], id="one of them is unknown"),
        pytest.param({"rcpt": "550 unknown"}, DeliveryRejected, [], id="nobody is known"),
        pytest.param({"quit": "421 timeout"}, "accepted", ["neuro late"], id="it was taken, and goes away"),
        pytest.param({"quit": "500 what"}, "accepted", ["neuro late"], id="it was taken, and the end is odd"),
    ],
)
def test_only_what_is_said_of_the_mail_ends_it(
    answers: dict[str, str], ends: str | type[Exception], got: list[str]
) -> None:
    with answering(answers) as (port, taken):
        if isinstance(ends, str):
            assert send(port, recipients=TWO) == ends
        else:
            with pytest.raises(ends) as raised:
                send(port, recipients=TWO)
            assert raised.type is ends
    assert taken == got


def test_who_has_it_does_not_get_it_again() -> None:
    answers = {LATE: "450 greylisted"}
    with answering(answers) as (port, taken):
        sender = MailSender(MailDestinationSettings(**BASE | {"port": port, "recipients": TWO}))
        for _ in range(2):
            with pytest.raises(WaitsAloneError, match="1 of 2 have it; the mail server answers 450"):
                sender.send(DELIVERY, "x", "y", CONTENT)
        answers.clear()
        assert sender.send(DELIVERY, "x", "y", CONTENT).text == "accepted"
        assert sender.send(DELIVERY, "x", "y", CONTENT).text == "accepted", "a person sends it again"
    assert taken == ["neuro", "late", "neuro late"]


def test_one_of_two_recipients_is_refused() -> None:
    mailbox = Mailbox(refuses="gone@hospital.example")
    with serving(mailbox) as port:
        both = ("neuro@hospital.example", "gone@hospital.example")
        assert send(port, recipients=both) == "accepted, 1 of 2 refused"
        with pytest.raises(DeliveryRejected, match="550") as refused:
            send(port, recipients=both[1:])
    assert "gone" not in str(refused.value)


def test_starttls(tmp_path: Path) -> None:
    certificates.make(tmp_path, "mail")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "mail.pem", tmp_path / "mail.key")
    mailbox = Mailbox()
    with serving(mailbox, context) as port:
        with pytest.raises(Unreachable, match="530"):
            send(port)
        with pytest.raises(Unreachable, match="cannot be reached"):  # the certificate names another host
            send(port, tls={"ca": tmp_path / "ca.pem"})
        assert mailbox.got == []
        assert send(port, tls={"ca": tmp_path / "ca.pem", "check_hostname": False}) == "accepted"


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match="cannot be reached"):
        send(port)
