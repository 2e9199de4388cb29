"""What the tests of reading DICOM share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset, dcmread
from pydicom.uid import UID

from triage.model import SequenceKind, StudyImages, Volume

FLAIR, T1, T1_GD, T2, DWI, ADC = (SequenceKind(k) for k in ("flair", "t1", "t1_gd", "t2", "dwi", "adc"))
OBLIQUE = (0.98480775, 0.0, -0.17364818, 0.03015369, 0.98480775, 0.17101007)  # 10 degrees about two axes
SECRETS = ("Secret", "SECRET", "1970")


def only_refusal(images: StudyImages) -> tuple[str, str]:
    """Code and message of the one reason why nothing was read; no patient's value is in it."""
    assert images.volumes == {}
    assert len(images.skipped) == 1, images.skipped
    refusal = images.skipped[0]
    assert not any(secret in refusal.message for secret in SECRETS)
    return refusal.code, refusal.message


def as_image(volume: Volume) -> Any:
    """The volume as a SimpleITK image with its own directions."""
    image = sitk.GetImageFromArray(volume.voxels)
    spacing = volume.spacing_mm
    image.SetSpacing(spacing)
    image.SetOrigin(volume.affine[:3, 3].tolist())
    image.SetDirection((volume.affine[:3, :3] / np.array(spacing)).ravel().tolist())
    return image


def by_itk(paths: list[Path]) -> Any:
    """The series as SimpleITK reads it."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(paths[0].parent), str(dcmread(paths[0]).SeriesInstanceUID)))
    return sitk.Cast(reader.Execute(), sitk.sitkFloat32)


def compressed(paths: list[Path], syntax: UID) -> list[Path]:
    """The same files with their pixels compressed."""
    for path in paths:
        ds = dcmread(path)
        ds.compress(syntax, generate_instance_uid=False)
        ds.save_as(path)
    return paths


def private_element(ds: Dataset, group: int, creator: str, element: int, vr: str, value: Any) -> None:
    """Put a private element under its creator."""
    ds.private_block(group, creator, create=True).add_new(element, vr, value)
