"""Studies that take much memory or time to read, each made from an ordinary one, one kind under each name."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from bench.node.copies import Copy, copy_of
from tests.workers.reading import hostile

DIRECTIONS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0.7, 0.7, 0), (0.7, 0, 0.7), (0, 0.7, 0.7))

Spoil = Callable[[list[Path]], None]
Change = Callable[[Dataset, int], None]


def _nothing(_ds: Dataset, _number: int) -> None:
    """The data sets stay as they are."""


def one_file(make: Callable[[Path], Path]) -> Spoil:
    return lambda paths: void(make(paths[len(paths) // 2]))


def void(_: object) -> None:
    """Forget a result."""


def scaled(slope: str, intercept: str = "0") -> Change:
    def change(ds: Dataset, _number: int) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = slope, intercept

    return change


def spaced(millimetres: float) -> Change:
    def change(ds: Dataset, _number: int) -> None:
        ds.PixelSpacing = [millimetres, millimetres]

    return change


def far_apart(factor: float) -> Change:
    def change(ds: Dataset, _number: int) -> None:
        ds.ImagePositionPatient = [float(part) * factor for part in ds.ImagePositionPatient]
        ds.SliceThickness = float(ds.SliceThickness) * factor

    return change


def as_diffusion(ds: Dataset, number: int) -> None:
    ds.ScanningSequence, ds.SequenceVariant, ds.EchoTime, ds.RepetitionTime = "EP", "SK", 90, 5000
    ds.SeriesDescription = ds.ProtocolName = "ep2d_diff"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION"]
    ds.DiffusionBValue = 1000.0
    ds.DiffusionGradientOrientation = [float(part) for part in DIRECTIONS[number % len(DIRECTIONS)]]
    for keyword in ("InversionTime", "SequenceName"):
        if keyword in ds:
            delattr(ds, keyword)


def deflated_pixels(path: Path, side: int) -> Path:
    """The object with side x side pixels of zero, deflated: two bytes each unpacked, next to nothing on the wire."""
    ds = dcmread(path)
    ds.Rows = ds.Columns = side
    ds.PixelData = b""
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(path, enforce_file_format=True)
    raw = path.read_bytes()
    head, body = _split(raw)
    plain = zlib.decompress(body, -zlib.MAX_WBITS)
    # the empty element of the pixels stands at the end: its length is the last word
    pack = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    size = 2 * side * side
    out = pack.compress(plain[:-4] + size.to_bytes(4, "little"))
    block = bytes(1 << 20)
    for _ in range(size // len(block)):
        out += pack.compress(block)
    out += pack.compress(bytes(size % len(block))) + pack.flush()
    path.write_bytes(head + out)
    return path


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """(preamble and file meta information, data set); the group length says where the second begins."""
    length = int.from_bytes(raw[140:144], "little")
    return raw[: 144 + length], raw[144 + length :]


def all_deflated(side: int, most: int) -> Spoil:
    def spoil(paths: list[Path]) -> None:
        for path in paths[most:]:
            path.unlink()
        for path in paths[:most]:
            deflated_pixels(path, side)

    return spoil


def no_spoil(_paths: list[Path]) -> None:
    """The files stay as they are."""


# name -> how each data set is changed, and what becomes of the files. Sizes are those of the faults that were found.
KINDS: dict[str, tuple[Change, Spoil]] = {
    "deflated 2,500 MiB private element": (_nothing, one_file(partial(hostile.deflated, mib=2500))),
    "400,000 empty per-frame items": (_nothing, one_file(partial(hostile.with_empty_frames, count=400_000))),
    "1,000,000 private elements": (_nothing, one_file(partial(hostile.with_private_elements, count=1_000_000))),
    "10,000 nested sequences": (_nothing, one_file(partial(hostile.nested, depth=10_000))),
    "38 DWI files, 6 directions, 6 GB decoded": (as_diffusion, all_deflated(6300, 38)),
    "four deflated files of 880 MB": (_nothing, all_deflated(21_000, 4)),
    "rescale slope 1e38": (scaled("1e38"), no_spoil),
    "rescale slope nan": (scaled("nan"), no_spoil),
    "rescale intercept -1e30": (scaled("1", "-1e30"), no_spoil),
    "pixel spacing 1e-4 mm": (spaced(1e-4), no_spoil),
    "slices 400 m apart": (far_apart(1e5), no_spoil),
}


def hostile_copy(kind: str, source: Path, folder: Path, number: int) -> Copy:
    """The study of a kind, under a patient of its own."""
    change, spoil = KINDS[kind]
    made = copy_of(source, folder, name=f"hostile-{number}", patient_id=f"HOSTILE-{number}", change=change)
    spoil(sorted(made.folder.glob("*.dcm")))
    return Copy(kind, made.uid, made.patient_id, made.folder)
