"""The evidence picture in, readable pages of it out: a multi-frame Secondary Capture with a few rows on each page."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import Dataset
from pydicom.tag import Tag
from pydicom.uid import MultiFrameTrueColorSecondaryCaptureImageStorage

from workers.outputs.dicom.objects import MANUFACTURER, MEDIA_TYPE, finished, result_of
from workers.outputs.dicom.picture import PICTURE
from workers.outputs.output import EvidenceFiles, Output

Paper = npt.NDArray[np.uint8]  # (row, column, rgb)

CUTS = "pages.json"
ROWS_ON_A_PAGE = 2  # with header and footer about as high as wide
PAGE_NUMBER_VECTOR = Tag("PageNumberVector")


def pages_of(evidence: EvidenceFiles) -> list[Paper]:
    """The pages, all of one size. Each has the header and the footer of the picture; without rows there is one page."""
    with Image.open(io.BytesIO(evidence[PICTURE])) as image:
        paper = np.asarray(image.convert("RGB"))
    cuts = json.loads(evidence[CUTS])
    header, footer = _cut(paper, cuts["header"]), _cut(paper, cuts["footer"])
    rows = cuts["rows"]
    groups = [rows[n : n + ROWS_ON_A_PAGE] for n in range(0, len(rows), ROWS_ON_A_PAGE)] or [[]]
    pages = [np.concatenate([header, _cut(paper, group), footer]) for group in groups]
    highest = max(len(page) for page in pages)
    return [_padded(page, highest) for page in pages]


def _cut(paper: Paper, parts: list[list[int]]) -> Paper:
    return np.concatenate([paper[:0], *(paper[top:bottom] for top, bottom in parts)])


def _padded(page: Paper, height: int) -> Paper:
    below = np.broadcast_to(page[-1:, :1], (height - len(page), page.shape[1], 3))  # the colour of the paper
    return np.concatenate([page, below])


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    result, pages = result_of(document, evidence), pages_of(evidence)
    given, ds = result.equipment("sc_pages"), Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = MultiFrameTrueColorSecondaryCaptureImageStorage, given["sop_instance_uid"]
    ds.SeriesInstanceUID, ds.SeriesNumber, ds.InstanceNumber = given["series_instance_uid"], given["series_number"], 1
    ds.Modality, ds.ConversionType, ds.Manufacturer, ds.BodyPartExamined = "OT", "WSD", MANUFACTURER, "BRAIN"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.PatientOrientation = ["L", "P"]  # every panel: patient right on the left, front up
    ds.BurnedInAnnotation = "YES"  # the dates of both studies stand in the picture
    ds.ImageComments = str(document["disclaimer"])
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.Rows, ds.Columns, _ = pages[0].shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.NumberOfFrames = len(pages)
    if len(pages) > 1:
        ds.FrameIncrementPointer, ds.PageNumberVector = PAGE_NUMBER_VECTOR, list(range(1, len(pages) + 1))
    content = np.stack(pages).tobytes()
    ds.PixelData = content + b"\0" * (len(content) % 2)
    return finished(ds, result, "sc_pages")


def has_pages(_document: Mapping[str, Any], evidence: EvidenceFiles) -> bool:
    return PICTURE in evidence and CUTS in evidence


SC_PAGES = Output("sc_pages", "evidence_pages.dcm", MEDIA_TYPE, render, has_pages)
