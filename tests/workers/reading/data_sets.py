"""Encoded data sets for tests of the store: real bytes by pydicom, and what lies in a folder."""

from __future__ import annotations

import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from workers.files.part10 import Announced
from workers.files.store import FileStore
from workers.files.stored import Stored

MR = "1.2.840.10008.5.1.4.1.1.4"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
STUDY = "1.2.826.0.9"


def a_data_set(number: int = 1, *, pixels: bytes = b"\1\2" * 500, **changes: Any) -> Dataset:
    """A small MR object; None leaves an element out."""
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "SOPClassUID": MR,
        "SOPInstanceUID": f"{STUDY}.1.{number}",
        "StudyDate": "20260301",
        "StudyTime": "101500.25",
        "AccessionNumber": "A77",
        "Modality": "MR",
        "SeriesDescription": "FLAIR größer",
        "PatientName": "Secret^Name",
        "PatientID": "P-1",
        "IssuerOfPatientID": "CLINIC",
        "PatientBirthDate": "19800229",
        "PatientSex": "F",
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": f"{STUDY}.1",
        "SeriesNumber": "4",
        "ImagesInAcquisition": "3",
        "NumberOfFrames": "7",
        "PixelData": pixels,
    }
    data_set = Dataset()
    for keyword, value in {**values, **changes}.items():
        if value is not None:
            setattr(data_set, keyword, value)
    if "PixelData" in data_set:
        data_set["PixelData"].VR = "OW"
    return data_set


def encoded(data_set: Dataset, transfer_syntax: str = EXPLICIT) -> bytes:
    """The bytes that travel in the data set fragments of a C-STORE."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR = transfer_syntax == IMPLICIT
    buffer.is_little_endian = transfer_syntax != BIG_ENDIAN
    write_dataset(buffer, data_set)
    data: bytes = buffer.getvalue()
    if transfer_syntax == DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = packer.compress(data) + packer.flush()
    return data


def nested(depth: int, *, undefined: bool) -> Sequence:
    """A sequence in a sequence in a sequence."""
    item = Dataset()
    item.CodeMeaning = "x" * 10
    if depth > 1:
        item.ReferencedStudySequence = nested(depth - 1, undefined=undefined)
        item["ReferencedStudySequence"].is_undefined_length = undefined
    item.is_undefined_length_sequence_item = undefined
    return Sequence([item])


def announce(data_set: Dataset, transfer_syntax: str = EXPLICIT, *, calling_ae: str = "SCANNER") -> Announced:
    return Announced(str(data_set.SOPClassUID), str(data_set.SOPInstanceUID), transfer_syntax, calling_ae)


def put(
    store: FileStore,
    data_set: Dataset,
    transfer_syntax: str = EXPLICIT,
    *,
    calling_ae: str = "SCANNER",
    cut_bytes: int = 0,
) -> Stored:
    """Send one object through the store the way the listener does. cut_bytes: that its end lacks."""
    data = encoded(data_set, transfer_syntax)
    data = data[: len(data) - cut_bytes]
    half = len(data) // 2
    with store.spool(announce(data_set, transfer_syntax, calling_ae=calling_ae)) as spool:
        spool.write([data[:half]], half)
        spool.write([memoryview(data)[half:]], len(data) - half)
        return spool.finish()


def as_file(data_set: Dataset, transfer_syntax: str = EXPLICIT) -> bytes:
    """A Part-10 file as pydicom writes it: what other programs leave on disk."""
    from pydicom import dcmwrite

    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    buffer = BytesIO()
    dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()


def names(folder: Path) -> list[str]:
    """Every file under a folder, temporary ones included."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
