"""Files in a folder: whole, never overwritten, never outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import NOON
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.to_folder import FolderSender
from workers.delivery_ports import Decided, Delivery
from workers.result_settings import FolderDestinationSettings

ONE = Delivery(Decided("1.2.3", 2, "full"), "sr", "share", due_at=NOON)


def sender_of(path: Path) -> FolderSender:
    return FolderSender(FolderDestinationSettings(name="share", kind="folder", path=path, outputs=("sr",)))


def test_the_same_twice_is_one_file(tmp_path: Path) -> None:
    sender = sender_of(tmp_path)
    assert sender.send(ONE, "sr.dcm", "application/dicom", b"content").text == "written"
    assert sender.send(ONE, "sr.dcm", "application/dicom", b"content").text == "already there"
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()] == ["1.2.3/r2-full/sr.dcm"]


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
