"""A small decision with asymmetric regions, as a document and the files of its evidence."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from PIL import Image
from pydicom.uid import EnhancedMRImageStorage

from tests.workers.outputs.evidence.evidence_builders import NAMES, an_assessment, measured
from tests.workers.outputs.sources_builders import ORIGIN_MM, SHAPE, SPACING_MM, some_sources
from triage.model import Study
from triage.report.document import to_document
from workers.outputs.sources import FILE_NAME, SourceSeries, SourceStudy, sources_to_json
from workers.studies import refusals

DECIDED_AT = "2026-11-29T08:00:00+00:00"
CUTS = {"header": [[0, 4]], "rows": [[4, 10], [10, 16], [16, 20]], "footer": [[20, 24]]}  # of the picture, by line
Labels = npt.NDArray[np.uint8]


def labels() -> Labels:
    """Left is at higher i. The left thalamus has four times the voxels of the right one."""
    found = np.zeros(SHAPE, np.uint8)
    found[4:8, 10:20, 16:28] = 13
    found[4:8, 10:20, 4:16] = 14
    found[5:7, 12:16, 18:22] = 9
    found[5:7, 12:14, 10:12] = 10
    found[2:4, 14:18, 14:18] = 2
    return found


def lesions() -> Labels:
    found = np.zeros(SHAPE, np.uint8)
    found[5, 13, 20] = 1
    found[6, 11, 25:27] = 2
    return found


def change() -> npt.NDArray[np.float32]:
    """Percent; the left thalamus is 30 % brighter, nothing outside the brain is measured."""
    found = np.where(labels() > 0, 1.5, -1000.0).astype(np.float32)
    found[labels() == 9] = 30.0
    return found


def nifti(voxels: npt.NDArray[Any]) -> bytes:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(SPACING_MM)
    image.SetOrigin(ORIGIN_MM)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.nii.gz"
        sitk.WriteImage(image, str(path), useCompression=True)
        return path.read_bytes()


def picture() -> bytes:
    pixels = np.zeros((24, 40, 3), np.uint8)
    pixels[3, 5] = (255, 10, 20)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    return target.getvalue()


def enhanced(series: SourceSeries) -> SourceSeries:
    """The same images as the frames of one Enhanced MR object."""
    one = series.instances[0]
    bare = replace(one, position=(), orientation=(), spacing=(), thickness_mm=None, window=(), rescale=())
    planes = tuple(picture.plane for picture in series.pictures)
    whole = replace(bare, sop_class_uid=str(EnhancedMRImageStorage), frames=len(planes), planes=planes)
    return replace(series, instances=(whole,))


def in_slabs(series: SourceSeries, frames: int) -> SourceSeries:
    """The same images as the frames of several Enhanced MR objects."""
    (whole,) = enhanced(series).instances
    slabs = [whole.planes[first : first + frames] for first in range(0, len(whole.planes), frames)]
    instances = tuple(
        replace(whole, sop_instance_uid=f"{series.series_instance_uid}.{n + 1}", frames=len(some), planes=some)
        for n, some in enumerate(slabs)
    )
    return replace(series, instances=instances)


def uid_each(series: SourceSeries) -> SourceSeries:
    """The same images, each in a series of its own; the first has that of the series."""
    own = [f"{series.series_instance_uid}.0.{n}" for n in range(1, len(series.instances))]
    instances = [replace(one, series_instance_uid=uid) for one, uid in zip(series.instances[1:], own, strict=True)]
    return replace(series, instances=(series.instances[0], *instances))


def with_a_turned_frame(series: SourceSeries) -> SourceSeries:
    """One Enhanced MR object, and a last frame in another direction."""
    (whole,) = enhanced(series).instances
    turned = replace(whole.planes[0], orientation=(0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    return replace(series, instances=(replace(whole, frames=len(whole.planes) + 1, planes=(*whole.planes, turned)),))


def as_diffusion(series: SourceSeries) -> SourceSeries:
    """Diffusion images of two b-values at each place."""
    again = [replace(one, sop_instance_uid=f"{one.sop_instance_uid}.0") for one in series.instances]
    return replace(series, kind="dwi", instances=(*series.instances, *again))


FORMS: dict[str, Callable[[SourceSeries], SourceSeries]] = {
    "classic": lambda series: series,
    "enhanced": enhanced,
    "slabs": lambda series: in_slabs(series, 4),
    "a frame each": lambda series: in_slabs(series, 1),
    "a UID each": uid_each,
    "a UID and a frame each": lambda series: uid_each(in_slabs(series, 1)),
    "a turned frame": with_a_turned_frame,
}


def _study_of(study: SourceStudy | None, form: str) -> SourceStudy | None:
    return None if study is None else replace(study, series=tuple(map(FORMS[form], study.series)))


def a_decision(
    *, compared: bool = True, assessable: bool = True, form: str = "classic", diffusion: bool | None = False
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Document and evidence. The pons is not measured.

    Args:
        form: of each FLAIR; see FORMS.
        diffusion: the study has no FLAIR but diffusion images; None: it has neither.
    """
    sources = some_sources(compared=compared)
    followup = _study_of(sources.followup, form)
    assert followup is not None
    if diffusion is not False:
        followup = replace(followup, series=tuple(map(as_diffusion, followup.series)) if diffusion else ())
    sources = replace(sources, followup=followup, baseline=_study_of(sources.baseline, form))
    evidence = {FILE_NAME: sources_to_json(sources), "evidence.png": picture()}
    uid = sources.followup.header["StudyInstanceUID"]
    assessment = an_assessment(measured(missing="pons"))
    evidence["pages.json"] = json.dumps(CUTS if assessable else CUTS | {"rows": []}).encode()
    if not assessable:
        study = Study(uid, assessment.study.patient, assessment.study.study_date, None)
        outcome = refusals.outcome(study, code="no_flair", message="none", infusion_date=None, versions={})
        return to_document(outcome.assessment) | {"decided_at": DECIDED_AT}, evidence
    evidence |= {"regions.nii.gz": nifti(labels()), "new_lesions.nii.gz": nifti(lesions())}
    evidence["regions.json"] = json.dumps({str(label): name for label, name in NAMES.items()}).encode()
    document = to_document(assessment) | {"decided_at": DECIDED_AT}
    if compared:
        evidence["change_percent.nii.gz"] = nifti(change())
    else:
        document["registration"] = document["baseline"] = None
    return document, evidence
