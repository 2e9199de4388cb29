"""The first bytes of a file in, what kind of archive it is out. Archives are not opened: they are named, so that
somebody unpacks them."""

from __future__ import annotations

START_BYTES = 512  # suffice for each kind
_TAR_AT = 257
_BEGINNINGS = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "empty zip"),
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)


def archive_kind(start: bytes) -> str | None:
    """zip, tar, ...; None: no archive that is known. start: START_BYTES of the file, or all of a shorter one."""
    if start[_TAR_AT : _TAR_AT + 5] == b"ustar":
        return "tar"
    return next((name for magic, name in _BEGINNINGS if start.startswith(magic)), None)


def advice(archive: str) -> str:
    """What to do with it."""
    return f"{'an' if archive[0] in 'aeiou' else 'a'} {archive} archive: unpack it"
