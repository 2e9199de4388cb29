"""Objects whose bits, encoding or colours are not what a plain reader takes them for: read right, or refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from tests.builders_dicom import a_series, an_enhanced_object, planes, write
from tests.workers.reading.reading import FLAIR, compressed, only_refusal
from workers.reading.study import read_study

RUBBISH = 0xF000  # bits 12 to 15
Change = Callable[[Dataset], None]


def stored_in_12_bits(ds: Dataset, values: Any, *, signed: bool = False) -> None:
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 12, 11, int(signed)
    ds.PixelData = np.ascontiguousarray(values, "<u2").tobytes()


def values_of(ds: Dataset) -> Any:
    return np.frombuffer(ds.PixelData, "<u2").reshape(ds.Rows, ds.Columns).astype(np.int32)


def clean(ds: Dataset) -> None:
    stored_in_12_bits(ds, values_of(ds))


def overlay(ds: Dataset) -> None:
    found = values_of(ds)
    found[4:8, 5:9] |= 1 << 12
    stored_in_12_bits(ds, found)


def rubbish(ds: Dataset) -> None:
    stored_in_12_bits(ds, values_of(ds) | RUBBISH)


def signed(ds: Dataset) -> None:
    """Two's complement of 12 bits, the high bits zero; the rescale brings the values back."""
    stored_in_12_bits(ds, (values_of(ds) - 500) & 0x0FFF, signed=True)
    ds.RescaleSlope, ds.RescaleIntercept = 1, 500


def signed_with_rubbish(ds: Dataset) -> None:
    signed(ds)
    ds.PixelData = (np.frombuffer(ds.PixelData, "<u2") | np.uint16(0x5000)).tobytes()


def at_the_high_end(ds: Dataset) -> None:
    """High bit 15: the values begin at bit 4, and an overlay may be below (retired, but written)."""
    stored_in_12_bits(ds, values_of(ds) << 4 | 5)
    ds.HighBit = 15


BITS = [
    pytest.param(clean, id="noop"),
    pytest.param(overlay, id="overlay in bit 12"),
    pytest.param(rubbish, id="rubbish"),
    pytest.param(signed, id="signed, not extended"),
    pytest.param(signed_with_rubbish, id="signed, rubbish"),
    pytest.param(at_the_high_end, id="high bit 15"),
]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("change", BITS)
def test_only_the_stored_bits_are_read(tmp_path: Path, change: Change, syntax: UID) -> None:
    voxels = planes(12)
    paths = a_series(tmp_path, pixels=voxels, change=lambda _k, ds: change(ds), syntax=syntax)
    np.testing.assert_array_equal(read_study(paths).volumes[FLAIR].voxels, voxels)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless], ids=["RLE", "JPEG-LS"])
def test_the_stored_bits_of_compressed_pixels(tmp_path: Path, syntax: UID) -> None:
    voxels = planes(12)
    paths = compressed(a_series(tmp_path, pixels=voxels, change=lambda _k, ds: clean(ds)), syntax)
    np.testing.assert_array_equal(read_study(paths).volumes[FLAIR].voxels, voxels)


def test_padding_is_found_under_an_overlay(tmp_path: Path) -> None:
    """PixelPaddingValue is background also where unused bits are set; a padding outside the stored bits counts too."""
    voxels = planes(12) + np.uint16(10)

    def change(_k: int, ds: Dataset) -> None:
        found = values_of(ds)
        found[:2], found[2:4] = 7 | RUBBISH, 7
        stored_in_12_bits(ds, found)
        ds.PixelPaddingValue = 7

    voxels[:, :4] = 0
    read = read_study(a_series(tmp_path, pixels=voxels, change=change)).volumes[FLAIR].voxels
    np.testing.assert_array_equal(read, voxels)


# --- the encoding found, and the one stated ---


def encoded(path: Path, *, implicit: bool, little: bool, stated: UID, trailing: bool) -> Path:
    """The file again, its data set written in one encoding under the transfer syntax of another."""
    ds = dcmread(path)
    if trailing:
        ds.add_new(0xFFFCFFFC, "OB", b"\0" * 16)  # Data Set Trailing Padding
    body, meta = DicomBytesIO(), DicomBytesIO()
    body.is_little_endian, body.is_implicit_VR = little, implicit
    meta.is_little_endian, meta.is_implicit_VR = True, False
    ds.file_meta.TransferSyntaxUID = stated
    write_file_meta_info(meta, ds.file_meta, enforce_standard=bool(stated))
    plain = Dataset()
    plain.update({element.tag: element for element in ds})
    if not little:
        plain.PixelData = np.frombuffer(plain.PixelData, "<u2").astype(">u2").tobytes()
    write_dataset(body, plain)
    path.write_bytes(b"\0" * 128 + b"DICM" + meta.getvalue() + body.getvalue())
    return path


