"""The transform of an accepted registration in, a Spatial Registration out: baseline points onto the follow-up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import SpatialRegistrationStorage

from workers.outputs.dicom.objects import MANUFACTURER, MEDIA_TYPE, finished, result_of
from workers.outputs.output import EvidenceFiles, Output
from workers.outputs.sources import SourceInstance, SourceSeries, SourceStudy, sources_of


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    result = result_of(document, evidence)
    followup, baseline = result.sources.followup, result.sources.baseline
    fixed, moving = followup.first("flair"), None if baseline is None else baseline.first("flair")
    if fixed is None or moving is None or baseline is None:
        raise ValueError("no pair of FLAIR series: this output does not apply")
    matrix = np.linalg.inv(np.asarray(document["registration"]["followup_to_baseline_lps_mm"], dtype=float))
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = SpatialRegistrationStorage, result.uid("reg")
    ds.Modality, ds.Manufacturer, ds.BodyPartExamined = "REG", MANUFACTURER, "BRAIN"
    given = result.equipment("reg")
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = given["series_instance_uid"], given["series_number"], 1
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = fixed.frame_of_reference_uid, ""
    ds.ContentLabel, ds.ContentDescription, ds.ContentCreatorName = "REGISTRATION", "Baseline to follow-up", ""
    ds.RegistrationSequence = Sequence([_item(fixed, np.eye(4)), _item(moving, matrix)])
    ds.ReferencedSeriesSequence = Sequence(_series(fixed))
    other = Dataset()
    other.StudyInstanceUID = baseline.header["StudyInstanceUID"]
    other.ReferencedSeriesSequence = Sequence(_series(moving))
    ds.StudiesContainingOtherReferencedInstancesSequence = Sequence([other])
    return finished(ds, result, "reg")


def _item(series: SourceSeries, matrix: Any) -> Dataset:
    """Points in the frame of reference of the series -> points of the follow-up, LPS mm."""
    transform, wrapped, item = Dataset(), Dataset(), Dataset()
    transform.FrameOfReferenceTransformationMatrixType = "RIGID"
    transform.FrameOfReferenceTransformationMatrix = [f"{value:.9g}" for value in np.asarray(matrix).ravel()]
    wrapped.MatrixSequence = Sequence([transform])
    wrapped.RegistrationTypeCodeSequence = Sequence([])
    item.FrameOfReferenceUID = series.frame_of_reference_uid
    item.MatrixRegistrationSequence = Sequence([wrapped])
    item.ReferencedImageSequence = Sequence(_references(series.instances))
    return item


def _references(instances: Iterable[SourceInstance]) -> list[Dataset]:
    found = []
    for one in instances:
        ds = Dataset()
        ds.ReferencedSOPClassUID, ds.ReferencedSOPInstanceUID = one.sop_class_uid, one.sop_instance_uid
        found.append(ds)
    return found


def _series(series: SourceSeries) -> list[Dataset]:
    """One item; several where each slice has a series of its own."""
    members: dict[str, list[SourceInstance]] = {}
    for one in series.instances:
        members.setdefault(one.series_instance_uid or series.series_instance_uid, []).append(one)
    found = []
    for uid, some in members.items():
        ds = Dataset()
        ds.SeriesInstanceUID, ds.ReferencedInstanceSequence = uid, Sequence(_references(some))
        found.append(ds)
    return found


def _applies(document: Mapping[str, Any], evidence: EvidenceFiles) -> bool:
    """An accepted registration, and a frame of reference on both sides, each its own: under one for both no transform
    can be stated, since it says that their points are the same."""
    registration, sources = document.get("registration"), sources_of(document, evidence)
    pair = (_flair(sources.followup), _flair(sources.baseline))
    frames = {"" if one is None else one.frame_of_reference_uid for one in pair}
    return registration is not None and registration["accepted"] and len(frames) == len(pair) and "" not in frames


def _flair(study: SourceStudy | None) -> SourceSeries | None:
    return None if study is None else study.first("flair")


REG = Output("reg", "registration.dcm", MEDIA_TYPE, render, _applies)
