"""A document in, a Key Object Selection out: the FLAIR slices through the thalami and through each new lesion; without
a FLAIR, the diffusion images through what is restricted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import highdicom as hd
import numpy as np
from pydicom import Dataset

from triage.anatomy import THALAMI
from workers.outputs.dicom import codes
from workers.outputs.dicom.objects import MEDIA_TYPE, DicomResult, finished, measured_series, picture_stubs, result_of
from workers.outputs.dicom.segments import SegmentMasks, segments_of
from workers.outputs.output import EvidenceFiles, Output
from workers.outputs.sources import sources_of

SAME_PLANE_MM = 0.01  # images of one plane, e.g. of several b-values
SHOWN = (*THALAMI, "midbrain", "pons", "medulla", "new_lesions", "restricted")


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    result = result_of(document, evidence)
    pictures = key_images(result)
    images = list({one.SOPInstanceUID: one for one, _ in pictures}.values())
    decision = document["decision"]
    said = f"{decision['category']}, {decision['priority']}: {'; '.join(decision['reasons'])}. {document['disclaimer']}"
    ds = hd.ko.KeyObjectSelectionDocument(
        evidence=images,
        content=hd.ko.KeyObjectSelection(codes.OF_INTEREST.code, images, description=said),
        **result.equipment("kos"),
    )
    frames: dict[str, list[int]] = {}
    for one, frame in pictures:
        if frame is not None:
            frames.setdefault(one.SOPInstanceUID, []).append(frame)
    for item in ds.ContentSequence:
        if item.ValueType == "IMAGE" and (some := frames.get(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)):
            item.ReferencedSOPSequence[0].ReferencedFrameNumber = some if len(some) > 1 else some[0]
    return finished(ds, result, "kos")


def key_images(result: DicomResult) -> list[tuple[Dataset, int | None]]:
    """The slices with most of each structure that is shown; the middle of the series when nothing was placed."""
    series, masks = measured_series(result.sources.followup), segments_of(result.evidence)
    if series is None:
        return []
    images = picture_stubs(result.sources.followup, series)
    placed = [one for one in images if "ImagePositionPatient" in one[0]] if series.placed else []
    if masks is None or not placed:
        return [images[len(images) // 2]]
    chosen: set[int] = set()
    for point in _points(masks):
        away = [_distance(one, point) for one, _ in placed]
        chosen |= {n for n, mm in enumerate(away) if mm <= min(away) + SAME_PLANE_MM}
    return [placed[n] for n in sorted(chosen)] or [images[len(images) // 2]]


def _points(masks: SegmentMasks) -> Iterable[Any]:
    """LPS mm of the centre of the plane with most of each structure."""
    for segment in masks.segments:
        if segment.name in SHOWN:
            mask = masks.mask(segment.name)
            k = int(np.argmax(mask.sum(axis=(1, 2))))
            index = np.argwhere(mask[k]).mean(axis=0)
            yield (masks.affine @ [index[1], index[0], k, 1.0])[:3]


def _distance(image: Dataset, point: Any) -> float:
    """Between a point and the plane of an image, mm."""
    cosines = np.asarray(image.ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(*cosines)
    return float(abs(normal @ (np.asarray(point) - np.asarray(image.ImagePositionPatient, dtype=float))))


def _applies(document: Mapping[str, Any], evidence: EvidenceFiles) -> bool:
    """There is an image to refer to."""
    return measured_series(sources_of(document, evidence).followup) is not None


KOS = Output("kos", "key_images.dcm", MEDIA_TYPE, render, _applies)
