"""Alerts by e-mail over SMTP with STARTTLS. Without a permission in the settings a mail names no patient, no study and
no date of one."""

from __future__ import annotations

import contextlib
import json
import re
import smtplib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from workers.alert_settings import MailDestinationSettings
from workers.deliveries.errors import DeliveryRejected, Unreachable, WaitsAloneError
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
REMEMBERED_MAILS = 1000
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class MailSender:
    """See delivery_ports.Destination.

    Raises:
        Misconfigured: a certificate or the password cannot be read.
    """

    def __init__(self, settings: MailDestinationSettings) -> None:
        self._settings = settings
        self._context = None if settings.tls is None else tls.client_context(settings.tls)
        self._taken: OrderedDict[str, frozenset[str]] = OrderedDict()  # Message-ID -> who has it, while others have not
        self._password = None if settings.password_file is None else secret_in(settings.password_file)

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:  # noqa: ARG002
        message, everybody = mail_of(json.loads(content), self._settings), self._settings.recipients
        name = str(message["Message-ID"])
        have = self._taken.pop(name, frozenset())
        try:
            refused = self._sent(message, [one for one in everybody if one not in have])
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            self._remember(name, have)
            raise _failed(error.smtp_code) from None
        except smtplib.SMTPResponseException as error:  # nothing was said of this mail yet
            self._remember(name, have)
            raise Unreachable(f"the mail server answers {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError) as error:
            self._remember(name, have)
            raise Unreachable(f"the mail server cannot be reached ({brief(error)})") from error
        have = frozenset(everybody) - refused.keys()
        later = sorted(code for code in refused.values() if not _is_for_good(code))
        if have and later:
            self._remember(name, have)
            raise WaitsAloneError(f"{len(have)} of {len(everybody)} have it; the mail server answers {later[0]}")
        if not have:
            raise _failed(min(refused.values()))
        text = "accepted" if not refused else f"accepted, {len(refused)} of {len(everybody)} refused"
        return Receipt(text, len(content))

    def close(self) -> None:
        """Nothing is kept open."""

    def _remember(self, name: str, have: frozenset[str]) -> None:
        """Who has a mail is not sent it again while the process runs."""
        if have:
            self._taken[name] = have
        while len(self._taken) > REMEMBERED_MAILS:
            self._taken.popitem(last=False)

    def _sent(self, message: EmailMessage, recipients: Sequence[str]) -> dict[str, int]:
        """Whom the server refuses, and with which answer. How it ends the connection says nothing of the mail."""
        settings = self._settings
        server = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)
        try:
            if self._context is not None:
                server.starttls(context=self._context)
            if settings.user is not None and self._password is not None:
                server.login(settings.user, self._password)
            answers = server.send_message(message, settings.sender, list(recipients))
        except smtplib.SMTPRecipientsRefused as error:
            answers = error.recipients
        finally:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                server.quit()
            server.close()
        return {address: code for address, (code, _) in answers.items()}


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
    lines = [_allowed(one, settings) for one in parts["lines"] if settings.study_dates or one != parts.get("dates")]
    facts = [f"{NAMES[key]}: {printable(parts['facts'][key])}" for key in settings.include if parts["facts"][key]]
    message.set_content("\n".join([*lines, *facts]) + "\n")
    return message


def _allowed(text: str, settings: MailDestinationSettings) -> str:
    """The text without the dates that it names, unless the settings allow them."""
    return text if settings.study_dates else DATE.sub("(date)", text)


def _failed(code: int) -> Exception:
    """Texts of the server are left out: they may quote an address."""
    text = f"the mail server answers {code}"
    return DeliveryRejected(text) if _is_for_good(code) else Unreachable(text)


def _is_for_good(code: int) -> bool:
    """Of an answer to MAIL, RCPT or DATA; greetings and others are about the server."""
    return code in FOR_GOOD and code not in NOT_THE_MAIL
