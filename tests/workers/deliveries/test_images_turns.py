"""The turns of one batch of images: what cannot be sent holds up nothing behind it, and no batch goes on for ever."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.fakes import NOON
from tests.fakes_deliveries import FakeDestination
from workers.deliveries.errors import DeliveryRejected, FilesLostError, Unreachable
from workers.deliveries.images import PORTION, SHARE_S, ImageSending, MoreToSendError, StoredImages
from workers.delivery_ports import Decided, Delivery, Receipt
from workers.image_ports import ImageFile

ONE = Delivery(Decided("1.2", 1, "arrival"), "images", "pacs", NOON, number=1)
SLOW_S = 0.75 * SHARE_S  # two portions fill a turn
UNREAD, REFUSED, BREAKS, MORE = "cannot be read", "no", "broke off", "images are sent"


class Slow(FakeDestination):
    """Each portion takes SLOW_S. The first letter of a UID says what becomes of it: see some."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds, self.has = 0.0, list[str]()
        self.healed: set[str] = set()

    def send_images(self, images: Sequence[ImageFile], taken: Callable[[ImageFile], None]) -> Receipt:
        self.seconds += SLOW_S
        kinds = set()
        for image in images:
            kind = "o" if image.sop_instance_uid in self.healed else image.sop_instance_uid[0]
            if kind == "b":
                raise Unreachable(BREAKS)
            if kind == "o":
                self.has.append(image.sop_instance_uid)
                taken(image)
            kinds.add(kind)
        if "u" in kinds:
            raise OSError(errno.EIO, UNREAD)
        if "r" in kinds:
            raise DeliveryRejected(REFUSED)
        return Receipt(f"{len(images)} images")


def sending(portions: str) -> tuple[ImageSending, Slow]:
    """A portion for each letter, in this order: (o)k, (u)nreadable, (r)efused, the receiver (b)reaks off."""
    rows = [
        SimpleNamespace(
            study_instance_uid="1.2",
            sop_class_uid="1",
            sop_instance_uid=f"{kind}{place:02}{number:02}",
            transfer_syntax_uid="1",
            size_bytes=1,
        )
        for place, kind in enumerate(portions)
        for number in range(PORTION)
    ]
    to = Slow()
    batches, files = SimpleNamespace(batch_images=lambda *_: rows), SimpleNamespace(path=lambda _row: Path("/fake"))
    return ImageSending(StoredImages(batches, files, lambda: to.seconds), to), to  # type: ignore[arg-type]


def turns(images: ImageSending, number: int) -> list[str]:
    said = []
    for _ in range(number):
        try:
            images.sent(ONE)
        except MoreToSendError:
            said.append("more")
        except OSError:
            said.append("unread")
        except DeliveryRejected:
            said.append("refused")
        except Unreachable:
            said.append("away")
        else:
            return [*said, "done"]
    return said


@pytest.mark.parametrize(
    ("portions", "expected"),
    [
        pytest.param("o", "done", id="no-op: one portion"),
        pytest.param("oooo", "more done", id="no-op: two turns"),
        pytest.param("uuoo", "unread more unread unread", id="unreadable ones in front"),
        pytest.param("uuuuuoo", "unread unread more more unread", id="more of them than a turn has time for"),
        pytest.param("rroo", "more refused", id="refused ones in front: each is asked once"),
        pytest.param("rrrrroo", "more more more refused", id="many refused ones"),
        pytest.param("uo", "unread unread", id="all within one turn"),
        pytest.param("boo", "away away away", id="one at which the receiver breaks off"),
    ],
)
def test_all_that_can_be_sent_is_sent_once(portions: str, expected: str) -> None:
    images, to = sending(portions)
    said = turns(images, len(expected.split()) + PORTION * ("b" in portions))
    assert said[: len(expected.split())] == expected.split()
    assert len(to.has) == len(set(to.has)) == portions.count("o") * PORTION


def test_images_that_are_gone_were_not_sent() -> None:
    images, to = sending("")
    with pytest.raises(FilesLostError, match="not here any more, and were not sent"):
        images.sent(ONE)
    assert images.sent(replace(ONE, shadow=True)).text == "not sent: shadow mode; 0 images"
    assert to.has == []


def test_each_unreadable_one_has_its_turn_again() -> None:
    images, to = sending("uuuuu")
    turns(images, 3)
    to.healed = {f"u04{number:02}" for number in range(PORTION)}  # the last ones can be read again, the first cannot
    turns(images, 3)
    assert sorted(to.has) == sorted(to.healed)


def test_what_was_refused_is_asked_again_when_a_person_wants_it() -> None:
    images, to = sending("or")
    assert turns(images, 1) == ["refused"]
    to.healed = {f"r01{number:02}" for number in range(PORTION)}
    assert turns(images, 1) == ["done"]
    assert len(to.has) == 2 * PORTION
