"""Rows of the index about a file: made of its head, when it is stored and whenever it is read again."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from triage.errors import Rejected
from workers.dicom_status import CANNOT_UNDERSTAND, DOES_NOT_MATCH
from workers.files import part10
from workers.files.blank_images import fills_blank
from workers.files.byte_sources import ReadAt
from workers.files.dataset_head import (
    Head,
    Uids,
    Values,
    head_in,
    position_of_group,
    read_values,
    uids_in,
)
from workers.files.part10 import Announced
from workers.files.uid_paths import relative_path, valid_uid
from workers.ports import ConflictRow, InstanceRow

ACQUISITION_GROUP = 0x0018  # from here on the data set says how the image was acquired, where it lies, and its pixels


def read_row(root: Path, path: Path) -> InstanceRow:
    """The index row of a stored file, read again from the file itself.

    Raises:
        Rejected: the file is cut short, or not one this store wrote under this name.
        OSError: the file cannot be read.
    """
    return _row(root, path, None)


def read_cut_row(root: Path, path: Path) -> InstanceRow:
    """The index row of a stored file that lost its end: its size is that of the whole file, as its preamble has it.

    Raises:
        Rejected: it does not say how long it was, or who it is.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        whole = part10.sealed_bytes(file.fileno())
    if whole is None:
        raise Rejected(CANNOT_UNDERSTAND, "incomplete", "the file does not say how long it was")
    return _row(root, path, whole)


def _row(root: Path, path: Path, size_bytes: int | None) -> InstanceRow:
    """size_bytes: of the file when it was whole; None: it has to be whole."""
    with path.open("rb") as file:
        fd = file.fileno()
        if size_bytes is None and not part10.is_complete(fd):
            raise Rejected(CANNOT_UNDERSTAND, "incomplete", "the file is shorter than what was received")
        start, announced = part10.read_meta(fd)
        values, uids = identified(_reader(fd), start, announced)
        status = os.fstat(fd)
    if str(path.relative_to(root)) != relative_path(uids.sop_instance_uid):
        raise Rejected(DOES_NOT_MATCH, "uid_mismatch", "the file lies under the name of another SOP Instance UID")
    size = status.st_size if size_bytes is None else size_bytes
    return row_of(announced, head_in(values, uids), size, datetime.fromtimestamp(status.st_mtime, UTC))


def read_conflict(root: Path, path: Path) -> ConflictRow:
    """The index row of a file in the conflicts folder.

    Args:
        root: the folder of the stored files.

    Raises:
        Rejected: it is none that this store put there.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start, announced = part10.read_meta(file.fileno())
        values, uids = identified(_reader(file.fileno()), start, announced)
        received_at = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        stored = root / relative_path(uids.sop_instance_uid)
        same = _same_images(file.fileno(), stored)
        fills = not same and _fills_blank(file.fileno(), stored)
    head = head_in(values, uids)
    return ConflictRow(
        path=path.name,
        sop_instance_uid=uids.sop_instance_uid,
        series_instance_uid=uids.series_instance_uid,
        study_instance_uid=uids.study_instance_uid,
        received_at=received_at,
        calling_ae=announced.calling_ae,
        patient_id=head.patient_id,
        issuer=head.issuer,
        birth_date=head.birth_date,
        sex=head.sex,
        same_images=same,
        fills_blank=fills,
    )


def _same_images(fd: int, stored: Path) -> bool:
    """Whether only what stands before the acquisition differs: identity and description. The rest is compared byte by
    byte, so that a re-encoded object does not count as the same."""
    try:
        with stored.open("rb") as file:
            ends = [_images_begin(one) for one in (fd, file.fileno())]
            (begin, syntax), (begin_stored, syntax_stored) = ends
            if begin is None or begin_stored is None or syntax != syntax_stored:
                return False
            return part10.same_bytes((fd, begin), (file.fileno(), begin_stored))
    except (FileNotFoundError, Rejected):
        return False


def _fills_blank(fd: int, stored: Path) -> bool:
    try:
        with stored.open("rb") as file:
            return fills_blank(file.fileno(), fd)
    except (FileNotFoundError, Rejected):
        return False


def _images_begin(fd: int) -> tuple[int | None, str]:
    """Position of the first element of the acquisition, and the transfer syntax."""
    start, announced = part10.read_meta(fd)
    found = position_of_group(_reader(fd), start, announced.transfer_syntax_uid, ACQUISITION_GROUP)
    return None if found is None else start + found, announced.transfer_syntax_uid


def _reader(fd: int) -> ReadAt:
    return lambda position, count: os.pread(fd, count, position)


def identified(read_at: ReadAt, start: int, announced: Announced) -> tuple[Values, Uids]:
    """What the index wants of a data set that begins at ``start``, and who it is.

    Raises:
        Rejected: it is damaged, or a UID in it is none.
    """
    values = read_values(read_at, start, announced.transfer_syntax_uid)
    uids = uids_in(values)
    if not all(map(valid_uid, uids)):
        raise Rejected(CANNOT_UNDERSTAND, "invalid_uid", "a UID in the data set is not a UID")
    return values, uids


def row_of(announced: Announced, head: Head, size_bytes: int, received_at: datetime) -> InstanceRow:
    """The row of a file with this head, put where its UID says."""
    return InstanceRow(
        **vars(head),
        transfer_syntax_uid=announced.transfer_syntax_uid,
        path=relative_path(head.sop_instance_uid),
        size_bytes=size_bytes,
        received_at=received_at,
        calling_ae=announced.calling_ae,
    )
