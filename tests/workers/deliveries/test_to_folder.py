"""Files in a folder: whole, never overwritten, never outside."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.fakes import NOON
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.to_folder import FolderSender
from workers.delivery_ports import Decided, Delivery
from workers.image_ports import ImageFile
from workers.result_settings import FolderDestinationSettings

ONE = Delivery(Decided("1.2.3", 2, "full"), "sr", "share", due_at=NOON)


def sender_of(path: Path) -> FolderSender:
    return FolderSender(FolderDestinationSettings(name="share", kind="folder", path=path, outputs=("sr",)))


def test_the_same_twice_is_one_file(tmp_path: Path) -> None:
    sender = sender_of(tmp_path)
    assert sender.send(ONE, "sr.dcm", "application/dicom", b"content").text == "written"
    assert sender.send(ONE, "sr.dcm", "application/dicom", b"content").text == "already there"
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()] == ["1.2.3/r2-full/sr.dcm"]


@pytest.mark.parametrize("mode", [0o755, 0o2775, 0o750, 0o700])
def test_whoever_may_read_the_folder_may_read_what_is_put_into_it(tmp_path: Path, mode: int) -> None:
    """The node keeps its own files private by its umask."""
    share = tmp_path / "share"
    share.mkdir()
    share.chmod(mode)
    before = os.umask(0o077)
    try:
        sender_of(share).send(ONE, "sr.dcm", "application/dicom", b"content")
        (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM")
        image = ImageFile(tmp_path / "a.dcm", "1.2.4", "1.2", "1.2.4.1", "1.2.840.10008.1.2", 132)
        sender_of(share).send_images([image], lambda _one: None)
    finally:
        os.umask(before)
    found = {one.relative_to(share).as_posix(): stat.S_IMODE(one.stat().st_mode) for one in share.rglob("*")}
    folders, files = (
        ("1.2.3", "1.2.3/r2-full", "1.2.4", "1.2.4/images"),
        ("1.2.3/r2-full/sr.dcm", "1.2.4/images/1.2.4.1.dcm"),
    )
    assert found == dict.fromkeys(folders, mode) | dict.fromkeys(files, 0o644)


def test_other_content_is_never_overwritten(tmp_path: Path) -> None:
    sender = sender_of(tmp_path)
    sender.send(ONE, "sr.dcm", "application/dicom", b"content")
    with pytest.raises(DeliveryRejected):
        sender.send(ONE, "sr.dcm", "application/dicom", b"other")
    assert (tmp_path / "1.2.3/r2-full/sr.dcm").read_bytes() == b"content"


def test_a_share_that_is_not_mounted_passes(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="does not exist"):
        sender_of(tmp_path / "away").send(ONE, "sr.dcm", "application/dicom", b"content")


@pytest.mark.parametrize("uid", ["../../etc", "1.2/3", "", "."])
def test_what_is_no_uid_never_becomes_a_path(tmp_path: Path, uid: str) -> None:
    with pytest.raises(DeliveryRejected):
        sender_of(tmp_path).send(
            Delivery(Decided(uid, 1, "full"), "sr", "share", due_at=NOON), "sr.dcm", "application/dicom", b"x"
        )
    assert list(tmp_path.iterdir()) == []
