"""Outputs into a folder: STUDY_UID/r<revision>-<stage>/<file>, each file whole or not at all, never overwritten."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.one_by_one import sent_one_by_one
from workers.delivery_ports import Delivery, Receipt
from workers.image_ports import ImageFile
from workers.result_settings import FolderDestinationSettings

UID = re.compile(r"[0-9][0-9.]{0,63}")


def name_in(delivery: Delivery, file_name: str) -> str:
    """Where an output stands below the folder or the prefix of a destination.

    Raises:
        DeliveryRejected: the study's UID is none; it never becomes a path.
    """
    decided = delivery.decided
    if not UID.fullmatch(decided.study_instance_uid) or Path(file_name).name != file_name:
        raise DeliveryRejected("the study has no UID that can be part of a file name")
    return f"{decided.study_instance_uid}/r{decided.revision}-{decided.stage}/{file_name}"


def image_name(image: ImageFile) -> str:
    """The same for an image.

    Raises:
        DeliveryRejected: one of its UIDs is none.
    """
    if not UID.fullmatch(image.study_instance_uid) or not UID.fullmatch(image.sop_instance_uid):
        raise DeliveryRejected("an image has no UID that can be part of a file name")
    return f"{image.study_instance_uid}/images/{image.sop_instance_uid}.dcm"


class FolderSender:
    """See delivery_ports.Destination."""

    def __init__(self, settings: FolderDestinationSettings) -> None:
        self._folder = settings.path

    def send(self, delivery: Delivery, file_name: str, media_type: str, content: bytes) -> Receipt:  # noqa: ARG002
        return Receipt(self._put(name_in(delivery, file_name), content), len(content))

    def _put(self, name: str, content: bytes) -> str:
        if not self._folder.is_dir():
            raise Unreachable("the folder does not exist; a share that is not mounted?")
        path = self._folder / name
        try:
            self._make_folders(path)
            return _created(path, content)
        except OSError as error:
            raise Unreachable(f"the file cannot be written ({error.strerror})") from error

    def _make_folders(self, path: Path) -> None:
        """Those below the destination's folder, each with its mode: whoever reads that one fetches from them, although
        the node keeps its own files private."""
        mode = stat.S_IMODE(self._folder.stat().st_mode)
        for folder in reversed([one for one in path.parents if self._folder in one.parents]):
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            with contextlib.suppress(OSError):  # some shares know no modes
                folder.chmod(mode)

    def send_images(self, images: Sequence[ImageFile], taken: Callable[[ImageFile], None]) -> Receipt:
        """See image_ports.ImageTaker. Below STUDY_UID/images, named by their SOP Instance UIDs."""
        return sent_one_by_one(images, lambda one, content: self._put(image_name(one), content), taken, what="files")

    def close(self) -> None:
        """Nothing is kept open."""


def _created(path: Path, content: bytes) -> str:
    """Write the file under a name that nobody has; the same content a second time is no conflict."""
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        try:
            os.link(temporary, path)
        except FileExistsError:
            if path.read_bytes() != content:
                raise DeliveryRejected("a file of this name with other content is there") from None
            return "already there"
        return "written"
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 - a name, not a path of ours
