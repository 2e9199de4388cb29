"""Regions and masks of the evidence in, a binary Segmentation on the follow-up FLAIR out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from pydicom.sr.coding import Code

from triage.alignment.images import affine_of
from triage.model import Affine
from workers.outputs.dicom import codes
from workers.outputs.dicom.objects import (
    MANUFACTURER,
    MEDIA_TYPE,
    MODEL,
    SERIAL,
    DicomResult,
    finished,
    result_of,
    stubs,
)
from workers.outputs.dicom.references import put_right, referred
from workers.outputs.output import EvidenceFiles, Output
from workers.outputs.sources import sources_of

REGIONS = "regions.nii.gz"
NAMES = "regions.json"
WHOLE = "brain"  # all regions together
MASKS = {  # file of the evidence -> what its voxels are
    "new_lesions": codes.LESION,
    "restricted": codes.RESTRICTED_DIFFUSION,
}


@dataclass(frozen=True)
class Segment:
    """One segment; its number is its place in the list, counted from 1. name: a region, or a mask of the evidence."""

    name: str
    category: Code
    what: Code
    side: Code | None = None


@dataclass(frozen=True, eq=False)
class SegmentMasks:
    """segments: numbered from 1 in this order. labels: region labels, (k, j, i). extra: masks of the evidence by name.

    affine: (i, j, k) -> LPS mm.
    """

    segments: tuple[Segment, ...]
    labels: npt.NDArray[np.uint8]
    numbers: Mapping[str, int]
    extra: Mapping[str, npt.NDArray[np.bool_]]
    affine: Affine

    def mask(self, name: str) -> npt.NDArray[np.bool_]:
        """The voxels of a segment, (k, j, i)."""
        if name == WHOLE:
            return np.asarray(self.labels > 0)
        return self.extra[name] if name in self.extra else np.asarray(self.labels == self.numbers[name])

    def voxels(self) -> npt.NDArray[np.uint8]:
        """All segments, (k, j, i, segment), 0 or 1."""
        found = np.empty((len(self.segments), *self.labels.shape), np.uint8)
        for number, segment in enumerate(self.segments):
            found[number] = self.mask(segment.name)
        return np.moveaxis(found, 0, -1)


def segments_of(evidence: EvidenceFiles) -> SegmentMasks | None:
    """Whole brain, each region that has voxels, each mask that has voxels. None: no regions were placed."""
    if REGIONS not in evidence or NAMES not in evidence:
        return None
    labels, affine = read_nifti(evidence[REGIONS])
    known = {str(name): int(label) for label, name in json.loads(evidence[NAMES]).items()}
    there = np.bincount(labels.ravel().astype(np.uint8, copy=False), minlength=256)
    numbers = {name: label for name, label in sorted(known.items(), key=lambda one: one[1]) if there[label]}
    found = [Segment(WHOLE, codes.ANATOMY.code, codes.REGIONS[WHOLE].code)] if there[1:].any() else []
    found += [Segment(name, codes.ANATOMY.code, *codes.region_code(name)) for name in numbers]
    extra = {}
    for name, what in MASKS.items():
        if f"{name}.nii.gz" in evidence:
            mask = read_nifti(evidence[f"{name}.nii.gz"])[0] > 0
            if mask.any():
                extra[name] = mask
                found.append(Segment(name, codes.ABNORMAL.code, what.code))
    return SegmentMasks(tuple(found), labels, numbers, extra, affine) if found else None


def segment_names(evidence: EvidenceFiles) -> tuple[Segment, ...]:
    """The segments, without their voxels."""
    masks = segments_of(evidence)
    return () if masks is None else masks.segments


def read_nifti(content: bytes) -> tuple[npt.NDArray[Any], Affine]:
    """Voxels (k, j, i) and affine (i, j, k) -> LPS mm."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.nii.gz"
        path.write_bytes(content)
        image = sitk.ReadImage(str(path))
    return sitk.GetArrayFromImage(image), affine_of(image)


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    result = result_of(document, evidence)
    flair, masks = result.sources.followup.first("flair"), segments_of(evidence)
    if flair is None or masks is None:
        raise ValueError("no regions on a FLAIR series: this output does not apply")
    row_first = masks.affine[:, [2, 1, 0, 3]]  # highdicom indexes (k, j, i)
    volume = hd.Volume(
        masks.voxels(),
        row_first,
        coordinate_system="PATIENT",
        frame_of_reference_uid=flair.frame_of_reference_uid,
        channels={"SegmentNumber": list(range(1, len(masks.segments) + 1))},
    )
    referring = referred(flair)
    images = stubs(result.sources.followup, referring.series)
    ds = hd.seg.Segmentation(
        images,
        volume,
        segmentation_type="BINARY",
        segment_descriptions=[_description(n + 1, one, result) for n, one in enumerate(masks.segments)],
        manufacturer_model_name=MODEL,
        software_versions=result.version,
        device_serial_number=SERIAL,
        content_label="ICANSEE",
        content_description="Regions and changes found by ICANSee",
        **result.equipment("seg"),
    )
    ds.Manufacturer, ds.BodyPartExamined = MANUFACTURER, "BRAIN"
    _fixed_dimensions(ds, result)
    put_right(ds, referring)
    return finished(ds, result, "seg")


def _description(number: int, segment: Segment, result: DicomResult) -> hd.seg.SegmentDescription:
    description = hd.seg.SegmentDescription(
        number,
        segment.name,
        segment.category,
        segment.what,
        "AUTOMATIC",
        hd.AlgorithmIdentificationSequence(MODEL, codes.ARTIFICIAL_INTELLIGENCE.code, result.version),
        tracking_uid=result.uid("seg", segment.name),
        tracking_id=segment.name,
    )
    if segment.side is not None:
        modifier = hd.sr.CodedConcept.from_code(segment.side)
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
    return description


def _fixed_dimensions(ds: Any, result: DicomResult) -> None:
    """highdicom makes up the UID of the dimension organisation; the same input must give the same bytes."""
    uid = result.uid("seg", "dimensions")
    for item in (*ds.DimensionOrganizationSequence, *ds.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid


def _applies(document: Mapping[str, Any], evidence: EvidenceFiles) -> bool:
    """Regions were placed, and each image says where it lies, in a frame of reference."""
    flair = sources_of(document, evidence).followup.first("flair")
    placed = flair is not None and flair.placed and flair.frame_of_reference_uid != ""
    return placed and segments_of(evidence) is not None


SEG = Output("seg", "regions.dcm", MEDIA_TYPE, render, _applies)
