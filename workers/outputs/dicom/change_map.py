"""The FLAIR change of the evidence in, a Parametric Map on the follow-up FLAIR out: percent, voxel by voxel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import highdicom as hd
import numpy as np

from workers.outputs.dicom import codes
from workers.outputs.dicom.objects import MEDIA_TYPE, MODEL, SERIAL, finished, result_of, stubs
from workers.outputs.dicom.references import put_right, referred
from workers.outputs.dicom.segments import read_nifti
from workers.outputs.output import EvidenceFiles, Output
from workers.outputs.sources import sources_of

CHANGE = "change_percent.nii.gz"
NOT_MEASURED = -1000.0  # in the file of the evidence, and the padding value of the object
SHOWN_PERCENT = 30.0  # the window is from minus to plus this, as in the evidence picture
QUANTITY = "flair_change_percent"


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    result = result_of(document, evidence)
    flair = result.sources.followup.first("flair")
    if flair is None or CHANGE not in evidence:
        raise ValueError("no change map on a FLAIR series: this output does not apply")
    percent, affine = read_nifti(evidence[CHANGE])
    values = percent.astype(np.float32)
    volume = hd.Volume(
        values,
        affine[:, [2, 1, 0, 3]],  # highdicom indexes (k, j, i)
        coordinate_system="PATIENT",
        frame_of_reference_uid=flair.frame_of_reference_uid,
    )
    code, referring = codes.quantity_code(QUANTITY), referred(flair)
    mapping = hd.pm.RealWorldValueMapping(
        lut_label="ICANSEE",
        lut_explanation=code.meaning,
        unit=codes.unit_code("%"),
        value_range=(-100.0, float(max(values.max(), SHOWN_PERCENT))),
        slope=1.0,
        intercept=0.0,
        quantity_definition=code,
    )
    ds = hd.pm.ParametricMap(
        stubs(result.sources.followup, referring.series),
        volume,
        manufacturer_model_name=MODEL,
        software_versions=result.version,
        device_serial_number=SERIAL,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[hd.VOILUTTransformation(0.0, 2 * SHOWN_PERCENT)],
        content_label="ICANSEE",
        content_description="FLAIR change since the baseline",
        content_qualification="RESEARCH",
        **result.equipment("pm"),
    )
    ds.FloatPixelPaddingValue = ds.FloatPixelPaddingRangeLimit = NOT_MEASURED
    ds.BodyPartExamined = "BRAIN"
    uid = result.uid("pm", "dimensions")  # highdicom makes it up; the same input must give the same bytes
    for item in (*ds.DimensionOrganizationSequence, *ds.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
    put_right(ds, referring)
    return finished(ds, result, "pm")


def _applies(document: Mapping[str, Any], evidence: EvidenceFiles) -> bool:
    """The dates were compared, and each image says where it lies, in a frame of reference."""
    flair = sources_of(document, evidence).followup.first("flair")
    placed = flair is not None and flair.placed and flair.frame_of_reference_uid != ""
    return placed and CHANGE in evidence


PM = Output("pm", "change.dcm", MEDIA_TYPE, render, _applies)
