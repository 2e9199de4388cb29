"""One file in, its data set out, read in the encoding that is found: some writers state another transfer syntax."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset, read_partial
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from workers.reading.survey import encoding_of, to_meta_information


def parsed(file: BinaryIO, stop_when: Callable[..., bool]) -> Dataset:
    """The elements until ``stop_when``, at which the file then stands. ``file_meta`` names the encoding found.

    Args:
        file: at its beginning.

    Raises:
        NotAssessable: not_dicom; and whatever pydicom raises of a broken file.
    """
    to_meta_information(file)
    stated, found = encoding_of(file)
    place = file.tell()
    if stated != found:
        syntax = UID(found)
        file.seek(place)
        ds: Dataset = read_dataset(file, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=stop_when)
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = syntax
        return ds
    file.seek(0)
    ds = read_partial(file, stop_when=stop_when, force=True)
    if not ds.file_meta.get("TransferSyntaxUID"):
        ds.file_meta.TransferSyntaxUID = _guessed(*ds.original_encoding)
    return ds


def _guessed(implicit: bool | None, little: bool | None) -> UID:
    """What pydicom found where nothing is stated."""
    if little is False:
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
