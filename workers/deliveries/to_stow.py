"""Outputs to a DICOMweb server: STOW-RS (PS3.18 10.5), one object in a request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import httpx

from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.one_by_one import sent_one_by_one
from workers.delivery_ports import Delivery, Receipt
from workers.dicom_status import DUPLICATE_INSTANCE, PROCESSING_FAILURE, is_refusal_for_good
from workers.image_ports import ImageFile
from workers.log import brief
from workers.remote.http import asked_pause_s, client_of, status_text
from workers.result_settings import StowDestinationSettings

BOUNDARY = "icansee-result"
FAILED, REASON, RETRIEVE = "00081198", "00081197", "00081199"  # FailedSOPSequence, FailureReason, ReferencedSOPSequence
PASSES = (401, 403, 404, 407, 408, 423, 425, 429)  # the site repairs these; the object itself is not at fault


class StowSender:
    """See delivery_ports.Destination.

    Raises:
        Misconfigured: a certificate, a token or a secret cannot be read.
    """

    def __init__(self, settings: StowDestinationSettings) -> None:
        self._url = settings.url.rstrip("/") + "/studies"
        self._client = client_of(settings, timeout_s=settings.timeout_s)

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:  # noqa: ARG002
        return Receipt(self._posted(content), len(content))

    def send_images(self, images: Sequence[ImageFile], taken: Callable[[ImageFile], None]) -> Receipt:
        """See image_ports.ImageTaker. The file goes as it is, in its own transfer syntax."""
        return sent_one_by_one(images, lambda _one, content: self._posted(content), taken, what="images by STOW-RS")

    def _posted(self, content: bytes) -> str:
        """The answer in words.

        Raises:
            DeliveryRejected, Unreachable: it is not stored.
        """
        head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
            "Accept": "application/dicom+json",
        }
        try:
            answer = self._client.post(
                self._url, content=head + content + f"\r\n--{BOUNDARY}--\r\n".encode(), headers=headers
            )
        except (httpx.HTTPError, OSError, KeyError, ValueError) as error:
            raise Unreachable(f"the DICOMweb server cannot be reached ({brief(error)})") from error
        return understood(answer)

    def close(self) -> None:
        """The client keeps its connection for the next study."""


def understood(answer: httpx.Response) -> str:
    """An answer in words.

    Raises:
        DeliveryRejected, Unreachable: the object is not stored.
    """
    said: Any = None
    with suppress(ValueError):
        said = answer.json()
        if isinstance(said, list) and len(said) == 1:  # a list of data sets (PS3.18 F.2), with one in it
            said = said[0]
    code, reasons = answer.status_code, _failures(said)
    text = status_text(answer) + "".join(f", 0x{reason:04X}" for reason in reasons)
    if reasons and all(reason == DUPLICATE_INSTANCE for reason in reasons):
        return f"{text} (it was there already)"
    if code in (200, 202) and not reasons and _values(said, RETRIEVE):
        return text
    if reasons:  # they say more than the code, which is one for all objects
        for_good = all(reason == DUPLICATE_INSTANCE or is_refusal_for_good(reason) for reason in reasons)
    else:
        for_good = 400 <= code < 500 and code not in PASSES
    if not for_good:
        raise Unreachable(f"the DICOMweb server did not store the object: {text}", again_after_s=asked_pause_s(answer))
    raise DeliveryRejected(f"the DICOMweb server refuses the object: {text}")


def _failures(said: Any) -> list[int]:
    """The failure reasons that a response states (PS3.18 annex I.2)."""
    items = _values(said, FAILED)
    return [next((one for one in _values(item, REASON) if isinstance(one, int)), PROCESSING_FAILURE) for item in items]


def _values(said: Any, tag: str) -> list[Any]:
    """Of an element in DICOM JSON; none when it is not there, or is no such thing."""
    element = said.get(tag) if isinstance(said, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values if isinstance(values, list) else []
