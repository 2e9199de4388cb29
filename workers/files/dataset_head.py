"""The first bytes of a data set in, the facts the index keeps out. Never reads pixels, never holds more than a window.

It works on the encoded bytes (PS3.5 section 7) instead of a parsed data set: it runs for each received instance, before
the answer. Lengths are checked before anything is allocated. Before the answer only the UIDs are decoded; the other
facts (``head_in``) are decoded after it."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from triage.errors import Rejected
from triage.identity import repaired
from workers.dicom_status import CANNOT_UNDERSTAND
from workers.files.byte_sources import (
    ByteSource,
    FileWindow,
    InflatedBytes,
    ReadAt,
    UnreadableBytes,
    ends_while_inflating,
)
from workers.identities import printable
from workers.moments import first_date, parse_date, plain_time

IMPLICIT_LE = "1.2.840.10008.1.2"
DEFLATED_LE = "1.2.840.10008.1.2.1.99"
EXPLICIT_BE = "1.2.840.10008.1.2.2"

MAX_ELEMENTS = 50_000  # real headers up to Number of Frames have some hundreds, nested ones included
MAX_DEPTH = 16
MAX_TEXT_BYTES = 1024
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
NUMBER_OF_FRAMES = 0x00280008  # the last element wanted; elements come in ascending order (PS3.5 section 7.1)
# length in two bytes, and in four (PS3.5 section 7.1.2)
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())

TEXTS = {
    0x00080005: "character_set",
    0x00080016: "sop_class_uid",
    0x00080018: "sop_instance_uid",
    0x00080020: "study_date",
    0x00080021: "series_date",
    0x00080022: "acquisition_date",
    0x00080023: "content_date",
    0x0008002A: "acquisition_moment",
    0x00080030: "study_time",
    0x00080050: "accession_number",
    0x00080060: "modality",
    0x0008103E: "series_description",
    0x00100010: "patient_name",
    0x00100020: "patient_id",
    0x00100021: "issuer",
    0x00100030: "birth_date",
    0x00100040: "sex",
    0x0020000D: "study_instance_uid",
    0x0020000E: "series_instance_uid",
    0x00200011: "series_number",
    0x00201002: "images_in_acquisition",
    NUMBER_OF_FRAMES: "frame_count",
}
USUAL_CODECS = {b"ISO_IR 192": "utf-8", b"ISO_IR 100": "latin-1"}  # PS3.3 section C.12.1.1.2; the others by pydicom
# as DATES_OF_A_STUDY of workers/moments.py
DATES_OF_THE_STUDY = ("study_date", "acquisition_date", "acquisition_moment", "series_date", "content_date")
ENCODED = (
    "accession_number",
    "series_description",
    "patient_name",
    "patient_id",
    "issuer",
)  # VRs that (0008,0005) applies to

ELEMENT = {
    order: (struct.Struct(order + "HH2sH").unpack_from, struct.Struct(order + "I").unpack_from) for order in "<>"
}
"""Byte order -> how to read (group, element, VR, short length), and a long length (PS3.5 section 7.1)."""


Values = dict[str, bytes]
"""The encoded values of the elements that the index keeps, by the names of ``Head`` and ``character_set``."""


class Uids(NamedTuple):
    """Who a data set is."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True)
