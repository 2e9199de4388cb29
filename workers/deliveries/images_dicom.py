"""Stored images to a DICOM node by C-STORE: the data set of each file goes byte by byte, in its own transfer syntax."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from typing import Any

from workers.deliveries.associations import (
    NothingTakenError,
    Reports,
    associated,
    dropped,
    not_accepted,
    store_answer,
)
from workers.deliveries.commitment_requests import CommitmentRequests
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.whole_images import check_whole
from workers.delivery_ports import Receipt
from workers.files.commitment_reports import AwaitedReports
from workers.image_ports import ImageFile
from workers.log import brief
from workers.remote.reactor import reactor_paused, send_without_delay
from workers.result_settings import DicomDestinationSettings

MOST_CONTEXTS = 126  # PS3.8 section 9.3.2.2 allows 128; one is for storage commitment


class ImageStore:
    """One association for each study, with a context for each kind of object and transfer syntax that it has.

    Args:
        own_ae: our AE title.
    """

    def __init__(self, settings: DicomDestinationSettings, own_ae: str, awaited: AwaitedReports | None = None) -> None:
        self._settings, self._own_ae = settings, own_ae
        self._association: Any = None
        self._asked: dict[tuple[str, str], None] = {}
        self._reports: Reports = queue.Queue()
        self._commitment = CommitmentRequests(settings, self._reports, awaited)

    def send_images(self, images: Sequence[ImageFile], taken: Callable[[ImageFile], None]) -> Receipt:
        """See image_ports.ImageTaker."""
        association = self._open(images)
        stored: list[ImageFile] = []
        refused: list[str] = []
        unread: OSError | None = None
        with reactor_paused(association):
            for image in images:
                try:
                    if not self._commitment.has(image.sop_instance_uid):
                        self._sent(association, image)
                except DeliveryRejected as error:
                    refused.append(str(error))
                    continue
                except OSError as error:
                    unread = error
                    continue
                stored.append(image)
                if not self._settings.commitment:
                    taken(image)
        said = self._committed(association, stored, taken) if self._settings.commitment and stored else ""
        if unread is not None:
            raise OSError(unread.errno, f"the file of an image cannot be read now ({unread.strerror})") from unread
        if refused:
            raise DeliveryRejected(f"{len(refused)} of {len(images)} images are refused: {refused[0]}")
        return Receipt(f"{len(stored)} images by C-STORE{said}", sum(one.size_bytes for one in stored))

    def close(self) -> None:
        association, self._association = self._association, None
        self._asked = {}
        if association is not None and association.is_established:
            association.release()

    def _sent(self, association: Any, image: ImageFile) -> None:
        """Raises:
        DeliveryRejected, Unreachable: it is not stored.
        OSError: its file cannot be read now.
        """
        check_whole(image)
        try:
            status = getattr(association.send_c_store(image.path), "Status", None)
        except ValueError as error:  # no context for it
            said = f"{self._settings.ae_title} does not take {image.sop_class_uid} in {image.transfer_syntax_uid}"
            raise not_accepted(association, image.sop_class_uid, said) from error
        except (RuntimeError, AttributeError) as error:
            if association.is_established:
                raise DeliveryRejected(f"the file of an image is damaged ({brief(error)})") from error
            status = None
        if status is None:
            self._drop()
            raise Unreachable(f"{self._settings.ae_title} did not answer, or ended the association")
        store_answer(status, self._settings.ae_title)

    def _committed(self, association: Any, stored: Sequence[ImageFile], taken: Callable[[ImageFile], None]) -> str:
        objects = [(one.sop_class_uid, one.sop_instance_uid) for one in stored]
        said = self._commitment.ask(association, objects)
        for image in stored:
            taken(image)
        return f"; {said}"

    def _open(self, images: Sequence[ImageFile]) -> Any:
        from pynetdicom import _config

        wanted = dict.fromkeys((one.sop_class_uid, one.transfer_syntax_uid) for one in images)
        ready = self._association is not None and self._association.is_established
        if ready and wanted.keys() <= self._asked.keys():
            return self._association
        asked = dict(list({**wanted, **(self._asked if ready else {})}.items())[:MOST_CONTEXTS])
        self.close()
        _config.STORE_SEND_CHUNKED_DATASET = True  # from the file as it is, without decoding
        try:
            self._association = associated(self._settings, self._own_ae, asked, self._reports)
        except NothingTakenError as error:
            raise DeliveryRejected(str(error)) from error
        self._asked = asked
        send_without_delay(self._association)
        return self._association

    def _drop(self) -> None:
        association, self._association = self._association, None
        dropped(association)
