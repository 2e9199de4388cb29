"""A decision that is wrong in, an IOCM rejection note for the objects that it was sent as out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import highdicom as hd
from pydicom import Dataset, uid

from workers.outputs.dicom import codes
from workers.outputs.dicom.change_map import PM
from workers.outputs.dicom.keys import KOS
from workers.outputs.dicom.objects import MEDIA_TYPE, DicomResult, fill_study, finished, result_of
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


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    result = result_of(document, evidence)
    rejected = [_stub(result, output.kind, sop) for output, sop in REJECTABLE if output.applies(document, evidence)]
    if not rejected:
        raise ValueError("the decision has no DICOM objects: this output does not apply")
    ds = hd.ko.KeyObjectSelectionDocument(
        evidence=rejected,
        content=hd.ko.KeyObjectSelection(codes.REJECTED.code, rejected, description="Results of ICANSee retracted"),
        **result.equipment("retract"),
    )
    return finished(ds, result, "retract")


def _stub(result: DicomResult, kind: str, sop_class_uid: str) -> Dataset:
    ds = Dataset()
    fill_study(ds, result.sources.followup)
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class_uid, result.uid(kind)
    ds.SeriesInstanceUID = result.uid(kind, "series")
    return ds


def _applies(document: Mapping[str, Any], evidence: EvidenceFiles) -> bool:
    return any(output.applies(document, evidence) for output, _ in REJECTABLE)


RETRACT = Output("retract", "retraction.dcm", MEDIA_TYPE, render, _applies)
