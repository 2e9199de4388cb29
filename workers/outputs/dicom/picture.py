"""The evidence picture in, a Secondary Capture image out: one for each decision, also when nothing was assessable."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from highdicom.sc import SCImage
from PIL import Image

from workers.outputs.dicom.objects import MANUFACTURER, MEDIA_TYPE, finished, result_of
from workers.outputs.output import EvidenceFiles, Output

PICTURE = "evidence.png"


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    result = result_of(document, evidence)
    header = result.sources.followup.header
    with Image.open(io.BytesIO(evidence[PICTURE])) as image:
        pixels = np.asarray(image.convert("RGB"))
    ds = SCImage(
        pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        study_instance_uid=header["StudyInstanceUID"],
        patient_orientation=("L", "P"),  # every panel: patient right on the left, front up
        **result.equipment("sc"),
    )
    ds.Manufacturer, ds.BodyPartExamined = MANUFACTURER, "BRAIN"
    ds.BurnedInAnnotation = "YES"  # the dates of both studies stand in the picture
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.ImageComments = str(document["disclaimer"])
    return finished(ds, result, "sc")


def has_picture(_document: Mapping[str, Any], evidence: EvidenceFiles) -> bool:
    return PICTURE in evidence


SC = Output("sc", "evidence.dcm", MEDIA_TYPE, render, has_picture)
