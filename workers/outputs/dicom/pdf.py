"""A decision in, a PDF report inside a DICOM object out, for sites that file documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydicom import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from workers.outputs.dicom.objects import MANUFACTURER, MEDIA_TYPE, finished, result_of
from workers.outputs.dicom.pages import has_pages
from workers.outputs.output import EvidenceFiles, Output


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    # a process that sends starts in half the time without the library that draws
    from workers.outputs.dicom.pdf_pages import TITLE, pdf_report

    result, ds = result_of(document, evidence), Dataset()
    given = result.equipment("pdf")
    ds.SOPClassUID, ds.SOPInstanceUID = EncapsulatedPDFStorage, given["sop_instance_uid"]
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = given["series_instance_uid"], given["series_number"], 1
    ds.Modality, ds.ConversionType, ds.Manufacturer = "DOC", "WSD", MANUFACTURER
    ds.BurnedInAnnotation, ds.RecognizableVisualFeatures = "YES", "NO"
    ds.AcquisitionDateTime, ds.DocumentTitle, ds.ConceptNameCodeSequence = "", TITLE, []
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    content = pdf_report(result)
    ds.EncapsulatedDocumentLength = len(content)
    ds.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    return finished(ds, result, "pdf")


PDF = Output("pdf", "report.dcm", MEDIA_TYPE, render, has_pages)
