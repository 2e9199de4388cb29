"""Outputs to a DICOM node: C-STORE on one association for each study, with storage commitment when it is wanted."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

from workers import dicom_status
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.delivery_ports import Delivery, Receipt
from workers.log import brief
from workers.remote import tls
from workers.result_settings import DicomDestinationSettings

if TYPE_CHECKING:
    from pydicom import Dataset

# What our results are (PS3.4 B.5). pynetdicom's own list of storage classes is longer than an association may offer.
RESULT_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.88.34": "Comprehensive 3D SR",
    "1.2.840.10008.5.1.4.1.1.66.4": "Segmentation",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture",
    "1.2.840.10008.5.1.4.1.1.88.59": "Key Object Selection",
    "1.2.840.10008.5.1.4.1.1.11.1": "Grayscale Softcopy Presentation State",
    "1.2.840.10008.5.1.4.1.1.30": "Parametric Map",
    "1.2.840.10008.5.1.4.1.1.66.1": "Spatial Registration",
    "1.2.840.10008.5.1.4.1.1.104.1": "Encapsulated PDF",
    "1.2.840.10008.5.1.4.1.1.4": "MR Image",
}
# which of them each kind of output needs
CLASS_OF = {
    "sr": "1.2.840.10008.5.1.4.1.1.88.34",
    "seg": "1.2.840.10008.5.1.4.1.1.66.4",
    "sc": "1.2.840.10008.5.1.4.1.1.7",
    "sc_pages": "1.2.840.10008.5.1.4.1.1.7.4",
    "kos": "1.2.840.10008.5.1.4.1.1.88.59",
    "retract": "1.2.840.10008.5.1.4.1.1.88.59",
    "gsps": "1.2.840.10008.5.1.4.1.1.11.1",
    "pm": "1.2.840.10008.5.1.4.1.1.30",
    "reg": "1.2.840.10008.5.1.4.1.1.66.1",
    "pdf": "1.2.840.10008.5.1.4.1.1.104.1",
    "images": "1.2.840.10008.5.1.4.1.1.4",
}
SYNTAXES = {"explicit": "1.2.840.10008.1.2.1", "implicit": "1.2.840.10008.1.2"}
COMMITMENT_CLASS, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
VERIFICATION = "1.2.840.10008.1.1"
USER_NAME, USER_AND_PASSCODE = 1, 2  # PS3.7 D.3.3.7


class DicomSender:
    """See delivery_ports.Destination.

    Args:
        own_ae: our AE title.
    """

    def __init__(self, settings: DicomDestinationSettings, own_ae: str) -> None:
        self._settings, self._own_ae = settings, own_ae
        self._association: Any = None
        self._reports: queue.Queue[Dataset] = queue.Queue()

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:  # noqa: ARG002
        from pydicom import dcmread

        dataset = dcmread(BytesIO(content))
        association = self._open()
        sop_class = str(dataset.SOPClassUID)
        if sop_class not in {str(one.abstract_syntax) for one in association.accepted_contexts}:
            name = RESULT_CLASSES.get(sop_class, sop_class)
            raise DeliveryRejected(f"{self._settings.ae_title} accepts no {name} objects ({sop_class})")
        try:
            status = association.send_c_store(dataset)
        except (ValueError, RuntimeError, AttributeError) as error:
            if not association.is_established:
                self._drop()
                raise Unreachable("the association ended before the object was sent") from error
            raise DeliveryRejected(
                f"the object cannot be sent in an accepted transfer syntax ({brief(error)})"
            ) from error
        text = self._understood(getattr(status, "Status", None))
        if self._settings.commitment:
            text = f"{text}; {self._committed(dataset)}"
        return Receipt(text, len(content))

    def close(self) -> None:
        association, self._association = self._association, None
        if association is not None and association.is_established:
            association.release()

    def probe(self) -> list[str]:
        """What the node accepts of our results, in words; for a person.

        Raises:
            Unreachable: it cannot be called.
        """
        association = self._open(also=(VERIFICATION,))
        accepted = {str(one.abstract_syntax) for one in association.accepted_contexts}
        said = []
        if VERIFICATION in accepted:
            said.append(f"C-ECHO 0x{getattr(association.send_c_echo(), 'Status', 0xFFFF):04X}")
        said += [f"accepts {name}" for uid, name in RESULT_CLASSES.items() if uid in accepted]
        needed = {CLASS_OF[kind] for kind in self._settings.outputs if kind in CLASS_OF}
        for uid, name in RESULT_CLASSES.items():
            if uid not in accepted:
                said.append(f"{'REFUSES' if uid in needed else 'does not accept (and need not)'} {name} ({uid})")
        if self._settings.commitment:
            said.append(("accepts" if COMMITMENT_CLASS in accepted else "REFUSES") + " storage commitment")
        self.close()
        return said

    def _open(self, also: tuple[str, ...] = ()) -> Any:
        if self._association is not None and self._association.is_established:
            return self._association
        from pynetdicom import AE, evt

        settings = self._settings
        ae = AE(ae_title=self._own_ae)
        ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = settings.timeout_s
        for uid in RESULT_CLASSES:
            for name in settings.transfer_syntaxes:  # one context for each: the acceptor may choose, and we prefer
                ae.add_requested_context(uid, SYNTAXES[name])
        for uid in (*also, *([COMMITMENT_CLASS] if settings.commitment else [])):
            ae.add_requested_context(uid)
        secured = None if settings.tls is None else (tls.client_context(settings.tls), settings.host)
        association = ae.associate(
            settings.host,
            settings.port,
            ae_title=settings.ae_title,
            tls_args=secured,
            ext_neg=self._identity(),
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._reported)],
        )
        if not association.is_established:
            raise Unreachable(_why_not(association, settings.ae_title))
        self._association = association
        return association

    def _identity(self) -> list[Any]:
        if self._settings.user is None:
            return []
        from pynetdicom.pdu_primitives import UserIdentityNegotiation

        identity = UserIdentityNegotiation()
        identity.user_identity_type = USER_NAME if self._settings.passcode is None else USER_AND_PASSCODE
        identity.primary_field = self._settings.user.encode()
        if self._settings.passcode is not None:
            identity.secondary_field = self._settings.passcode.encode()
        return [identity]

    def _understood(self, status: int | None) -> str:
        """The answer to a C-STORE in words.

        Raises:
            DeliveryRejected, Unreachable: the object is not stored.
        """
        if status is None:
            self._drop()
            raise Unreachable(f"{self._settings.ae_title} did not answer, or ended the association")
        text = f"C-STORE 0x{status:04X}"
        if status == dicom_status.SUCCESS:
            return text
        if dicom_status.is_warning(status):
            return f"{text} (stored, with a warning)"
        if status == dicom_status.DUPLICATE_INSTANCE:
            return f"{text} (it was there already)"
        if dicom_status.is_refusal_for_good(status):
            raise DeliveryRejected(f"{self._settings.ae_title} refuses the object: {text}")
        raise Unreachable(f"{self._settings.ae_title} cannot store it now: {text}")

    def _committed(self, sent: Dataset) -> str:
        """Ask for commitment to one object, and wait for the report on this association.

        Raises:
            Unreachable: the node does not commit itself; the object is sent again.
        """
        from pydicom import Dataset
        from pydicom.uid import generate_uid

        reference, request = Dataset(), Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sent.SOPClassUID, sent.SOPInstanceUID
        request.TransactionUID, request.ReferencedSOPSequence = generate_uid(), [reference]
        try:
            status, _ = self._association.send_n_action(request, 1, COMMITMENT_CLASS, COMMITMENT_INSTANCE)
        except (ValueError, RuntimeError, AttributeError) as error:
            return f"storage commitment not possible ({brief(error)})"
        if getattr(status, "Status", None) != dicom_status.SUCCESS:
            return f"storage commitment not accepted (0x{getattr(status, 'Status', 0xFFFF):04X})"
        with suppress(queue.Empty):
            while True:
                report = self._reports.get(timeout=self._settings.commitment_wait_s)
                if report.TransactionUID != request.TransactionUID:
                    continue
                if report.get("FailedSOPSequence"):
                    raise Unreachable(f"{self._settings.ae_title} does not commit itself to the object")
                return "committed"
        return f"no storage commitment report in {self._settings.commitment_wait_s:g} s"

    def _reported(self, event: Any) -> tuple[int, None]:
        self._reports.put(event.event_information)
        return 0x0000, None

    def _drop(self) -> None:
        association, self._association = self._association, None
        if association is not None and association.is_established:
            # abort() waits for the connection to end; nothing of ours depends on that
            threading.Thread(target=association.abort, daemon=True).start()


def _why_not(association: Any, ae_title: str) -> str:
    if association.is_rejected:
        reason = getattr(association.acceptor.primitive, "reason_str", "") if association.acceptor.primitive else ""
        return f"{ae_title} rejects the association" + (f": {reason}" if reason else "")
    return f"{ae_title} cannot be reached"
