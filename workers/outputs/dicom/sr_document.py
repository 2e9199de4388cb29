"""The content tree of a report in, the Comprehensive 3D SR around it out.

highdicom builds the same object in five times the time: it copies the whole tree, parses the copy, and searches the
tree for each reference.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from workers.outputs.dicom.objects import DicomResult, fill_study
from workers.outputs.sources import first_value


def sr_document(result: DicomResult, root: Dataset, evidence: Iterable[Dataset]) -> Dataset:
    """PRELIMINARY and UNVERIFIED, without predecessor.

    Args:
        root: the container of the content.
        evidence: all that the content refers to, and nothing else.
    """
    ds = Dataset()
    fill_study(ds, result.sources.followup)
    given = result.equipment("sr")
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = Comprehensive3DSRStorage, given["sop_instance_uid"], "SR"
    ds.SeriesInstanceUID, ds.SeriesNumber = given["series_instance_uid"], given["series_number"]
    ds.InstanceNumber, ds.Manufacturer = given["instance_number"], given["manufacturer"]
    institution = result.sources.followup.header.get("InstitutionName")
    if institution:
        ds.InstitutionName = first_value(institution)
    ds.CompletionFlag, ds.PreliminaryFlag, ds.VerificationFlag = "COMPLETE", "PRELIMINARY", "UNVERIFIED"
    ds.update(root)
    some = list(evidence)
    same = [one for one in some if one.StudyInstanceUID == ds.StudyInstanceUID]
    other = [one for one in some if one.StudyInstanceUID != ds.StudyInstanceUID]
    if same:
        ds.CurrentRequestedProcedureEvidenceSequence = hierarchical_references(same)
    if other:
        ds.PertinentOtherEvidenceSequence = hierarchical_references(other)
    ds.PerformedProcedureCodeSequence, ds.ReferencedPerformedProcedureStepSequence = [], []
    return ds


def hierarchical_references(objects: Iterable[Dataset]) -> list[Dataset]:
    """Items of the Hierarchical SOP Instance Reference macro: study, series, object."""
    studies: dict[str, dict[str, list[Dataset]]] = {}
    for one in objects:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.SOPClassUID, one.SOPInstanceUID
        studies.setdefault(one.StudyInstanceUID, {}).setdefault(one.SeriesInstanceUID, []).append(item)
    return [_study(uid, series) for uid, series in studies.items()]


def _study(uid: str, series: dict[str, list[Dataset]]) -> Dataset:
    study, items = Dataset(), []
    for series_uid, instances in series.items():
        item = Dataset()
        item.SeriesInstanceUID, item.ReferencedSOPSequence = series_uid, instances
        items.append(item)
    study.StudyInstanceUID, study.ReferencedSeriesSequence = uid, items
    return study
