"""One file in, its data set out, read in the encoding that is found: some writers state another transfer syntax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

from pydicom import Dataset
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
    file.seek(0)
    ds: Any = read_partial(file, stop_when=stop_when if stated == found else _at_once, force=True)
    if stated != found:
        file.seek(place)
        meta, syntax = ds.file_meta, UID(found)
        ds = read_dataset(file, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=stop_when)
        ds.file_meta = meta
        ds.file_meta.TransferSyntaxUID = syntax
    elif ds.file_meta.get("TransferSyntaxUID") is None:
        ds.file_meta.TransferSyntaxUID = _guessed(*ds.original_encoding)
    return ds


def _at_once(*_: Any) -> bool:
    return True


def _guessed(implicit: bool | None, little: bool | None) -> UID:
    """What pydicom found where nothing is stated."""
    if little is False:
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
