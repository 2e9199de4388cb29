"""A batch of stored images and a destination in, the images at the destination out.

The images go in portions. What the other side has is remembered while the process runs, so that a destination that
breaks off again and again still gets on. So is what could not be read or was refused: it holds up nothing behind it.
A process that dies sends its batch from the beginning: the same bytes under the same UIDs, stored once by a receiver.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from triage.errors import Transient
from workers.deliveries.errors import DeliveryRejected, FilesLostError, Unreachable
from workers.delivery_ports import Delivery, Destination, Receipt
from workers.image_ports import ImageBatches, ImageFile, ImageTaker
from workers.ports import InstanceFiles

PORTION = 20  # images on their way before the time is looked at
PORTION_BYTES = 32 << 20
SHARE_S = 2.0  # then what is more urgent has its turn, also results of the same study
REMEMBERED = 64  # batches


class MoreToSendError(Transient):
    """Its time is over and the batch is not; it goes on at once."""


@dataclass(frozen=True)
class StoredImages:
    """What images are read from."""

    batches: ImageBatches
    files: InstanceFiles
    seconds: Callable[[], float] = time.monotonic


@dataclass
class _Progress:
    """Of one batch, by SOP Instance UID. refused: why. last: tried in vain, the latest at the end."""

    taken: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    last: dict[str, None] = field(default_factory=dict)

    def rest(self, images: Sequence[ImageFile]) -> list[ImageFile]:
        """What was never tried, then what was tried in vain, that of the longest ago first."""
        place, ended = {uid: number for number, uid in enumerate(self.last)}, self.taken | self.refused.keys()
        rest = [one for one in images if one.sop_instance_uid not in ended]
        return sorted(rest, key=lambda one: place.get(one.sop_instance_uid, -1))

    def not_taken(self, portion: Sequence[ImageFile]) -> list[str]:
        return [one.sop_instance_uid for one in portion if one.sop_instance_uid not in self.taken]

    def put_last(self, uids: Sequence[str]) -> None:
        for uid in uids:
            self.last.pop(uid, None)
            self.last[uid] = None


class ImageSending:
    """For one destination."""

    def __init__(self, stored: StoredImages, destination: Destination) -> None:
        self._stored, self._destination = stored, destination
        self._progress: OrderedDict[int, _Progress] = OrderedDict()

    def sent(self, delivery: Delivery) -> Receipt:
        """Send what the other side does not have yet.

        Raises:
            DeliveryRejected: it says no to some; all others were tried.
            FilesLostError: they are not here any more; nothing was sent.
            Unreachable, MoreToSendError: it goes on later.
            OSError: some cannot be read now; all others were tried.
        """
        images = self._images(delivery)
        if not images and not delivery.shadow:
            raise FilesLostError("the images are not here any more, and were not sent")
        size = sum(one.size_bytes for one in images)
        if delivery.shadow:
            of = f" of {delivery.shadow_of}" if delivery.shadow_of else ""
            return Receipt(f"not sent: shadow mode{of}; {len(images)} images", size, asked=False)
        if not isinstance(self._destination, ImageTaker):
            raise DeliveryRejected("this kind of destination takes no images")
        progress = self._remembered(delivery.number)
        said = self._turn(self._destination, progress, images)
        if progress.refused:
            why = next(iter(progress.refused.values()))
            progress.refused.clear()  # a person may have it tried again
            raise DeliveryRejected(f"{len(progress.taken)} of {len(images)} images are sent; {why}")
        self._progress.pop(delivery.number, None)
        return Receipt(f"{len(images)} images" + (f"; {said}" if said else ""), size)

    def _turn(self, taker: ImageTaker, progress: _Progress, images: Sequence[ImageFile]) -> str:
        """Try each image that is not taken or refused, while there is time; returns what the receiver said."""
        said, until, before = "", self._stored.seconds() + SHARE_S, len(progress.taken)
        unread: OSError | None = None
        for portion in _portions(progress.rest(images)):
            if self._stored.seconds() >= until:
                if unread is not None and len(progress.taken) == before:
                    raise unread  # at once again would be in vain again, and without end
                raise MoreToSendError(f"{len(progress.taken)} of {len(images)} images are sent")
            try:
                receipt = taker.send_images(portion, lambda one: progress.taken.add(one.sop_instance_uid))
                said = receipt.text.partition("; ")[2]
            except DeliveryRejected as error:
                progress.refused.update(dict.fromkeys(progress.not_taken(portion), str(error)))
            except Unreachable:
                progress.put_last(progress.not_taken(portion)[:1])  # it may be the one that the receiver breaks off at
                raise
            except OSError as error:
                unread = error
                progress.put_last(progress.not_taken(portion))
        if unread is not None:
            raise unread
        return said

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

    def _remembered(self, number: int) -> _Progress:
        progress = self._progress.setdefault(number, _Progress())
        self._progress.move_to_end(number)
        while len(self._progress) > REMEMBERED:
            self._progress.popitem(last=False)
        return progress


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
