"""Regions and masks of the evidence in, a Grayscale Softcopy Presentation State out: their outlines on the original
follow-up FLAIR images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi
from contourpy import contour_generator
from pydicom import Dataset

from triage.anatomy import BRAIN_STEM, CAPSULES, THALAMI
from workers.outputs.dicom.objects import MEDIA_TYPE, MODEL, SERIAL, DicomResult, finished, result_of, stubs
from workers.outputs.dicom.references import Referred, put_right, referred
from workers.outputs.dicom.segments import MASKS, SegmentMasks, segments_of
from workers.outputs.output import EvidenceFiles, Output
from workers.outputs.sources import SourceFrame, SourcePicture, SourceSeries, sources_of

Points = npt.NDArray[np.float64]  # (point, column and row), 0 at the outer edge of the first pixel

REGION_LAYER, CHANGE_LAYER, TEXT_LAYER = "REGIONS", "CHANGES", "NOTE"
COLOURS = {REGION_LAYER: "#56c7ff", CHANGE_LAYER: "#ff5c8a", TEXT_LAYER: "#e8eaed"}  # as in the evidence picture
OUTLINED = {**dict.fromkeys((*THALAMI, *CAPSULES, *BRAIN_STEM), REGION_LAYER), **dict.fromkeys(MASKS, CHANGE_LAYER)}
SMOOTHED = 0.6  # pixels: rounds the steps of the voxels
SAME_PLANE = 0.5  # of the distance between slices
FEWEST_POINTS = 4
NARROWEST = 1.0  # a linear window, PS3.3 C.11.2.1.2.1; another one is no window
NOTE = "ICANSee: unverified, decision support"
NOTE_BOX = (0.0, 0.0, 0.4, 0.05)  # left, top, right, bottom of the display


@dataclass(frozen=True, eq=False)
class Outline:
    """One closed line on one image: its place among the pictures of the series."""

    name: str
    image: int
    points: Points


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    result = result_of(document, evidence)
    flair, masks = result.sources.followup.first("flair"), segments_of(evidence)
    if flair is None or masks is None:
        raise ValueError("no regions on a FLAIR series: this output does not apply")
    referring = referred(flair) if flair.placed else Referred(flair, {})
    flair = referring.series
    images = stubs(result.sources.followup, flair)
    outlines = list(outlines_of(masks, flair))
    pictures, shown = flair.pictures, sorted({one.image for one in outlines})
    for image in images:
        image.SamplesPerPixel = 1
    layers = {
        name: hd.pr.GraphicLayer(name, order, display_color=hd.color.CIELabColor.from_string(colour))
        for order, (name, colour) in enumerate(COLOURS.items(), 1)
    }
    ds = hd.pr.GrayscaleSoftcopyPresentationState(
        referenced_images=_objects(images, [pictures[n] for n in shown]),
        manufacturer_model_name=MODEL,
        software_versions=result.version,
        device_serial_number=SERIAL,
        content_label="ICANSEE",
        content_description="Outlines of regions and changes",
        graphic_layers=list(layers.values()),
        graphic_annotations=list(_annotations(result, images, pictures, outlines, layers)),
        voi_lut_transformations=_windows(images, [pictures[n] for n in shown]),
        modality_lut_transformation=_rescaling(flair),
        **result.equipment("gsps"),
    )
    ds.BodyPartExamined = "BRAIN"
    ds.PresentationCreationDate, ds.PresentationCreationTime = result.decided_at()
    put_right(ds, referring)
    return finished(ds, result, "gsps")


def _objects(images: list[Dataset], pictures: Sequence[SourcePicture]) -> list[Dataset]:
    """The objects that hold these pictures, each once."""
    return [images[number] for number in dict.fromkeys(one.number for one in pictures)]


def _frames(pictures: Sequence[SourcePicture]) -> list[int] | None:
    """Numbers of frames; None: the objects have none."""
    return [one.frame for one in pictures if one.frame is not None] or None


def outlines_of(masks: SegmentMasks, series: SourceSeries) -> Iterator[Outline]:
    """The lines around each structure that is outlined, on each image that lies in a plane of the grid."""
    planes = [_plane(one.plane, masks) for one in series.pictures]
    for segment in masks.segments:
        if segment.name not in OUTLINED:
            continue
        mask = masks.mask(segment.name)
        for number, (plane, picture) in enumerate(zip(planes, series.pictures, strict=True)):
            if plane is not None and mask[plane].any():
                size = (picture.instance.columns, picture.instance.rows)
                for line in _lines(mask[plane]):
                    yield Outline(segment.name, number, np.clip(_on_image(line, plane, picture.plane, masks), 0, size))


def _plane(instance: SourceFrame, masks: SegmentMasks) -> int | None:
    """The plane of the grid in which an image lies; None: in none."""
    if not instance.placed:
        return None
    index = np.linalg.solve(masks.affine, [*instance.position, 1.0])[2]
    plane = round(float(index))
    return plane if abs(index - plane) < SAME_PLANE and 0 <= plane < len(masks.labels) else None


def _lines(mask: npt.NDArray[np.bool_]) -> Iterator[Points]:
    """Closed lines in (i, j) of the grid. A mask that smoothing would lose is outlined as it is."""
    padded = np.pad(mask.astype(np.float32), 1)
    smooth = ndi.gaussian_filter(padded, SMOOTHED)
    for line in contour_generator(z=smooth if smooth.max() > 0.5 else padded).lines(0.5):
        if len(line) >= FEWEST_POINTS:
            yield np.asarray(line, dtype=float) - 1


def _on_image(line: Points, plane: int, instance: SourceFrame, masks: SegmentMasks) -> Points:
    index = np.column_stack([line, np.full(len(line), plane), np.ones(len(line))])
    offset = (index @ masks.affine.T)[:, :3] - np.asarray(instance.position)
    along = np.asarray(instance.orientation).reshape(2, 3)  # a row's direction, a column's direction
    row_mm, column_mm = instance.spacing
    return np.asarray(offset @ along.T / (column_mm, row_mm) + 0.5)


def _annotations(
    result: DicomResult,
    images: list[Dataset],
    pictures: Sequence[SourcePicture],
    outlines: list[Outline],
    layers: Mapping[str, Any],
) -> Iterator[Any]:
    groups: dict[tuple[int, str], list[Any]] = {}
    for one in outlines:
        graphic = hd.pr.GraphicObject(
            "POLYLINE",
            np.round(one.points, 2),
            "PIXEL",
            tracking_id=one.name,
            tracking_uid=result.uid("seg", one.name),
        )
        groups.setdefault((one.image, OUTLINED[one.name]), []).append(graphic)
    for (number, layer), graphics in sorted(groups.items()):
        it = [pictures[number]]
        yield hd.pr.GraphicAnnotation(_objects(images, it), layers[layer], _frames(it), graphic_objects=graphics)
    note = hd.pr.TextObject(NOTE, "DISPLAY", bounding_box=NOTE_BOX)
    some = [pictures[n] for n in sorted({number for number, _ in groups})]
    yield hd.pr.GraphicAnnotation(_objects(images, some), layers[TEXT_LAYER], _frames(some), text_objects=[note])


def _windows(images: list[Dataset], shown: Sequence[SourcePicture]) -> list[Any] | None:
    """The windows of the originals: without them a viewer would show the whole range of values."""
    groups: dict[tuple[float, ...], list[SourcePicture]] = {}
    for one in shown:
        if one.plane.window and one.plane.window[1] >= NARROWEST:
            groups.setdefault(one.plane.window, []).append(one)
    return [
        hd.pr.SoftcopyVOILUTTransformation(
            *window, referenced_images=hd.ReferencedImageSequence(_objects(images, some), _frames(some))
        )
        for window, some in groups.items()
    ] or None


def _rescaling(series: SourceSeries) -> Any:
    """Of the originals, when it is the same in all."""
    found = {one.plane.rescale for one in series.pictures}
    if len(found) != 1 or found == {()}:
        return None
    slope, intercept = found.pop()
    return hd.ModalityLUTTransformation(rescale_slope=slope, rescale_intercept=intercept, rescale_type="US")


def _applies(document: Mapping[str, Any], evidence: EvidenceFiles) -> bool:
    """Something that is outlined lies in the plane of an image."""
    flair, masks = sources_of(document, evidence).followup.first("flair"), segments_of(evidence)
    usable = flair is not None and (flair.placed or not any(one.planes for one in flair.instances))
    return usable and flair is not None and masks is not None and next(outlines_of(masks, flair), None) is not None


GSPS = Output("gsps", "outlines.dcm", MEDIA_TYPE, render, _applies)
