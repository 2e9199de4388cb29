"""A decision that is wrong in, an IOCM rejection note for the objects that it was sent as out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import highdicom as hd
from pydicom import Dataset, uid

from workers.outputs.beside import went_out
from workers.outputs.dicom import codes
from workers.outputs.dicom.change_map import PM
from workers.outputs.dicom.keys import KOS
from workers.outputs.dicom.objects import MEDIA_TYPE, DicomResult, finished, refer_to, result_of
from workers.outputs.dicom.pages import SC_PAGES
from workers.outputs.dicom.pdf import PDF
from workers.outputs.dicom.picture import SC
from workers.outputs.dicom.presentation import GSPS
from workers.outputs.dicom.report import SR
from workers.outputs.dicom.segments import SEG
from workers.outputs.dicom.spatial import REG
from workers.outputs.output import EvidenceFiles, Output

REJECTABLE = (
    (SC, uid.SecondaryCaptureImageStorage),
    (SC_PAGES, uid.MultiFrameTrueColorSecondaryCaptureImageStorage),
    (SEG, uid.SegmentationStorage),
    (SR, uid.Comprehensive3DSRStorage),
    (KOS, uid.KeyObjectSelectionDocumentStorage),
    (GSPS, uid.GrayscaleSoftcopyPresentationStateStorage),
    (PM, uid.ParametricMapStorage),
    (REG, uid.SpatialRegistrationStorage),
    (PDF, uid.EncapsulatedPDFStorage),
)


REASON = "retraction.json"  # beside the decision: when it was retracted and why


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    if REASON not in evidence:
        return _note(document, evidence, "retract", "Results of ICANSee retracted")
    said = json.loads(evidence[REASON])
    words = f"Results of ICANSee retracted: {said['why']}"
    return _note({**document, "decided_at": said["at"]}, evidence, "retract", words)


def _outdated(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    """All but the report: the newer report names it as its predecessor."""
    return _note(document, evidence, "outdated", "Results of ICANSee outdated by a newer version", kept=(SR,))


def _note(
    document: Mapping[str, Any], evidence: EvidenceFiles, kind: str, words: str, kept: tuple[Output, ...] = ()
) -> bytes:
    result, named = result_of(document, evidence), _named(document, evidence, kept)
    if not named:
        raise ValueError("the decision has no DICOM objects: this output does not apply")
    rejected = [_stub(result, output.kind, sop) for output, sop in named]
    given = result.equipment(kind)
    if went_out(evidence).kinds is not None:  # another receiver has other kinds, and gets another object
        given["sop_instance_uid"] = result.uid(kind, "object," + ",".join(sorted(output.kind for output, _ in named)))
    ds = hd.ko.KeyObjectSelectionDocument(
        evidence=rejected,
        content=hd.ko.KeyObjectSelection(codes.REJECTED.code, rejected, description=words),
        **given,
    )
    return finished(ds, result, kind)


def _named(
    document: Mapping[str, Any], evidence: EvidenceFiles, kept: tuple[Output, ...] = ()
) -> list[tuple[Output, str]]:
    """The objects that the receiver has, or may have; all of them when nobody knows. An archive may refuse a note that
    names one that it has not (dcm4chee: 0xA772)."""
    there = went_out(evidence).kinds
    some = [one for one in REJECTABLE if one[0] not in kept and (there is None or one[0].kind in there)]
    return [(output, sop) for output, sop in some if output.applies(document, evidence)]


def _stub(result: DicomResult, kind: str, sop_class_uid: str) -> Dataset:
    ds = Dataset()
    refer_to(ds, result.sources.followup)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class_uid, result.uid(kind)
    ds.SeriesInstanceUID = result.uid(kind, "series")
    return ds


def _applies(document: Mapping[str, Any], evidence: EvidenceFiles) -> bool:
    return bool(_named(document, evidence))


def _outdated_applies(document: Mapping[str, Any], evidence: EvidenceFiles) -> bool:
    return bool(_named(document, evidence, (SR,)))


RETRACT = Output("retract", "retraction.dcm", MEDIA_TYPE, render, _applies)
OUTDATED = Output("outdated", "outdated.dcm", MEDIA_TYPE, _outdated, _outdated_applies)
