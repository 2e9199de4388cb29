"""Images one by one: each fault costs its own image only."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.one_by_one import sent_one_by_one
from workers.image_ports import ImageFile

HEAD = bytes(128) + b"DICM"


class Unread(type(Path())):  # type: ignore[misc]
    """A file on a disk that fails."""

    def read_bytes(self) -> bytes:
        raise OSError(errno.EIO, "Input/output error")


def some(folder: Path, kinds: str) -> list[ImageFile]:
    """One image for each letter: (o)k, (g)one, (u)nreadable, (r)efused, (a)way."""
    found = []
    for number, kind in enumerate(kinds):
        path = (Unread if kind == "u" else Path)(folder / f"{number}-{kind}")
        if kind != "g":
            Path(path).write_bytes(HEAD + kind.encode())
        found.append(ImageFile(path, "1.2", "1.2.3", f"1.2.{number}", "1.2.840.10008.1.2.1", len(HEAD) + 1))
    return found


def put(_image: ImageFile, content: bytes) -> None:
    if content == HEAD + b"r":
        raise DeliveryRejected("no")
    if content == HEAD + b"a":
        raise Unreachable("away")


@pytest.mark.parametrize(
    ("kinds", "ends", "has"),
    [
        pytest.param("ooo", None, [0, 1, 2], id="no-op: all are taken"),
        pytest.param("", None, [], id="none"),
        pytest.param("goo", (DeliveryRejected, "1 of 3 images are refused: the file"), [1, 2], id="one is gone"),
        pytest.param("oro", (DeliveryRejected, "1 of 3 images are refused: no"), [0, 2], id="one is refused"),
        pytest.param("uoo", (OSError, "cannot be read now"), [1, 2], id="one is unreadable: the rest goes"),
        pytest.param("gruo", (OSError, "cannot be read now"), [3], id="what passes comes first"),
        pytest.param("oao", (Unreachable, "away"), [0], id="away: nothing more is tried"),
    ],
)
def test_each_fault_costs_its_own_image(
    tmp_path: Path, kinds: str, ends: tuple[type[Exception], str] | None, has: list[int]
) -> None:
    images, taken = some(tmp_path, kinds), list[ImageFile]()
    if ends is None:
        receipt = sent_one_by_one(images, put, taken.append, what="files")
        assert (receipt.text, receipt.size_bytes) == (f"{len(images)} files", len(images) * (len(HEAD) + 1))
    else:
        with pytest.raises(ends[0], match=ends[1]):
            sent_one_by_one(images, put, taken.append, what="files")
    assert taken == [images[number] for number in has]
