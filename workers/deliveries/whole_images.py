"""A stored image on its way out, looked at before it is sent: one that lost bytes here is refused and listed."""

from __future__ import annotations

import os

from workers.deliveries.errors import DeliveryRejected
from workers.files.part10 import DICM_AT, sealed_bytes
from workers.image_ports import ImageFile
from workers.log import uid_hash


def check_whole(image: ImageFile) -> None:
    """Look at the beginning and the size of a stored file; no pixel is read.

    What a sender cut before it came goes on as it came.

    Raises:
        DeliveryRejected: it is gone, no DICOM file any more, or has another size than when it was stored.
        OSError: it cannot be looked at now.
    """
    try:
        fd = os.open(image.path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise DeliveryRejected("the file of an image is gone") from None
    try:
        size, sealed = os.fstat(fd).st_size, sealed_bytes(fd)
        is_dicom = os.pread(fd, 4, DICM_AT) == b"DICM"
    finally:
        os.close(fd)
    # a file that was replaced by a whole one says so itself; its row follows
    stored = image.size_bytes if sealed is None else sealed
    which = f"the stored file of image {uid_hash(image.sop_instance_uid)}"
    if size != stored:
        raise DeliveryRejected(f"{which} is damaged: it has {size} bytes of the {stored} that were received")
    if not is_dicom:
        raise DeliveryRejected(f"{which} is damaged: it is no DICOM file any more")
