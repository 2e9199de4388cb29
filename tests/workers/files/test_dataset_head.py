"""The head of a data set against pydicom's own reading of it, and bytes that are not data sets."""

from __future__ import annotations

import struct
import zlib
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset

from tests.workers.reading.data_sets import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, STUDY, a_data_set, encoded, nested
from triage.errors import Rejected
from workers.files.byte_sources import MAX_INFLATED_BYTES
from workers.files.dataset_head import TEXTS, Head, Uids, head_in, read_values, uids_in

ALL = [IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN]


def head_of(data: bytes, transfer_syntax: str = EXPLICIT, *, longest_read: int | None = None) -> Head:
    """Read as from a file, behind 10 bytes of something else."""

    def read_at(position: int, count: int) -> bytes:
        assert longest_read is None or count <= longest_read, "reads more than it needs"
        return (b"0123456789" + data)[position : position + count]

    values = read_values(read_at, 10, transfer_syntax)
    return head_in(values, uids_in(values))


@pytest.mark.parametrize("transfer_syntax", ALL)
def test_every_fact(transfer_syntax: str) -> None:
    assert head_of(encoded(a_data_set(), transfer_syntax), transfer_syntax) == Head(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid=f"{STUDY}.1.1",
        study_instance_uid=STUDY,
        series_instance_uid=f"{STUDY}.1",
        patient_name="Secret^Name",
        patient_id="P-1",
        issuer="CLINIC",
        birth_date=date(1980, 2, 29),
        sex="F",
        study_date=date(2026, 3, 1),
        study_time="101500.25",
        accession_number="A77",
        modality="MR",
        series_description="FLAIR größer",
        series_number=4,
        images_in_acquisition=3,
        frame_count=7,
    )


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        pytest.param({}, "frame_count", 7, id="noop"),
        pytest.param({"NumberOfFrames": None}, "frame_count", 1, id="single frame says nothing"),
        pytest.param({"StudyDate": None}, "study_date", None, id="no date"),
        pytest.param({"StudyDate": ""}, "study_date", None, id="empty date"),
        pytest.param({"PatientID": None}, "patient_id", "", id="no patient ID"),
        pytest.param({"PatientID": "  P 1  "}, "patient_id", "P 1", id="padded patient ID"),
        pytest.param({"SeriesNumber": None}, "series_number", None, id="no series number"),
        pytest.param(
            {"SpecificCharacterSet": "ISO_IR 100", "SeriesDescription": "Ödem"},
            "series_description",
            "Ödem",
            id="Latin-1",
        ),
        pytest.param(
            {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientID": "山田"}, "patient_id", "山田", id="Japanese"
        ),
        pytest.param({"SpecificCharacterSet": None, "PatientID": "P"}, "patient_id", "P", id="no character set"),
    ],
)
def test_values(changes: dict[str, Any], name: str, value: object) -> None:
    assert getattr(head_of(encoded(a_data_set(**changes))), name) == value


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


UIDS = b"".join(
    element(tag, b"UI", value)
    for tag, value in ((0x00080016, b"1.2\0"), (0x00080018, b"1.3\0"), (0x0020000D, b"1.4\0"), (0x0020000E, b"1.5\0"))
)


@pytest.mark.parametrize(
    ("extra", "name", "value"),
    [
        pytest.param(b"", "study_date", None, id="noop"),
        pytest.param(element(0x00080020, b"DA", b"2026.03.01"), "study_date", date(2026, 3, 1), id="date of ACR-NEMA"),
        pytest.param(element(0x00080020, b"DA", b"20261399"), "study_date", None, id="impossible date"),
        pytest.param(
            element(0x00080020, b"DA", b"\xb2\xb2\xb2\xb2\xb2\xb2\xb2\xb2"), "study_date", None, id="odd digits"
        ),
        pytest.param(element(0x00200011, b"IS", b"1A"), "series_number", None, id="number that is none"),
        pytest.param(element(0x00200011, b"IS", b"99999999999 "), "series_number", None, id="number too large"),
        pytest.param(element(0x00280008, b"IS", b"-3"), "frame_count", 1, id="negative frames"),
        pytest.param(
            element(0x00100020, b"LO", b"A\0B\0"), "patient_id", "AB", id="NUL, which PostgreSQL cannot store"
        ),
        pytest.param(
            element(0x00080005, b"CS", b"NONSENSE") + element(0x00100020, b"LO", b"\xe4\xf6"),
            "patient_id",
            "äö",
            id="unknown character set",
        ),
        pytest.param(
            element(0x00080005, b"CS", b"unicode_escape") + element(0x00100020, b"LO", b"\xe9\\ud800"),
            "patient_id",
            "\u00e9?",
            id="half a surrogate pair, which no database stores",
        ),
    ],
)
def test_values_no_library_would_write(extra: bytes, name: str, value: object) -> None:
    assert getattr(head_of(extra + UIDS if extra[:2] == b"\x08\0" else UIDS + extra), name) == value


@pytest.mark.parametrize("transfer_syntax", ALL)
@pytest.mark.parametrize("undefined", [True, False])
def test_nested_sequences_are_stepped_over(transfer_syntax: str, undefined: bool) -> None:
    data_set = a_data_set(ReferencedStudySequence=nested(5, undefined=undefined))
    data_set["ReferencedStudySequence"].is_undefined_length = undefined
    assert head_of(encoded(data_set, transfer_syntax), transfer_syntax).series_number == 4


