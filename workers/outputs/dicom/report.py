"""A document in, a Comprehensive 3D SR out (TID 1500): a group for each region on its segment, the decision on the
whole brain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes as public
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage

from workers.outputs.beside import went_out
from workers.outputs.dicom import codes
from workers.outputs.dicom.library import image_library
from workers.outputs.dicom.objects import (
    MANUFACTURER,
    MEDIA_TYPE,
    MODEL,
    SERIAL,
    DicomResult,
    derived_uid,
    finished,
    has_headers,
    measured_series,
    refer_to,
    result_of,
    stubs,
)
from workers.outputs.dicom.segments import SEG, WHOLE, Segment, segment_names
from workers.outputs.dicom.sr_document import hierarchical_references, sr_document
from workers.outputs.output import EvidenceFiles, Output
from workers.outputs.sources import SourceSeries, SourceStudy

Row = Mapping[str, Any]  # a measurement of the document


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    result = result_of(document, evidence)
    segments = segment_names(evidence) if SEG.applies(document, evidence) else ()
    report = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_device(result)),
        procedure_reported=codes.BRAIN_MRI,
        title=codes.REPORT.code,
        imaging_measurements=list(_groups(result, segments)),
    )
    root, series = report[0], list(_images_of_both(result))
    library = image_library(series)
    if library is not None:
        root.ContentSequence.insert(_place_of_measurements(root), library)
    images = [ds for study, one in series for ds in stubs(study, one)]
    ds = sr_document(result, root, [*images, *([_seg_stub(result)] if segments else [])])
    ds.CodingSchemeIdentificationSequence = [_scheme()]
    before = went_out(evidence).report
    if before is not None:
        ds.PredecessorDocumentsSequence = hierarchical_references([_predecessor(result, *before)])
    return finished(ds, result, "sr")


def _place_of_measurements(root: Dataset) -> int:
    """Of the container Imaging Measurements; the image library stands before it."""
    names = [item.ConceptNameCodeSequence[0].CodeValue for item in root.ContentSequence]
    return names.index(public.DCM.ImagingMeasurements.value)


def _images_of_both(result: DicomResult) -> Iterable[tuple[SourceStudy, SourceSeries]]:
    """What was measured first of all at both dates: the image library."""
    for study in (result.sources.followup, result.sources.baseline):
        series = None if study is None else measured_series(study)
        if study is not None and series is not None:
            yield study, series


def _device(result: DicomResult) -> sr.ObserverContext:
    return sr.ObserverContext(
        observer_type=Code("121007", "DCM", "Device"),
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=derived_uid(result.sources, 0, "", "device", MANUFACTURER),
            name=MODEL,
            manufacturer_name=MANUFACTURER,
            model_name=MODEL,
            serial_number=SERIAL,
        ),
    )


def _groups(result: DicomResult, segments: Sequence[Segment]) -> Iterable[Any]:
    rows: dict[str, list[Row]] = {}
    for row in result.document["measurements"]:
        rows.setdefault(row["region"], []).append(row)
    numbers = {segment.name: number + 1 for number, segment in enumerate(segments)}
    others = [row for region, some in rows.items() if region not in numbers and region != WHOLE for row in some]
    yield _study_group(result, rows.get(WHOLE, []), others, numbers.get(WHOLE))
    for segment in segments:
        if segment.name != WHOLE and segment.name in rows:
            yield _region_group(result, segment, rows[segment.name], numbers[segment.name])


def _study_group(result: DicomResult, whole: Sequence[Row], others: Sequence[Row], number: int | None) -> Any:
    """The decision and the figures of the whole brain, then the figures of regions that have no segment."""
    measurements = [*_figures(whole, site=False), *_figures(others, site=True)]
    days = result.document["study"]["days_after_infusion"]
    if days is not None:
        measurements.insert(0, sr.Measurement(codes.DAYS_AFTER_INFUSION.code, days, codes.unit_code("d")))
    said = [*_decision(result.document), *_not_measured(whole, site=False), *_not_measured(others, site=True)]
    shared: dict[str, Any] = {
        "tracking_identifier": sr.TrackingIdentifier(result.uid("seg", WHOLE), WHOLE),
        "finding_type": codes.REGIONS[WHOLE].code,
        "measurements": measurements,
        "qualitative_evaluations": said,
        "algorithm_id": _algorithm(result),
        "finding_sites": [sr.FindingSite(codes.REGIONS[WHOLE].code)],
    }
    if number is None:
        return sr.MeasurementsAndQualitativeEvaluations(**shared)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=_segment_of(result, number), time_point_context=_time_point(result), **shared
    )


def _region_group(result: DicomResult, segment: Segment, rows: Sequence[Row], number: int) -> Any:
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(result.uid("seg", segment.name), segment.name),
        referenced_segment=_segment_of(result, number),
        time_point_context=_time_point(result),
        finding_type=segment.what,
        finding_sites=[sr.FindingSite(segment.what, segment.side)],
        algorithm_id=_algorithm(result),
        measurements=list(_figures(rows, site=False)),
        qualitative_evaluations=list(_not_measured(rows, site=False)),
    )


def _figures(rows: Iterable[Row], *, site: bool) -> Iterable[sr.Measurement]:
    for row in rows:
        if row["value"] is not None:
            name, unit = codes.quantity_code(row["quantity"]), codes.unit_code(row["unit"])
            sites = [sr.FindingSite(*codes.region_code(row["region"]))] if site else None
            yield sr.Measurement(name, row["value"], unit, finding_sites=sites)
            if row["uncertainty"] is not None:
                # its own measurement: validators and readers stumble over measurement properties
                derivation = codes.UNCERTAINTY.code
                yield sr.Measurement(name, row["uncertainty"], unit, finding_sites=sites, derivation=derivation)


def _not_measured(rows: Iterable[Row], *, site: bool) -> Iterable[sr.QualitativeEvaluation]:
    """Not measured is said, never left out: the quantity is undetermined."""
    for row in rows:
        if row["value"] is None:
            undetermined = codes.PRESENCE["indeterminate"].code
            said = sr.QualitativeEvaluation(codes.quantity_code(row["quantity"]), undetermined)
            if site:
                said[0].ContentSequence = sr.ContentSequence([sr.FindingSite(*codes.region_code(row["region"]))])
            yield said


def _decision(document: Mapping[str, Any]) -> Iterable[sr.QualitativeEvaluation]:
    decision = document["decision"]
    yield sr.QualitativeEvaluation(codes.CATEGORY.code, codes.CATEGORIES[decision["category"]].code)
    yield sr.QualitativeEvaluation(codes.PRIORITY.code, codes.PRIORITIES[decision["priority"]].code)
    for finding in document["findings"]:
        presence = codes.PRESENCE[finding["presence"]].code
        yield sr.QualitativeEvaluation(codes.pattern_code(finding["pattern"]), presence)


def _algorithm(result: DicomResult) -> sr.AlgorithmIdentification:
    versions = result.document["versions"]
    parameters = [f"{name}={value}" for name, value in versions.items() if name != "icansee"]
    return sr.AlgorithmIdentification(
        MODEL, result.version, parameters or None, family=codes.ARTIFICIAL_INTELLIGENCE.code
    )


def _segment_of(result: DicomResult, number: int) -> sr.ReferencedSegment:
    flair = result.sources.followup.first("flair")
    if flair is None:
        raise ValueError("a segment without its series")
    where = str(SegmentationStorage), result.uid("seg"), number
    if any(one.series_instance_uid for one in flair.instances):  # no series holds them all
        some = [(one.sop_class_uid, one.sop_instance_uid) for one in flair.instances]
        return sr.ReferencedSegment(*where, source_images=[sr.SourceImageForSegmentation(*one) for one in some])
    return sr.ReferencedSegment(*where, source_series=sr.SourceSeriesForSegmentation(flair.series_instance_uid))


def _time_point(result: DicomResult) -> sr.TimePointContext:
    return sr.TimePointContext(time_point=result.document["study"]["study_date"] or "unknown")


def _seg_stub(result: DicomResult) -> Dataset:
    ds = Dataset()
    refer_to(ds, result.sources.followup)
    ds.SOPClassUID, ds.SOPInstanceUID = SegmentationStorage, result.uid("seg")
    ds.SeriesInstanceUID = result.uid("seg", "series")
    return ds


def _predecessor(result: DicomResult, revision: int, stage: str) -> Dataset:
    """The newest report that somebody has, which this one supersedes."""
    ds = Dataset()
    refer_to(ds, result.sources.followup)
    ds.SOPClassUID = Comprehensive3DSRStorage
    ds.SOPInstanceUID = derived_uid(result.sources, revision, stage, "sr", "object")
    ds.SeriesInstanceUID = derived_uid(result.sources, revision, stage, "sr", "series")
    return ds


def _scheme() -> Dataset:
    """Who defines the private codes. highdicom does not write it by itself."""
    ds = Dataset()
    ds.CodingSchemeDesignator, ds.CodingSchemeName, ds.CodingSchemeVersion = codes.PRIVATE, "ICANSee private codes", "1"
    ds.CodingSchemeResponsibleOrganization = MANUFACTURER
    return ds


SR = Output("sr", "measurements.dcm", MEDIA_TYPE, render, has_headers)
