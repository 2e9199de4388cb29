"""Alerts to a real SMTP server; a mail names a patient only when the settings allow it."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
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
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.to_mail import MailSender
from workers.delivery_ports import Decided, Delivery
from workers.outputs.alerts.mail import MAIL

CONTENT = MAIL.render(a_document(), evidence())
DELIVERY = Delivery(Decided("1.2.826.0.1.77", 3, "full"), "mail", "call", due_at=datetime(2024, 3, 11, tzinfo=UTC))
TITLE = "P1: Neurotoxicity suspected: bithalamic and brain stem FLAIR rise (strong, new)"


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
    base: dict[str, Any] = {
        "name": "call", "kind": "mail", "host": "127.0.0.1", "port": port, "timeout_s": 10,
        "sender": "icansee@hospital.example", "recipients": ("neuro@hospital.example",),
    }  # fmt: skip
    return MailSender(MailDestinationSettings(**base | keys)).send(DELIVERY, "x", "y", content).text


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
    assert dated["Subject"].startswith("P1: no change since (date); the infusion date")
    assert found["Subject"] == TITLE
    assert "thalamus L: FLAIR +24.8 ± 1.1 %" in text_of(found)
    assert unmeasured["Subject"] == "no flair: the study has no FLAIR series. Not assessable"
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