def test_a_large_private_value_is_not_read() -> None:
    data_set = a_data_set()
    data_set.add_new(0x00190010, "LO", "MAKER")
    data_set.add_new(0x00191010, "OB", b"\7" * 5_000_000)
    assert head_of(encoded(data_set), longest_read=1 << 17).study_instance_uid == STUDY


def test_implicit_vr_under_an_explicit_transfer_syntax() -> None:
    assert head_of(encoded(a_data_set(), IMPLICIT), EXPLICIT).patient_id == "P-1"


def _open_items(count: int) -> bytes:
    start = struct.pack("<HH2sHI", 0x0008, 0x1110, b"SQ", 0, 0xFFFFFFFF)
    return (start + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * count


def _until_study() -> bytes:
    """All four UIDs, and nothing behind them."""
    data = encoded(a_data_set())
    at = data.index(struct.pack("<HH2s", 0x0020, 0x000E, b"UI"))
    return data[: at + 8 + int.from_bytes(data[at + 6 : at + 8], "little")]


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("data", "transfer_syntax", "reason"),
    [
        pytest.param(b"", EXPLICIT, "missing_uid", id="empty"),
        pytest.param(encoded(a_data_set(StudyInstanceUID=None)), EXPLICIT, "missing_uid", id="no study UID"),
        pytest.param(encoded(a_data_set(SOPInstanceUID=None)), EXPLICIT, "missing_uid", id="no instance UID"),
        pytest.param(encoded(a_data_set())[:30], EXPLICIT, "unreadable_data_set", id="cut inside a header"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", EXPLICIT, "missing_uid", id="not DICOM"),
        pytest.param(b"not deflated at all", DEFLATED, "unreadable_data_set", id="not deflated"),
        pytest.param(_open_items(40), EXPLICIT, "unreadable_data_set", id="nested too deep"),
        pytest.param(
            _deflate(_open_items(1) + element(8, b"UN", b"") * 60_000),
            DEFLATED,
            "unreadable_data_set",
            id="too many elements",
        ),
        pytest.param(
            element(8, b"SH", b"") * 30_000 + _open_items(1) + element(8, b"SH", b"") * 30_000,
            EXPLICIT,
            "unreadable_data_set",
            id="too many elements, some of them nested",
        ),
        pytest.param(
            _until_study() + b"and then something that is not DICOM at all",
            EXPLICIT,
            "unreadable_data_set",
            id="the walk goes astray behind the UIDs",
        ),
        pytest.param(
            _until_study() + struct.pack("<HH2s", 0x7FE0, 0x0010, b"OW"),
            EXPLICIT,
            "unreadable_data_set",
            id="cut inside the header of the pixels",
        ),
        pytest.param(
            _deflate(struct.pack("<HH2sHI", 8, 1, b"UN", 0, 1 << 30) + bytes(MAX_INFLATED_BYTES)),
            DEFLATED,
            "unreadable_data_set",
            id="decompression bomb",
        ),
    ],
)
def test_refusals(data: bytes, transfer_syntax: str, reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        head_of(data, transfer_syntax)
    assert (caught.value.dicom_status, caught.value.reason) == (0xC000, reason)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), transfer_syntax=st.sampled_from(ALL))
def test_damaged_bytes_are_refused_or_read_but_never_crash(data: st.DataObject, transfer_syntax: str) -> None:
    whole = bytearray(encoded(a_data_set(ReferencedStudySequence=nested(2, undefined=True)), transfer_syntax))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    outcome: object
    try:
        outcome = head_of(bytes(whole[:cut]), transfer_syntax).study_instance_uid
    except Rejected as error:
        outcome = error.dicom_status
    assert outcome == 0xC000 or isinstance(outcome, str)


def test_agrees_with_pydicom_on_an_empty_sequence() -> None:
    data_set = a_data_set(ReferencedStudySequence=[Dataset()])
    assert head_of(encoded(data_set)).frame_count == 7


@given(st.dictionaries(st.sampled_from(sorted([*TEXTS.values()])), st.binary(max_size=64)))
def test_what_a_sender_may_write_is_never_a_fault(values: dict[str, bytes]) -> None:
    """It is decoded after the answer: whatever it is, the row must come."""
    head = head_in(values, Uids("1.1", "1.2", "1.3", "1.4"))
    assert "\0" not in f"{head.patient_id}{head.series_description}{head.accession_number}"
    assert head.frame_count >= 1


@pytest.mark.parametrize(
    "character_set", [b"unicode_escape", b"ISO 2022 IR 87", b"\\ISO 2022 IR 13\\", b"\xff", b"nonsense", b"ISO_IR 192"]
)
@given(value=st.binary(max_size=64))
def test_text_in_any_character_set_becomes_text(character_set: bytes, value: bytes) -> None:
    head = head_in({"character_set": character_set, "patient_id": value}, Uids("1.1", "1.2", "1.3", "1.4"))
    assert head.patient_id.encode("utf-8").decode("utf-8") == head.patient_id
