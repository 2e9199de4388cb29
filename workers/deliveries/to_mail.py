"""Alerts by e-mail over SMTP with STARTTLS. Without a permission in the settings a mail names no patient, no study and
no date of one."""

from __future__ import annotations

import json
import re
import smtplib
from collections.abc import Mapping
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from workers.alert_settings import MailDestinationSettings
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.delivery_ports import Delivery, Receipt
from workers.identities import printable
from workers.log import brief
from workers.remote import tls
from workers.remote.http import secret_in

NAMES = {
    "accession_number": "Accession number",
    "study_instance_uid": "Study Instance UID",
    "patient_id": "Patient ID",
    "patient_name": "Patient name",
}
FOR_GOOD = range(500, 600)  # RFC 5321, 4.2.1: permanent negative
NOT_THE_MAIL = (530, 534, 535, 538)  # signing in failed (RFC 4954, 6): the site repairs it
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
DATES = ("Compared with ", "Not compared ")  # beginnings of the line with the dates of the studies


class MailSender:
    """See delivery_ports.Destination.

    Raises:
        Misconfigured: a certificate or the password cannot be read.
    """

    def __init__(self, settings: MailDestinationSettings) -> None:
        self._settings = settings
        self._context = None if settings.tls is None else tls.client_context(settings.tls)
        self._password = None if settings.password_file is None else secret_in(settings.password_file)

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:  # noqa: ARG002
        message = mail_of(json.loads(content), self._settings)
        try:
            refused = self._sent(message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            raise _failed(codes[0] if codes else 0) from None
        except smtplib.SMTPResponseException as error:
            raise _failed(error.smtp_code) from None
        except (smtplib.SMTPException, OSError) as error:
            raise Unreachable(f"the mail server cannot be reached ({brief(error)})") from error
        text = "accepted" if not refused else f"accepted, {refused} of {len(self._settings.recipients)} refused"
        return Receipt(text, len(content))

    def close(self) -> None:
        """Nothing is kept open."""

    def _sent(self, message: EmailMessage) -> int:
        """How many recipients the server refused while it took others."""
        settings = self._settings
        with smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s) as server:
            if self._context is not None:
                server.starttls(context=self._context)
            if settings.user is not None and self._password is not None:
                server.login(settings.user, self._password)
            return len(server.send_message(message, settings.sender, list(settings.recipients)))


def mail_of(parts: Mapping[str, Any], settings: MailDestinationSettings) -> EmailMessage:
    """The mail. Its Message-ID is derived: a repeat has the same."""
    message = EmailMessage()
    message["From"], message["To"] = settings.sender, ", ".join(settings.recipients)
    message["Subject"] = _allowed(printable(parts["title"]), settings)
    message["Date"] = format_datetime(datetime.fromisoformat(parts["at"]))
    host = settings.sender.rpartition("@")[2]
    message["Message-ID"] = f"<{parts['id']}@{host}>"
    if parts.get("replaces"):  # mail programs show it below the one that it replaces
        before = [parts["replaces"], *parts.get("replaces_also", ())]
        message["In-Reply-To"] = message["References"] = " ".join(f"<{one}@{host}>" for one in before)
    lines = [_allowed(one, settings) for one in parts["lines"] if settings.study_dates or not one.startswith(DATES)]
    facts = [f"{NAMES[key]}: {printable(parts['facts'][key])}" for key in settings.include if parts["facts"][key]]
    message.set_content("\n".join([*lines, *facts]) + "\n")
    return message


def _allowed(text: str, settings: MailDestinationSettings) -> str:
    """The text without the dates that it names, unless the settings allow them."""
    return text if settings.study_dates else DATE.sub("(date)", text)


def _failed(code: int) -> Exception:
    """Texts of the server are left out: they may quote an address."""
    text = f"the mail server answers {code}"
    permanent = code in FOR_GOOD and code not in NOT_THE_MAIL
    return DeliveryRejected(text) if permanent else Unreachable(text)
