"""A batch of stored images and a destination in, the images at the destination out.

The images go in portions. What the other side has is remembered while the process runs, so that a destination that
breaks off again and again still gets on. A process that dies sends its batch from the beginning: the same bytes under
the same UIDs, which a receiver stores once.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from triage.errors import Transient
from workers.deliveries.errors import DeliveryRejected
from workers.delivery_ports import Delivery, Destination, Receipt
from workers.image_ports import ImageBatches, ImageFile, ImageTaker
from workers.ports import InstanceFiles

PORTION = 20  # images on their way before the time is looked at
PORTION_BYTES = 32 << 20
SHARE_S = 20.0  # then others of the destination have their turn; shorter than its lease (sending.HOLD_S)
REMEMBERED = 64  # batches


class MoreToSendError(Transient):
    """Its time is over and the batch is not; it goes on at once."""


@dataclass(frozen=True)
class StoredImages:
    """What images are read from."""

    batches: ImageBatches
    files: InstanceFiles
    seconds: Callable[[], float] = time.monotonic


class ImageSending:
    """For one destination."""

    def __init__(self, stored: StoredImages, destination: Destination) -> None:
        self._stored, self._destination = stored, destination
        self._taken: OrderedDict[int, set[str]] = OrderedDict()

    def sent(self, delivery: Delivery) -> Receipt:
        """Send what the other side does not have yet.

        Raises:
            DeliveryRejected: it says no to some; all others were tried.
            Unreachable, MoreToSendError: it goes on later.
            OSError: some cannot be read now; all others were tried.
        """
        images = self._images(delivery)
        if not images:
            return Receipt("nothing to send: the images are not here any more")
        size = sum(one.size_bytes for one in images)
        if delivery.shadow:
            of = f" of {delivery.shadow_of}" if delivery.shadow_of else ""
            return Receipt(f"not sent: shadow mode{of}; {len(images)} images", size)
        if not isinstance(self._destination, ImageTaker):
            raise DeliveryRejected("this kind of destination takes no images")
        taken = self._remembered(delivery.number)
        rest = [one for one in images if one.sop_instance_uid not in taken]
        refused, said, until = "", "", self._stored.seconds() + SHARE_S
        unread: OSError | None = None
        for portion in _portions(rest):
            if self._stored.seconds() >= until:
                raise MoreToSendError(f"{len(taken)} of {len(images)} images are sent")
            try:
                receipt = self._destination.send_images(portion, lambda one: taken.add(one.sop_instance_uid))
                said = receipt.text.partition("; ")[2]
            except DeliveryRejected as error:
                refused = refused or str(error)
            except OSError as error:
                unread = error
        if unread is not None:
            raise unread
        if refused:
            raise DeliveryRejected(f"{len(taken)} of {len(images)} images are sent; {refused}")
        self._taken.pop(delivery.number, None)
        return Receipt(f"{len(images)} images" + (f"; {said}" if said else ""), size)

    def _images(self, delivery: Delivery) -> list[ImageFile]:
        decided = delivery.decided
        rows = self._stored.batches.batch_images(decided.study_instance_uid, decided.revision)
        return [
            ImageFile(
                self._stored.files.path(row),
                row.study_instance_uid,
                row.sop_class_uid,
                row.sop_instance_uid,
                row.transfer_syntax_uid,
                row.size_bytes,
            )
            for row in rows
        ]

    def _remembered(self, number: int) -> set[str]:
        taken = self._taken.setdefault(number, set())
        self._taken.move_to_end(number)
        while len(self._taken) > REMEMBERED:
            self._taken.popitem(last=False)
        return taken


def _portions(images: Sequence[ImageFile]) -> Iterator[list[ImageFile]]:
    portion: list[ImageFile] = []
    for image in images:
        if portion and (
            len(portion) >= PORTION or sum(one.size_bytes for one in portion) + image.size_bytes > PORTION_BYTES
        ):
            yield portion
            portion = []
        portion.append(image)
    if portion:
        yield portion
