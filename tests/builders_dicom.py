"""Synthetic DICOM on disk: classic and enhanced series with safe defaults; every keyword can be overridden or set to
None to leave it out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from triage.model import SeriesHeader

MR = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
STUDY_UID = "1.2.826.0.1.3680043.8.498.1001"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

FLAIR_PHYSICS: dict[str, Any] = {
    "ScanningSequence": ["SE", "IR"],
    "SequenceVariant": "SK",
    "RepetitionTime": 9000,
    "EchoTime": 125,
    "InversionTime": 2500,
    "SeriesDescription": "Ax T2 FLAIR",
}
T1_PHYSICS: dict[str, Any] = {
    "ScanningSequence": "SE",
    "SequenceVariant": "SK",
    "RepetitionTime": 550,
    "EchoTime": 12,
    "SeriesDescription": "Ax T1 SE",
}


def a_header(**changes: Any) -> SeriesHeader:
    """An MR series header without any timing."""
    values: dict[str, Any] = {"series_instance_uid": "1.2.3", "modality": "MR", "sop_class_uid": MR}
    return SeriesHeader(**{**values, **changes})


def at(hour: int, minute: int) -> time:
    return time(hour, minute)


def an_object(**elements: Any) -> Dataset:
    """One classic MR object without pixels; a keyword set to None is left out."""
    defaults: dict[str, Any] = {
        "SOPClassUID": MR,
        "SOPInstanceUID": generate_uid(),
        "StudyInstanceUID": STUDY_UID,
        "SeriesInstanceUID": f"{STUDY_UID}.1",
        "FrameOfReferenceUID": f"{STUDY_UID}.9",
        "Modality": "MR",
        "Manufacturer": "SIEMENS",
        "PatientName": "Secret^Name",
        "PatientID": "SECRET-ID",
        "PatientBirthDate": "19700102",
        "PatientSex": "F",
        "StudyDate": "20240105",
        "StudyTime": "101112",
        "AccessionNumber": "SECRET-ACC",
        "StudyDescription": "MR brain",
        "SeriesNumber": 3,
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"],
        "MRAcquisitionType": "2D",
        "MagneticFieldStrength": 1.5,
        "SliceThickness": 5.0,
        "PixelSpacing": [1.0, 1.0],
        "ImageOrientationPatient": list(AXIAL),
        "ImagePositionPatient": [0.0, 0.0, 0.0],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
    }
    ds = Dataset()
    for keyword, value in {**defaults, **FLAIR_PHYSICS, **elements}.items():
        if value is not None:
            setattr(ds, keyword, value)
    return ds


def write(ds: Dataset, path: Path, *, syntax: UID = ExplicitVRLittleEndian) -> Path:
    """Write with file meta information and preamble."""
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, ds, enforce_file_format=True)
    return path


def with_pixels(ds: Dataset, pixels: npt.NDArray[Any]) -> Dataset:
    ds.Rows, ds.Columns = pixels.shape[-2:]
    if pixels.ndim == 3:
        ds.NumberOfFrames = pixels.shape[0]
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes()
    return ds


def planes(count: int, rows: int = 16, columns: int = 20, seed: int = 1, dtype: Any = np.uint16) -> npt.NDArray[Any]:
    """Random voxels (k, j, i); every slice different."""
    return np.random.default_rng(seed).integers(0, 1000, (count, rows, columns)).astype(dtype)


def a_series(
    folder: Path,
    *,
    pixels: npt.NDArray[Any] | None = None,
    count: int = 12,
    spacing_mm: float = 5.0,
    series: int = 1,
    orientation: Sequence[float] = AXIAL,
    origin: Sequence[float] = (-10.0, -8.0, -30.0),
    change: Callable[[int, Dataset], None] | None = None,
    only: Sequence[int] | None = None,
    syntax: UID = ExplicitVRLittleEndian,
    **elements: Any,
) -> list[Path]:
    """A classic series on disk, one file per slice along the normal.

    Args:
        change: called with (slice index, dataset) before writing, to spoil one slice.
        only: slice indices to write; None: all.
    """
    voxels = planes(count) if pixels is None else pixels
    normal = np.cross(orientation[:3], orientation[3:])
    written = []
    for k in range(len(voxels)) if only is None else only:
        position = np.asarray(origin) + normal * spacing_mm * k
        ds = an_object(
            **{
                "SeriesInstanceUID": f"{STUDY_UID}.{series}",
                "SeriesNumber": series,
                "InstanceNumber": k + 1,
                "ImagePositionPatient": [float(f"{v:.6f}") for v in position],
                "ImageOrientationPatient": list(orientation),
                "SliceThickness": spacing_mm,
                **elements,
            }
        )
        with_pixels(ds, voxels[k])
        if change is not None:
            change(k, ds)
        written.append(
            write(
                ds,
                folder / f"{series:02d}_{k:03d}_{len(list(folder.glob('*'))) if folder.exists() else 0}",
                syntax=syntax,
            )
        )
    return written


# classic elements that enhanced objects keep in their functional groups instead
PER_FRAME = (
    "ScanningSequence",
    "SequenceVariant",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SliceThickness",
)


def _item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def an_enhanced_object(
    pixels: npt.NDArray[Any],
    *,
    b_values: Sequence[float | None] = (None,),
    spacing_mm: float = 5.0,
    contrast: str = "FLUID_ATTENUATED",
    inversion_time_ms: float | None = 2500.0,
    repetition_time_ms: float = 9000.0,
    echo_time_ms: float = 125.0,
    image_type: Sequence[str] = ("ORIGINAL", "PRIMARY", "M", "NONE"),
    rescale: tuple[float, float] = (1.0, 0.0),
    **elements: Any,
) -> Dataset:
    """One Enhanced MR object: pixels (frames, rows, columns), frame order b-value by b-value, slice by slice."""
    ds = an_object(
        SOPClassUID=ENHANCED_MR,
        ImageType=list(image_type),
        AcquisitionContrast=contrast,
        **dict.fromkeys(PER_FRAME),
        **elements,
    )
    shared = _item(
        MRTimingAndRelatedParametersSequence=[_item(RepetitionTime=repetition_time_ms, FlipAngle=90)],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=list(AXIAL))],
        PixelMeasuresSequence=[_item(PixelSpacing=[1.0, 1.0], SliceThickness=spacing_mm)],
        PixelValueTransformationSequence=[
            _item(RescaleSlope=rescale[0], RescaleIntercept=rescale[1], RescaleType="US")
        ],
    )
    if inversion_time_ms is not None:
        shared.MRModifierSequence = [_item(InversionRecovery="YES", InversionTimes=inversion_time_ms)]
    ds.SharedFunctionalGroupsSequence = [shared]
    slices = len(pixels) // len(b_values)
    ds.PerFrameFunctionalGroupsSequence = [
        _frame(b, k, spacing_mm, echo_time_ms, image_type) for b in b_values for k in range(slices)
    ]
    return with_pixels(ds, pixels)


def _frame(b_value: float | None, k: int, spacing_mm: float, echo_time_ms: float, image_type: Sequence[str]) -> Dataset:
    frame = _item(
        PlanePositionSequence=[_item(ImagePositionPatient=[-10.0, -8.0, -30.0 + spacing_mm * k])],
        FrameContentSequence=[_item(StackID="1", InStackPositionNumber=k + 1, TemporalPositionIndex=1)],
        MREchoSequence=[_item(EffectiveEchoTime=echo_time_ms)],
        MRImageFrameTypeSequence=[_item(FrameType=list(image_type), ComplexImageComponent="MAGNITUDE")],
    )
    if b_value is not None:
        directionality = "NONE" if b_value == 0 else "ISOTROPIC"
        frame.MRDiffusionSequence = [_item(DiffusionBValue=b_value, DiffusionDirectionality=directionality)]
    return frame
