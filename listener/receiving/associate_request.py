"""An A-ASSOCIATE-RQ in, the same as pynetdicom reads it out; and what is wrong with one that nobody can admit.

Old peers pad AE titles with NUL and set reserved bits (PS3.8 section 9.3.2). The library aborts the first and rejects
the second without a word to the log.
"""

from __future__ import annotations

_VERSION = slice(6, 8)
_CALLED, _CALLING = slice(10, 26), slice(26, 42)
_FIXED_BYTES = 74


def as_the_library_reads(pdu: bytes) -> bytes:
    """AE titles padded with spaces, and of the protocol version the one bit that counts: others shall not be tested."""
    if len(pdu) < _FIXED_BYTES:
        return pdu
    found = bytearray(pdu)
    if pdu[_VERSION.stop - 1] & 1:
        found[_VERSION] = b"\0\1"
    for field in (_CALLED, _CALLING):
        found[field] = pdu[field].partition(b"\0")[0].ljust(16)
    return bytes(found)


def fault_of(pdu: bytes) -> str | None:
    """Why the request cannot be admitted, whoever asks; None: its fixed fields are well formed."""
    if len(pdu) < _FIXED_BYTES:
        return f"the request is {len(pdu)} bytes long, less than its fixed fields"
    if not pdu[_VERSION.stop - 1] & 1:
        return f"protocol version 0x{pdu[_VERSION].hex()}: bit 0 is not set"
    for name, field in (("called", _CALLED), ("calling", _CALLING)):
        title = pdu[field].partition(b"\0")[0].strip()
        if not title:
            return f"the {name} AE title is empty"
        if not all(0x20 <= byte < 0x7F for byte in title):
            return f"the {name} AE title holds characters that are not printable ASCII"
    return None
