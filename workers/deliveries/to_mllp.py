"""ORU messages to an HL7 receiver over MLLP or MLLP over TLS; done when it acknowledges this very message."""

from __future__ import annotations

from workers.alert_settings import MllpDestinationSettings
from workers.deliveries.counts import FailureCounts
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.delivery_ports import Delivery, Receipt
from workers.identities import printable
from workers.log import brief
from workers.outputs.alerts.oru_for import Addressing, addressed
from workers.remote import tls
from workers.remote.mllp import MllpConnection, OtherAnswerError

ACCEPTED, ERROR, REJECTED = ("AA", "CA"), ("AE", "CE"), ("AR", "CR")  # MSA-1, HL7 table 0008
ANSWERS = "the receiver answers"
LONGEST_TEXT = 120


class MllpSender:
    """See delivery_ports.Destination.

    Raises:
        Misconfigured: a certificate or a key cannot be read.
    """

    def __init__(self, settings: MllpDestinationSettings) -> None:
        self._settings = settings
        self._addressing = Addressing(
            (settings.sending_application, settings.sending_facility),
            (settings.receiving_application, settings.receiving_facility),
            settings.picture,
            settings.picture_url or "",
        )
        context = None if settings.tls is None else tls.client_context(settings.tls)
        self._connection = MllpConnection(settings.host, settings.port, context, timeout_s=settings.timeout_s)
        self._errors = FailureCounts()

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:  # noqa: ARG002
        message = addressed(content, self._addressing, delivery.decided.study_instance_uid)
        control_id = _field(message, "MSH", 9)
        try:
            answer = self._connection.exchange(message, lambda one: not _is_about_another(one, control_id))
        except ValueError as error:
            raise Unreachable("the answer is no MLLP frame") from error
        except OtherAnswerError as error:
            raise Unreachable("the acknowledgement names another message") from error
        except TimeoutError as error:
            raise Unreachable(f"no acknowledgement within {self._settings.timeout_s:g} s") from error
        except OSError as error:
            raise Unreachable(f"the connection failed or broke off ({brief(error)})") from error
        try:
            text = self._understood(answer, delivery)
        except Unreachable:
            self._connection.close()  # whatever follows on this connection may answer something else
            raise
        return Receipt(text, len(message))

    def close(self) -> None:
        self._connection.close()

    def _understood(self, answer: bytes, delivery: Delivery) -> str:
        """The receiver's code. Only its own answers count: attempts while it was away say nothing about the message.

        Raises:
            DeliveryRejected: AR, or AE as often as the settings allow.
            Unreachable: AE before that, or an answer that makes no sense.
        """
        code = _field(answer, "MSA", 1)
        if not answer.startswith(b"MSH") or code not in (*ACCEPTED, *ERROR, *REJECTED):
            raise Unreachable("the answer is no HL7 acknowledgement")
        if code in ACCEPTED:
            return code
        said = f"{ANSWERS} {code}{_why(answer)}"
        # the row says what went wrong last: nobody knows of the attempts before that, and they count alike
        before = delivery.attempts - 1 if ANSWERS in (delivery.failure or ANSWERS) else 0
        if code in ERROR and self._errors.more(delivery, before=before) < self._settings.tries_after_ae:
            raise Unreachable(said)
        raise DeliveryRejected(said)


def _is_about_another(answer: bytes, control_id: str) -> bool:
    """An acknowledgement, and not of this message. What is none is no reason to go on listening."""
    known = (*ACCEPTED, *ERROR, *REJECTED)
    is_one = answer.startswith(b"MSH") and _field(answer, "MSA", 1) in known
    return is_one and _field(answer, "MSA", 2) != control_id


def _field(message: bytes, name: str, number: int) -> str:
    """A field of the first segment of that name, by its place between the bars; "" without it."""
    for line in message.decode("utf-8", "replace").replace("\n", "\r").split("\r"):
        fields = line.split("|")
        if fields[0] == name:
            return fields[number].strip() if number < len(fields) else ""
    return ""


def _why(answer: bytes) -> str:
    """The code of ERR-3 (HL7 table 0357). Texts of the receiver are left out: they may quote the patient."""
    code = printable(_field(answer, "ERR", 3).partition("^")[0])[:LONGEST_TEXT]
    return f" (error {code})" if code.isalnum() else ""
