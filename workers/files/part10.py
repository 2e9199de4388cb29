"""The frame around a stored data set (PS3.10 section 7.1): header out for what was announced, back in from a file.

The 128 bytes of the preamble are free for the implementation; ours says how long the complete file is, so that a file
cut short by a power failure can be told from a whole one without reading it.
"""

from __future__ import annotations

import hashlib
import os
import struct
from dataclasses import dataclass

from triage.errors import Rejected
from workers.dicom_status import CANNOT_UNDERSTAND

IMPLEMENTATION_CLASS_UID = "2.25.103597480246121849145653263831869860387"  # PS3.5 Annex B.2: derived from a UUID
IMPLEMENTATION_VERSION_NAME = "ICANSEE_1"

PREAMBLE = struct.Struct("<8sQ")  # magic, length of the complete file in bytes
PREAMBLE_MAGIC = b"ICANSEE1"
DICM_AT = 128
META_AT = 144  # behind preamble, prefix and the group length element
MAX_META_BYTES = 4096
COMPARE_BYTES = 1 << 20


@dataclass(frozen=True)
class Announced:
    """What the C-STORE request and its presentation context say about the data set that follows."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    calling_ae: str = ""


def header(announced: Announced) -> bytes:
    """Preamble (still without the length), prefix and File Meta Information."""
    elements = b"".join(
        (
            struct.pack("<HH2sHI", 2, 0x0001, b"OB", 0, 2) + b"\0\1",
            _element(0x0002, b"UI", announced.sop_class_uid),
            _element(0x0003, b"UI", announced.sop_instance_uid),
            _element(0x0010, b"UI", announced.transfer_syntax_uid),
            _element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
            _element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
            _element(0x0016, b"AE", announced.calling_ae) if announced.calling_ae else b"",
        )
    )
    return bytes(DICM_AT) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(elements)) + elements


def seal(fd: int, size_bytes: int) -> None:
    """Write down how long the complete file is."""
    os.pwrite(fd, PREAMBLE.pack(PREAMBLE_MAGIC, size_bytes), 0)


def is_complete(fd: int) -> bool:
    """False for a file that a crash cut short. One with a foreign preamble (restored) counts as whole."""
    start, size = os.pread(fd, DICM_AT + 4, 0), os.fstat(fd).st_size
    if start[DICM_AT:] != b"DICM":
        return False
    magic, length = PREAMBLE.unpack_from(start)
    return bool(magic != PREAMBLE_MAGIC or length == size)


def sealed_bytes(fd: int) -> int | None:
    """How long this store's file was when it was whole, as its own preamble has it; None: it does not say so."""
    start = os.pread(fd, DICM_AT + 4, 0)
    if start[DICM_AT:] != b"DICM":
        return None
    magic, length = PREAMBLE.unpack_from(start)
    return int(length) if magic == PREAMBLE_MAGIC else None


def read_meta(fd: int) -> tuple[int, Announced]:
    """(start of the data set in bytes, what the File Meta Information says).

    Raises:
        Rejected: the file has no Part-10 header.
    """
    block = os.pread(fd, MAX_META_BYTES, 0)
    if len(block) < META_AT or block[DICM_AT : DICM_AT + 4] != b"DICM":
        raise Rejected(CANNOT_UNDERSTAND, "not_part10", "the file has no Part-10 header")
    return META_AT + int.from_bytes(block[META_AT - 4 : META_AT], "little"), meta_in(block)


def meta_in(block: bytes) -> Announced:
    """What the File Meta Information at the beginning of a file says; elements beyond the block are not there."""
    start = META_AT + int.from_bytes(block[META_AT - 4 : META_AT], "little")
    found: dict[int, str] = {}
    position = META_AT
    while position + 12 <= min(start, len(block)):
        _, element, vr, length = struct.unpack_from("<HH2sH", block, position)
        position += 8
        if vr in (b"OB", b"UN"):
            length = int.from_bytes(block[position : position + 4], "little")
            position += 4
        found[element] = block[position : position + length].decode("ascii", "replace").strip("\0 ")
        position += length
    return Announced(found.get(0x02, ""), found.get(0x03, ""), found.get(0x10, ""), found.get(0x16, ""))


def same_content(one: int, other: int) -> bool:
    """Equal transfer syntax and equal data set bytes; who sent it and which program wrote the header may differ."""
    (start_one, meta_one), (start_other, meta_other) = read_meta(one), read_meta(other)
    if meta_one.transfer_syntax_uid != meta_other.transfer_syntax_uid:
        return False
    return same_bytes((one, start_one), (other, start_other))


def same_bytes(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two open files are equal from their positions (descriptor, byte) to their ends."""
    (fd, start), (fd_other, start_other) = one, other
    if os.fstat(fd).st_size - start != os.fstat(fd_other).st_size - start_other:
        return False
    offset = 0
    while chunk := os.pread(fd, COMPARE_BYTES, start + offset):
        if chunk != os.pread(fd_other, len(chunk), start_other + offset):
            return False
        offset += len(chunk)
    return True


def content_digest(fd: int) -> str:
    """SHA-256 of what makes the content: transfer syntax and data set."""
    position, announced = read_meta(fd)
    digest = hashlib.sha256(announced.transfer_syntax_uid.encode())
    while chunk := os.pread(fd, COMPARE_BYTES, position):
        digest.update(chunk)
        position += len(chunk)
    return digest.hexdigest()


def _element(element: int, vr: bytes, value: str) -> bytes:
    data = value.encode("ascii", "replace")
    if len(data) % 2:
        data += b"\0" if vr == b"UI" else b" "  # PS3.5 section 6.2: UI is padded with NUL, text with a space
    return struct.pack("<HH2sH", 2, element, vr, len(data)) + data
