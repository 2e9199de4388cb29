"""Outputs to a DICOM node: C-STORE on one association for each study, with storage commitment when it is wanted."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from workers.deliveries.associations import (
    COMMITMENT_CLASS,
    Reports,
    associated,
    dropped,
    not_accepted,
    store_answer,
)
from workers.deliveries.commitment_requests import CommitmentRequests
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.images_dicom import ImageStore
from workers.delivery_ports import DICOM_OUTPUTS, Delivery, Receipt
from workers.files.commitment_reports import AwaitedReports
from workers.image_ports import ImageFile
from workers.log import brief
from workers.output_kinds import DICOM_KINDS
from workers.result_settings import DicomDestinationSettings

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
# What we send. pynetdicom's own list of storage classes is longer than an association may offer.
RESULT_CLASSES = {kind.sop_class: kind.class_name for kind in DICOM_KINDS.values()} | {MR_IMAGE: "MR Image"}
# which of them each kind of output needs
CLASS_OF = {name: kind.sop_class for name, kind in DICOM_KINDS.items()} | {"images": MR_IMAGE}
SYNTAXES = {"explicit": "1.2.840.10008.1.2.1", "implicit": "1.2.840.10008.1.2"}
VERIFICATION = "1.2.840.10008.1.1"


class DicomSender:
    """See delivery_ports.Destination.

    Args:
        own_ae: our AE title.
        awaited: reports of storage commitment that come to our own port; None: none does.
    """

    def __init__(self, settings: DicomDestinationSettings, own_ae: str, awaited: AwaitedReports | None = None) -> None:
        self._settings, self._own_ae = settings, own_ae
        self._association: Any = None
        self._reports: Reports = queue.Queue()
        self._commitment = CommitmentRequests(settings, self._reports, awaited)
        self._images = ImageStore(settings, own_ae, awaited)

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:  # noqa: ARG002
        from pydicom import dcmread

        dataset = dcmread(BytesIO(content))
        association = self._open()
        sop_class = str(dataset.SOPClassUID)
        if sop_class not in {str(one.abstract_syntax) for one in association.accepted_contexts}:
            name = RESULT_CLASSES.get(sop_class, sop_class)
            said = f"{self._settings.ae_title} accepts no {name} objects ({sop_class})"
            raise not_accepted(association, sop_class, said)
        instance = str(dataset.SOPInstanceUID)
        text = "stored before" if self._commitment.has(instance) else self._stored(association, dataset)
        if self._settings.commitment:
            text = f"{text}; {self._commitment.ask(association, [(sop_class, instance)])}"
        return Receipt(text, len(content))

    def _stored(self, association: Any, dataset: Any) -> str:
        """Store an object; the answer in words.

        Raises:
            DeliveryRejected, Unreachable: it is not stored.
        """
        try:
            status = association.send_c_store(dataset)
        except (ValueError, RuntimeError, AttributeError) as error:
            if not association.is_established:
                self._drop()
                raise Unreachable("the association ended before the object was sent") from error
            raise DeliveryRejected(
                f"the object cannot be sent in an accepted transfer syntax ({brief(error)})"
            ) from error
        return self._understood(getattr(status, "Status", None))

    def send_images(self, images: Sequence[ImageFile], taken: Callable[[ImageFile], None]) -> Receipt:
        """See image_ports.ImageTaker."""
        return self._images.send_images(images, taken)

    def close(self) -> None:
        self._images.close()
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
        said += [f"{self._without(uid)} {name} ({uid})" for uid, name in RESULT_CLASSES.items() if uid not in accepted]
        if self._settings.commitment:
            said.append(("accepts" if COMMITMENT_CLASS in accepted else "REFUSES") + " storage commitment")
        self.close()
        return said

    def _without(self, uid: str) -> str:
        """What it means that the node does not accept a class."""
        wanted = {kind: CLASS_OF[kind] for kind in self._settings.outputs if kind in CLASS_OF}
        if uid in wanted.values():
            return "REFUSES"
        if uid == CLASS_OF["retract"] and wanted.keys() & set(DICOM_OUTPUTS):
            return "does not accept (results cannot be retracted there)"
        return "does not accept (and need not)"

    def _open(self, also: tuple[str, ...] = ()) -> Any:
        if self._association is not None and self._association.is_established:
            return self._association
        settings = self._settings
        results = [(uid, SYNTAXES[name]) for uid in RESULT_CLASSES for name in settings.transfer_syntaxes]
        contexts: list[tuple[str, str | None]] = [*results, *((uid, None) for uid in also)]
        self._association = associated(settings, self._own_ae, contexts, self._reports)
        return self._association

    def _understood(self, status: int | None) -> str:
        """The answer to a C-STORE in words.

        Raises:
            DeliveryRejected, Unreachable: the object is not stored.
        """
        if status is None:
            self._drop()
            raise Unreachable(f"{self._settings.ae_title} did not answer, or ended the association")
        return store_answer(status, self._settings.ae_title)

    def _drop(self) -> None:
        association, self._association = self._association, None
        dropped(association)
