"""The ports of images on their way out: which came together, where they go, and who takes them. Tests use the batches
of the index themselves, on SQLite; a fake of ImageTaker stands in tests/fakes_deliveries.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from workers.delivery_ports import Decided, Delivery, Receipt
from workers.ports import InstanceRow

IMAGES = "images"  # the output of a delivery that sends images as they came
ARRIVAL = "arrival"  # its stage; the revision is the number of the batch


@dataclass(frozen=True)
class ImageBatch:
    """Images of one series that came together. number: within the study, from 1. received_at: of the newest image.

    planned: it was decided where they go as they arrived; a decision may send them further.
    """

    study_instance_uid: str
    number: int
    series_instance_uid: str
    images: int
    received_at: datetime
    planned: bool = False

    @property
    def key(self) -> Decided:
        """The key of its deliveries."""
        return Decided(self.study_instance_uid, self.number, ARRIVAL)


@dataclass(frozen=True)
class Tag:
    """A mark that a rule put on a study."""

    study_instance_uid: str
    tag: str
    rule: str
    at: datetime


@dataclass(frozen=True)
class ImageFile:
    """One stored image: the file is sent as it is."""

    path: Path
    study_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    size_bytes: int


class ImageBatches(Protocol):
    """Images that came together, and tags. Every method is one transaction and may raise errors.Transient."""

    def to_batch(self, *, quiet_since: datetime, older_than: datetime, now: datetime) -> list[str]:
        """Studies with images in no batch: the newest came before ``quiet_since`` or the oldest before ``older_than``.

        A time after ``now`` was written before the clock was set back, and counts as long ago.
        """

    def make_batches(self, study_instance_uid: str) -> int:
        """Put the images that are in no batch into new ones, one for each series; how many batches."""

    def without_plan(self, *, limit: int) -> list[str]:
        """Studies with batches for which nobody has decided where they go, in the order of their UIDs."""

    def oldest_without_plan(self) -> datetime | None:
        """When the newest image of the oldest batch came for which nobody has decided where it goes."""

    def batches(self, study_instance_uid: str) -> list[ImageBatch]:
        """By number."""

    def batch_images(self, study_instance_uid: str, number: int) -> list[InstanceRow]:
        """By SOP Instance UID."""

    def plan_images(self, batches: Sequence[ImageBatch], deliveries: Sequence[Delivery], *, now: datetime) -> None:
        """Insert the deliveries and note that these batches have their plan, together.

        A delivery that is there stays as it is, unless it was only planned in shadow mode and this one is not.
        """

    def put_tags(self, tags: Sequence[Tag]) -> None:
        """One that is there stays as it is."""

    def tags(self, study_instance_uids: Sequence[str]) -> dict[str, list[Tag]]:
        """By study, oldest first; only studies that have tags."""


@runtime_checkable
class ImageTaker(Protocol):
    """A destination that takes images, too."""

    def send_images(self, images: Sequence[ImageFile], taken: Callable[[ImageFile], None]) -> Receipt:
        """Send each as it is stored. taken: called for each that the other side has.

        Raises:
            DeliveryRejected: the receiver says no to some; all others were tried.
            Unreachable: the rest is tried again.
        """
