"""A stored image that lost bytes goes nowhere: it is refused by name, whoever would get it, and the others go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workers.deliveries.test_to_dicom import EXPLICIT, SC, Node, an_object, sender_to, serving
from workers.config import parse
from workers.deliveries.errors import DeliveryRejected
from workers.deliveries.to_dicom import DicomSender
from workers.deliveries.to_folder import FolderSender
from workers.deliveries.whole_images import check_whole
from workers.files.part10 import PREAMBLE, PREAMBLE_MAGIC
from workers.image_ports import ImageFile
from workers.result_settings import FolderDestinationSettings


def an_image(folder: Path, number: int = 1, *, sealed: bool = True) -> ImageFile:
    """As the store writes it; not sealed: it came back from a backup of another program."""
    path, content = folder / f"{number}.dcm", an_object(number)
    if sealed:
        content = PREAMBLE.pack(PREAMBLE_MAGIC, len(content)).ljust(128, b"\0") + content[128:]
    path.write_bytes(content)
    return ImageFile(path, "1.2.3", SC, f"1.2.3.{number}", EXPLICIT, len(content))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def replaced(path: Path) -> None:
    """By a whole copy that is longer; its row follows."""
    content = path.read_bytes() + b"\x09\x00\x10\x00LO\x02\x00x "
    path.write_bytes(PREAMBLE.pack(PREAMBLE_MAGIC, len(content)).ljust(128, b"\0") + content[128:])


def untouched(_path: Path) -> None:
    """As it was stored."""


FILES = [
    pytest.param(untouched, True, None, id="no-op: whole"),
    pytest.param(untouched, False, None, id="no-op: whole, of another program"),
    pytest.param(replaced, True, None, id="no-op: came again whole"),
    pytest.param(cut, True, "bytes of the", id="cut"),
    pytest.param(cut, False, "bytes of the", id="cut, of another program"),
    pytest.param(emptied, True, "it has 0 bytes", id="empty"),
    pytest.param(zeroed, True, "no DICOM file", id="zeros of a disk that failed"),
    pytest.param(Path.unlink, True, "gone", id="not measured: gone"),
]


@pytest.mark.parametrize(("happens", "sealed", "said"), FILES)
def test_what_counts_as_whole(
    tmp_path: Path, happens: Callable[[Path], None], said: str | None, *, sealed: bool
) -> None:
    image = an_image(tmp_path, sealed=sealed)
    happens(image.path)
    if said is None:
        check_whole(image)
    else:
        with pytest.raises(DeliveryRejected, match=said):
            check_whole(image)


def to_folder(folder: Path) -> FolderSender:
    folder.mkdir()
    own = {"name": "share", "kind": "folder", "path": str(folder), "outputs": ["images"]}
    settings = parse({"results": {"destinations": [own]}}).results.destinations[0]
    assert isinstance(settings, FolderDestinationSettings)
    return FolderSender(settings)


@pytest.mark.parametrize("kind", ["dicom", "folder"])
def test_a_damaged_one_is_named_and_the_others_go(tmp_path: Path, kind: str) -> None:
    images, taken, node = [an_image(tmp_path, number) for number in (1, 2, 3)], list[ImageFile](), Node()
    cut(images[1].path)
    with serving(node) as port:
        to: DicomSender | FolderSender = sender_to(port) if kind == "dicom" else to_folder(tmp_path / "out")
        with pytest.raises(DeliveryRejected, match=r"1 of 3 images are refused: .* is damaged"):
            to.send_images(images, taken.append)
    assert taken == [images[0], images[2]]
    assert len(node.stored) == (2 if kind == "dicom" else 0)