class Head:
    """What a data set says about itself. Empty or None: it does not say."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    patient_id: str = ""
    issuer: str = ""
    birth_date: date | None = None
    sex: str = ""
    study_date: date | None = None
    study_time: str = ""
    accession_number: str = ""
    modality: str = ""
    series_description: str = ""
    series_number: int | None = None
    images_in_acquisition: int | None = None
    frame_count: int = 1
    patient_name: str = ""


def read_values(read_at: ReadAt, start: int, transfer_syntax_uid: str) -> Values:
    """Find the facts of the data set that begins at ``start``, without decoding them.

    Args:
        read_at: gives up to ``count`` bytes at an absolute position, fewer only at the end.
        start: where the data set begins.
        transfer_syntax_uid: how it is encoded.

    Raises:
        Rejected: 0xC000, the bytes are not a data set in this transfer syntax.
    """
    source: ByteSource = (
        InflatedBytes(read_at, start) if transfer_syntax_uid == DEFLATED_LE else FileWindow(read_at, start)
    )
    explicit = transfer_syntax_uid != IMPLICIT_LE
    order = ">" if transfer_syntax_uid == EXPLICIT_BE else "<"
    try:
        return _Parser(source, order).top_level(explicit)
    except (struct.error, zlib.error, UnreadableBytes) as error:
        raise Rejected(CANNOT_UNDERSTAND, "unreadable_data_set", f"the data set cannot be read ({error})") from error


def is_cut(read_at: ReadAt, start: int, transfer_syntax_uid: str, size: int) -> bool:
    """Whether the data set ends inside one of its elements, by the lengths that they state. False also where the bytes
    do not tell: they follow no rules, or what is missing are whole elements.

    Args:
        size: of the data set in bytes.
    """
    if transfer_syntax_uid == DEFLATED_LE:
        return ends_while_inflating(read_at, start)
    order = ">" if transfer_syntax_uid == EXPLICIT_BE else "<"
    try:
        return _Parser(FileWindow(read_at, start), order).ends_beyond(transfer_syntax_uid != IMPLICIT_LE, size)
    except struct.error:
        return True
    except UnreadableBytes:
        return False


def position_of_group(read_at: ReadAt, start: int, transfer_syntax_uid: str, group: int) -> int | None:
    """Where the first element of ``group`` or a higher one begins, in bytes from the start of the data set; None when
    the data set is deflated.

    Raises:
        Rejected: 0xC000, the bytes are not a data set in this transfer syntax.
    """
    if transfer_syntax_uid == DEFLATED_LE:
        return None
    order = ">" if transfer_syntax_uid == EXPLICIT_BE else "<"
    try:
        return _Parser(FileWindow(read_at, start), order).find_group(transfer_syntax_uid != IMPLICIT_LE, group)
    except (struct.error, UnreadableBytes) as error:
        raise Rejected(CANNOT_UNDERSTAND, "unreadable_data_set", f"the data set cannot be read ({error})") from error


class _Parser:
    """Walks over encoded elements. Positions are relative to the start of the data set."""

    def __init__(self, source: ByteSource, order: str) -> None:
        self._source = source
        self._seen = 0
        self._tag_vr_length, self._long = ELEMENT[order]

    def top_level(self, explicit: bool) -> Values:
        """The raw values of the wanted elements, up to and including Number of Frames."""
        found: Values = {}
        explicit = explicit and self._has_vr(0)
        # this runs for each received object, over hundreds of elements: few calls for one that lies in the window and
        # is not wanted
        buffer, first, position = b"", 0, 0  # buffer begins at position first
        unpack, wanted = self._tag_vr_length, TEXTS.get
        while True:
            offset = position - first
            if offset + 12 > len(buffer):
                buffer, offset = self._source.at(position, 12)
                first = position - offset
                if offset >= len(buffer):
                    return found
            group, element, vr, length = unpack(buffer, offset)
            tag, size = group << 16 | element, 8
            if not explicit or vr not in SHORT_VRS or group == 0xFFFE:
                tag, vr, length, size = self._element(buffer, offset, explicit)
            else:
                self._count()
            if tag > NUMBER_OF_FRAMES:
                return found
            if length == UNDEFINED:
                position = self._skip_items(position + size, explicit and vr != b"UN", 1)
                continue
            name = wanted(tag)
            if name is not None:
                count = min(length, MAX_TEXT_BYTES)
                value = buffer[offset + size : offset + size + count]
                found[name] = value if len(value) == count else self._value(position + size, count)
            position += size + length

    def find_group(self, explicit: bool, group: int) -> int:
        """Position of the first element of the group or a higher one; of the end when there is none."""
        explicit = explicit and self._has_vr(0)
        position = 0
        while True:
            buffer, offset = self._source.at(position, 12)
            if offset >= len(buffer):
                return position
            tag, vr, length, value = self._header(position, explicit)
            if tag >> 16 >= group:
                return position
            undefined = length == UNDEFINED
            position = self._skip_items(value, explicit and vr != b"UN", 1) if undefined else value + length

    def ends_beyond(self, explicit: bool, size: int) -> bool:
        """Whether the last element that begins within ``size`` bytes ends behind them. Zeros behind it are padding."""
        explicit = explicit and self._has_vr(0)
        position = last = 0
        while position < size:
            buffer, offset = self._source.at(position, 12)
            if not any(buffer[offset : offset + 12]):
                return False
            tag, vr, length, value = self._header(position, explicit)
            if tag <= last:
                raise UnreadableBytes("elements are out of order")
            last, undefined = tag, length == UNDEFINED
            position = self._skip_items(value, explicit and vr != b"UN", 1) if undefined else value + length
        return position > size

    def _value(self, position: int, count: int) -> bytes:
        buffer, offset = self._source.at(position, count)
        if offset + count > len(buffer):
            raise UnreadableBytes("ends inside an element")
        return bytes(buffer[offset : offset + count])

    def _has_vr(self, position: int) -> bool:
        """False: implicit VR under an explicit transfer syntax, which some senders produce and readers understand."""
        buffer, offset = self._source.at(position, 12)
        return buffer[offset + 4 : offset + 6].isupper()

    def _header(self, position: int, explicit: bool) -> tuple[int, bytes, int, int]:
        """(tag, VR or empty, length, position of the value)."""
        buffer, offset = self._source.at(position, 12)
        tag, vr, length, size = self._element(buffer, offset, explicit)
        return tag, vr, length, position + size

    def _element(self, buffer: bytes, offset: int, explicit: bool) -> tuple[int, bytes, int, int]:
        """(tag, VR or empty, length of the value, length of what comes before it)."""
        self._count()
        group, element, vr, length = self._tag_vr_length(buffer, offset)
        tag = group << 16 | element
        if not explicit or group == 0xFFFE:  # items and delimiters never have a VR (PS3.5 section 7.5)
            return tag, b"", self._long(buffer, offset + 4)[0], 8
        if vr in SHORT_VRS:
            return tag, vr, length, 8
        if vr in LONG_VRS:
            return tag, vr, self._long(buffer, offset + 8)[0], 12
        if not (65 <= vr[0] <= 90 and 65 <= vr[1] <= 90):
            raise UnreadableBytes(f"no VR before the value of ({group:04X},{element:04X})")
        return tag, vr, length, 8

    def _count(self) -> None:
        self._seen += 1
        if self._seen > MAX_ELEMENTS:
            raise UnreadableBytes(f"more than {MAX_ELEMENTS} elements before the pixels")

    def _skip_items(self, position: int, explicit: bool, depth: int) -> int:
        """Position after a sequence of undefined length. A UN one holds implicit VR (PS3.5 section 6.2.2)."""
        if depth > MAX_DEPTH:
            raise UnreadableBytes(f"nested deeper than {MAX_DEPTH}")
        while True:
            tag, _, length, position = self._header(position, explicit)
            if tag == SEQUENCE_END:
                return position
            if tag != ITEM:
                raise UnreadableBytes("something other than an item in a sequence")
            position = self._skip_elements(position, explicit, depth) if length == UNDEFINED else position + length

    def _skip_elements(self, position: int, explicit: bool, depth: int) -> int:
        while True:
            tag, vr, length, position = self._header(position, explicit)
            if tag == ITEM_END:
                return position
            if length == UNDEFINED:
                position = self._skip_items(position, explicit and vr != b"UN", depth + 1)
            else:
                position += length


def uids_in(values: Values) -> Uids:
    """Who the data set is.

    Raises:
        Rejected: 0xC000, a UID is missing.
    """
    uids = Uids(*[_text(values.get(name, b""), b"") for name in Uids._fields])
    if not all(uids):
        missing = ", ".join(name for name, uid in zip(Uids._fields, uids, strict=True) if not uid)
        raise Rejected(CANNOT_UNDERSTAND, "missing_uid", f"the data set has no {missing}")
    return uids


def head_in(values: Values, uids: Uids) -> Head:
    """The facts, decoded. Never raises: what cannot be decoded is empty, None, or readable and repeatable."""
    character_set = values.get("character_set", b"")
    text = {name: _text(value, character_set if name in ENCODED else b"") for name, value in values.items()}
    return Head(
        *uids,
        patient_id=_identity_text(values.get("patient_id", b""), character_set),
        issuer=_identity_text(values.get("issuer", b""), character_set),
        birth_date=parse_date(text.get("birth_date", "")),
        sex=text.get("sex", ""),
        study_date=first_date(text.get(name, "") for name in DATES_OF_THE_STUDY),
        study_time=plain_time(text.get("study_time", "")),
        accession_number=text.get("accession_number", ""),
        modality=text.get("modality", ""),
        series_description=text.get("series_description", ""),
        series_number=_integer(text.get("series_number", "")),
        images_in_acquisition=_integer(text.get("images_in_acquisition", "")),
        frame_count=max(1, _integer(text.get("frame_count", "")) or 1),
        patient_name=text.get("patient_name", ""),
    )


def _text(value: bytes, character_set: bytes) -> str:
    """Decoded, without padding and without control and bidirectional characters (PostgreSQL cannot store NUL)."""
    plain = value.isascii() and b"\x1b" not in value
    decoded = value.decode("ascii") if plain else _decode(value, character_set)
    return printable(decoded).strip()


def _identity_text(value: bytes, character_set: bytes) -> str:
    """The same, where a wrong or missing character set must not make another patient of the ID."""
    if value.isascii() and b"\x1b" not in value:
        return _text(value, b"")
    return printable(repaired(_decode(value.strip(b"\0 "), character_set))).strip()


def _decode(value: bytes, character_set: bytes) -> str:
    codec = USUAL_CODECS.get(character_set.rstrip())
    if codec is not None and b"\x1b" not in value:
        with suppress(UnicodeDecodeError):
            return value.decode(codec)
    from pydicom.charset import convert_encodings, decode_bytes
    from pydicom.valuerep import TEXT_VR_DELIMS

    try:
        names = [part.strip() for part in character_set.decode("ascii").split("\\")]
        decoded = str(decode_bytes(value, convert_encodings(names), TEXT_VR_DELIMS))
        return decoded.encode("utf-8", "replace").decode("utf-8")  # half a pair of surrogates is no text for a database
    except Exception:  # noqa: BLE001, RUF100 - of a library, over what any sender may write; the object is safe by now
        return value.decode("latin-1")  # something readable and repeatable rather than nothing


def _integer(text: str) -> int | None:
    """An Integer String; None when it is not one or does not fit 32 bits (PS3.5 section 6.2)."""
    try:
        number = int(text)
    except ValueError:
        return None
    return number if -(1 << 31) <= number < 1 << 31 else None