ENCODINGS = [
    pytest.param(False, True, ExplicitVRLittleEndian, id="noop"),
    pytest.param(True, True, ExplicitVRLittleEndian, id="implicit under explicit"),
    pytest.param(False, True, ImplicitVRLittleEndian, id="explicit under implicit"),
    pytest.param(False, False, ExplicitVRBigEndian, id="noop, big endian"),
    pytest.param(False, True, UID(""), id="explicit, nothing stated"),
    pytest.param(True, True, UID(""), id="implicit, nothing stated"),
]


@pytest.mark.parametrize("trailing", [False, True], ids=["", "padding after the pixels"])
@pytest.mark.parametrize(("implicit", "little", "stated"), ENCODINGS)
def test_the_encoding_found_counts(
    tmp_path: Path, stated: UID, *, implicit: bool, little: bool, trailing: bool
) -> None:
    voxels = planes(12) + np.uint16(7)
    paths = [
        encoded(path, implicit=implicit, little=little, stated=stated, trailing=trailing)
        for path in a_series(tmp_path, pixels=voxels)
    ]
    np.testing.assert_array_equal(read_study(paths).volumes[FLAIR].voxels, voxels)


# --- colours ---


def palette(_k: int, ds: Dataset) -> None:
    ds.PhotometricInterpretation = "PALETTE COLOR"
    for name in ("Red", "Green", "Blue"):
        setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(ds, f"{name}PaletteColorLookupTableData", np.arange(256, dtype="<u2").tobytes())


def colours(interpretation: str) -> Callable[[int, Dataset], None]:
    def change(_k: int, ds: Dataset) -> None:
        ds.PhotometricInterpretation, ds.SamplesPerPixel, ds.PlanarConfiguration = interpretation, 3, 0
        ds.BitsAllocated = ds.BitsStored = 8
        ds.HighBit = 7
        ds.PixelData = bytes(ds.Rows * ds.Columns * 3)

    return change


@pytest.mark.parametrize(
    ("change", "name"),
    [
        pytest.param(palette, "PALETTE COLOR", id="palette"),
        pytest.param(colours("RGB"), "RGB", id="RGB"),
        pytest.param(colours("YBR_FULL"), "YBR_FULL", id="YBR"),
    ],
)
def test_colours_are_refused_by_name(tmp_path: Path, change: Callable[[int, Dataset], None], name: str) -> None:
    code, message = only_refusal(read_study(a_series(tmp_path, change=change)))
    assert code == "not_grey"
    assert name in message


# --- secondary captures under the class of an image ---


@pytest.mark.parametrize(
    ("elements", "kind"),
    [
        pytest.param({"ConversionType": "WSD"}, "not_image", id="made by a workstation"),
        pytest.param({"BurnedInAnnotation": "YES"}, "not_image", id="text burned in"),
        pytest.param({"BurnedInAnnotation": "NO"}, "flair", id="noop: 8 bits"),
    ],
)
def test_eight_bits_made_of_a_screen_are_no_image(tmp_path: Path, elements: dict[str, Any], kind: str) -> None:
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    images = read_study(a_series(tmp_path, pixels=planes(12, dtype=np.uint8), **eight, **elements))
    assert [one.identification.kind.value for one in images.study.series] == [kind]


# --- tables of offsets ---


def with_table(tmp_path: Path, table: list[int], *, fragments: int) -> list[Path]:
    """One enhanced object of compressed frames. table: places in the right table, in another order."""
    path = write(an_enhanced_object(planes(12)), tmp_path / "one.dcm")
    ds = dcmread(path)
    ds.compress(RLELossless, generate_instance_uid=False)
    frames = list(generate_frames(ds.PixelData, number_of_frames=12))
    raw = bytearray(encapsulate(frames, fragments_per_frame=fragments, has_bot=True))
    offsets = struct.unpack("<12I", raw[8:56])
    raw[8:56] = struct.pack("<12I", *(offsets[n] for n in table))
    ds.PixelData = bytes(raw)
    return [write(ds, path, syntax=RLELossless)]


ORDER = list(range(12))


@pytest.mark.parametrize("table", [ORDER, [*ORDER[1:], 0], [0] * 12], ids=["noop", "rotated", "zeros"])
def test_a_fragment_for_each_frame_needs_no_table(tmp_path: Path, table: list[int]) -> None:
    paths = with_table(tmp_path, table, fragments=1)
    np.testing.assert_array_equal(read_study(paths).volumes[FLAIR].voxels, planes(12))


def test_noop_frames_of_two_fragments(tmp_path: Path) -> None:
    paths = with_table(tmp_path, ORDER, fragments=2)
    np.testing.assert_array_equal(read_study(paths).volumes[FLAIR].voxels, planes(12))


@pytest.mark.parametrize("table", [[*ORDER[1:], 0], [0] * 12], ids=["rotated", "zeros"])
def test_a_table_out_of_order_is_refused_where_it_is_needed(tmp_path: Path, table: list[int]) -> None:
    assert only_refusal(read_study(with_table(tmp_path, table, fragments=2)))[0] == "undecodable"
