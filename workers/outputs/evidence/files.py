"""An Assessed in; maps, transform and picture on the follow-up FLAIR's grid out, in files that appear whole or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi
from SimpleITK import Image, Transform, WriteTransform, sitkUInt8

from triage.alignment.images import NEAREST, affine_transform, to_sitk
from triage.anatomy import BRAIN_STEM, CAPSULES, CSF, THALAMI, WHITE, mask_of
from triage.assessment import Assessed
from triage.detection import judged_in_diffusion
from triage.model import Category, Mask, Presence
from triage.report.contents import Assessment
from triage.report.evidence import Evidence, EvidenceMaps, on_followup_grid
from workers.files.replace_file import write_whole
from workers.outputs.evidence import slices, text
from workers.outputs.evidence.nifti import write_nifti
from workers.outputs.evidence.picture import PANEL, PLAIN, QUIET, WARNING, Picture, Row, Words, parts_px, render, small

PixelMask = npt.NDArray[np.bool_]  # (row, column)

OUTLINE_COLOURS = {
    "thalamus_left": "#56c7ff", "thalamus_right": "#56c7ff",
    "external_extreme_capsule_left": "#3ddc97", "external_extreme_capsule_right": "#3ddc97",
    "midbrain": "#f5e663", "pons": "#ff9d3c", "medulla": "#ff7ac6",
}  # fmt: skip
CATEGORY_COLOURS = {
    Category.NEUROTOXICITY_SUSPECTED: "#ff6b5e",
    Category.POSSIBLE: WARNING,
    Category.NO_PATTERN: PLAIN,
    Category.NOT_ASSESSABLE: WARNING,
}
# mask -> colour of its outline; the largest places of a mask get a slice of their own
MASK_COLOURS = {"new_lesions": "#ff5c8a", "enhancing": "#ffe14d"}
MASK_SLICES = 2
RESTRICTED, RESTRICTED_COLOUR = "restricted", "#ff5c8a"
DIFFUSION_TITLES = ("diffusion-weighted", "follow-up, restricted outlined", "ADC")
ADC_WINDOW = (200.0, 1800.0)  # um2/s: restricted tissue (about 500) dark, tissue (about 800) grey, fluid white
BRIGHTEST_DWI = 2.0  # of the brain's median
MASK_SPECK_MM2 = 4.0
GROUPS = (THALAMI, ("midbrain",), ("pons",), ("medulla",))
# These regions have no slice of their own: their figures stand beside the thalami.
WITH_THALAMI = (*CAPSULES, *WHITE, "third_ventricle")
# Grey window in units of the white matter level: CSF dark, oedema (about 1.6) bright but not saturated.
WINDOW = (0.35, 1.8)
OUTLINE_SIGMA_MM = 0.7  # rounds the steps of 1 mm labels
TISSUE = 0.5  # of the white matter level; below it at either date the pixel is CSF or bone, whatever the atlas says
SPECK_MM2 = 20.0  # smaller outlines are ends of regions that belong to another slice
CHANGE_NOT_MEASURED = -1000.0  # a change cannot be below -100 %
CHANGE_STEP_PERCENT = 0.5  # of the stored map: finer than noise, and the file becomes a fifth as large
STEPS_PER_BRIGHT = 256  # grey levels kept below the mean level: finer than noise, and files become a third as large


def maps_of(outcome: Assessed) -> EvidenceMaps | None:
    """The maps of an outcome on the follow-up's grid; None: it has no evidence."""
    return None if outcome.evidence is None else on_followup_grid(outcome.evidence)


def write_evidence(folder: Path, outcome: Assessed, maps: EvidenceMaps | None) -> list[Path]:
    """Write what there is to see of one outcome and its ``maps_of``; returns the paths in the order written.

    A refused registration yields only the picture: maps carried over by a wrong transform would look usable.
    Each mask of the evidence becomes ``<name>.nii.gz``; an empty one says that it was looked for and nothing was found.
    """
    evidence = outcome.evidence
    written = []
    if evidence is not None and maps is not None and not refused(outcome.assessment):
        written += list(_write_maps(folder, evidence, maps))
    picture = picture_of(outcome.assessment, evidence, maps)
    parts = json.dumps(parts_px(picture)) + "\n"
    contents = {"pages.json": parts.encode(), "evidence.png": render(picture), "small.png": small(picture)}
    for name, content in contents.items():
        if content is not None:
            written.append(write_whole(folder / name, partial(Path.write_bytes, data=content)))
    return written


def _write_maps(folder: Path, evidence: Evidence, maps: EvidenceMaps) -> Iterator[Path]:
    if maps.labels is not None:
        regions = to_sitk(maps.labels, sitkUInt8)
        yield write_whole(folder / "regions.nii.gz", lambda path: write_nifti(regions, path))
        names = json.dumps({str(label): name for label, name in sorted(evidence.label_names.items())}, indent=1)
        yield write_whole(folder / "regions.json", lambda path: path.write_text(names + "\n", encoding="utf-8"))
    if maps.baseline is not None:
        moved = to_sitk(replace(maps.baseline, voxels=_rounded(maps.baseline.voxels)))
        yield write_whole(folder / "baseline_on_followup.nii.gz", lambda path: write_nifti(moved, path))
    if maps.change_percent is not None and maps.labels is not None:
        change = to_sitk(replace(maps.change_percent, voxels=_steps(maps.change_percent.voxels, maps.labels.voxels)))
        yield write_whole(folder / "change_percent.nii.gz", lambda path: write_nifti(change, path))
    for name, mask in maps.masks.items():
        image = to_sitk(mask, sitkUInt8)
        yield write_whole(folder / f"{name}.nii.gz", lambda path, image=image: write_nifti(image, path))  # type: ignore[misc]
    if evidence.followup_to_baseline is not None:
        transform = affine_transform(evidence.followup_to_baseline)
        yield write_whole(folder / "followup_to_baseline.tfm", lambda path: _write_transform(transform, str(path)))


# SimpleITK ships no signature for these two.
_write_transform: Callable[[Transform, str], None] = WriteTransform


def _steps(percent: npt.NDArray[Any], labels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Rounded to CHANGE_STEP_PERCENT; CHANGE_NOT_MEASURED outside the regions: NIfTI readers make 0 of NaN."""
    rounded = np.round(percent / CHANGE_STEP_PERCENT) * CHANGE_STEP_PERCENT
    measured = (labels > 0) & np.isfinite(percent)
    return np.where(measured, rounded, CHANGE_NOT_MEASURED).astype(np.float32)


def _rounded(voxels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Rounded to a power of two near the bright level over STEPS_PER_BRIGHT, so that the numbers compress."""
    bright = float(np.mean(np.abs(voxels[voxels != 0]))) if voxels.any() else 1.0
    step = 2.0 ** np.floor(np.log2(bright / STEPS_PER_BRIGHT))
    return np.asarray(np.round(voxels / step) * step, dtype=np.float32)


def picture_of(assessment: Assessment, evidence: Evidence | None, maps: EvidenceMaps | None) -> Picture:
    """Everything the picture shows, decided; nothing drawn yet."""
    rows = () if evidence is None or maps is None else tuple(_rows(assessment, evidence, maps))
    return Picture(_header(assessment), rows, [Words(line, QUIET, 13, above_px=3) for line in text.footer(assessment)])


def _header(assessment: Assessment) -> tuple[Words, ...]:
    colour = PLAIN if assessment.is_before_treatment else CATEGORY_COLOURS[assessment.decision.category]
    return (
        Words(text.headline(assessment), colour, 24, bold=True),
        Words(text.dates(assessment), PLAIN, 17, above_px=2),
        *(Words(reason, QUIET, 14, above_px=3) for reason in text.reasons(assessment)),
    )


def refused(assessment: Assessment) -> bool:
    """Whether the two dates could not be laid on each other."""
    return assessment.registration is not None and not assessment.registration.accepted


def _rows(assessment: Assessment, evidence: Evidence, maps: EvidenceMaps) -> Iterator[Row]:
    scene = _scene(assessment, evidence, maps)
    levels: Sequence[slices.Slice] = ()
    if scene.labels is not None and maps.labels is not None:
        groups = [(group, mask_of(maps.labels.voxels, evidence.label_names, group)) for group in GROUPS]
        lit = [*groups, *_mask_groups(maps)]
        levels = slices.region_slices(maps.labels, scene.frame, scene.thickness_mm, lit)
    levels = levels or slices.plain_slices(evidence.followup, scene.frame, scene.thickness_mm)
    for number, level in enumerate(levels):
        yield _row(assessment, scene, level, _told(levels, number), first=number == 0)
    yield from _diffusion_rows(assessment, scene, maps)


def _diffusion_rows(assessment: Assessment, scene: _Scene, maps: EvidenceMaps) -> Iterator[Row]:
    """The slice with most restricted tissue, when a pattern that is judged in diffusion images is possible or more."""
    mask, shown = maps.masks.get(RESTRICTED), scene.evidence.diffusion
    names = judged_in_diffusion()
    present = any(f.pattern in names and f.presence is Presence.PRESENT for f in assessment.findings)
    if not present or mask is None or not mask.voxels.any() or not {"dwi", "adc"} <= set(shown):
        return
    groups = [((RESTRICTED,), np.asarray(mask.voxels > 0))]
    level = next(iter(slices.region_slices(mask, scene.frame, scene.thickness_mm, groups)), None)
    if level is None:
        return
    view = slices.view_of(scene.shown, scene.evidence.followup, scene.frame, *PANEL)
    restricted = slices.sample(to_sitk(mask, sitkUInt8), scene.frame, view, level, how=NEAREST) > 0
    smooth = ndi.gaussian_filter(restricted.astype(np.float32), OUTLINE_SIGMA_MM / view.pixel_mm)
    dwi, adc = (slices.sample(to_sitk(shown[name]), scene.frame, view, level) for name in ("dwi", "adc"))
    median = _white_level(shown["dwi"].voxels, None)
    low, high = ADC_WINDOW
    yield Row(
        heading=_heading(scene, view, level),
        baseline=np.asarray(np.clip(dwi / (BRIGHTEST_DWI * median), 0, 1), dtype=np.float32),
        followup=_window(_followup(scene, view, level)),
        change=np.asarray(np.clip((adc - low) / (high - low), 0, 1), dtype=np.float32),
        pixel_mm=view.pixel_mm,
        outlines=((RESTRICTED_COLOUR, np.asarray(smooth)),),
        words=[
            Words(one, RESTRICTED_COLOUR if n == 0 else PLAIN, 15, bold=n == 0, above_px=6)
            for n, one in enumerate(text.restriction(assessment.measurements))
        ],
        titles=DIFFUSION_TITLES,
    )


def _mask_groups(maps: EvidenceMaps) -> Iterator[tuple[tuple[str, ...], Mask]]:
    """The largest places of each mask, named e.g. ("new_lesions 1",)."""
    for name in MASK_COLOURS:
        mask = maps.masks.get(name)
        if mask is not None:
            sizes = np.bincount(mask.voxels.ravel(), minlength=1)[1:]
            for index in np.argsort(-sizes, kind="stable")[:MASK_SLICES]:
                if sizes[index]:
                    yield (f"{name} {index + 1}",), np.asarray(mask.voxels == index + 1)


def _told(levels: Sequence[slices.Slice], number: int) -> tuple[str, ...]:
    """Regions whose figures stand beside a row. One without a slice of its own stands beside the first or last row."""
    shown = {region for level in levels for region in level.regions}
    extra = WITH_THALAMI if number == 0 else ()
    lost = tuple(r for r in (*THALAMI, *BRAIN_STEM) if r not in shown) if number == len(levels) - 1 else ()
    return (*levels[number].regions, *extra, *lost)


@dataclass(frozen=True, eq=False)
class _Scene:
    """Images and geometry shared by the rows. shown: what the view must hold, mask (k, j, i) on the follow-up grid."""

    evidence: Evidence
    frame: slices.AxialFrame
    thickness_mm: float
    shown: Mask
    followup: Image
    baseline: Image | None
    labels: Image | None  # None also when the registration that would carry them was refused
    change: Image | None
    masks: Mapping[str, Image]
    followup_white: float
    baseline_white: float

    def view(self, level: slices.Slice) -> slices.View:
        volume = self.evidence.followup
        whole = slices.view_of(self.shown, volume, self.frame, *PANEL)
        here = slices.at_level(self.shown, volume, self.frame, level)
        return slices.zoomed(whole, slices.view_of(here, volume, self.frame, *PANEL)) if here.any() else whole


def _scene(assessment: Assessment, evidence: Evidence, maps: EvidenceMaps) -> _Scene:
    frame = slices.frame_of(evidence.followup.affine)
    labels = None if maps.labels is None or refused(assessment) else maps.labels.voxels
    white = None if labels is None else mask_of(labels, evidence.label_names, WHITE)
    return _Scene(
        evidence=evidence,
        frame=frame,
        thickness_mm=slices.slab_mm([v for v in (evidence.followup, evidence.baseline) if v is not None], frame),
        shown=slices.foreground(evidence.followup) if labels is None else np.asarray(labels > 0),
        followup=to_sitk(evidence.followup),
        baseline=None if evidence.baseline is None else to_sitk(evidence.baseline),
        labels=None if labels is None or evidence.labels is None else to_sitk(evidence.labels, sitkUInt8),
        change=None if evidence.change is None else to_sitk(evidence.change),
        masks={name: to_sitk(mask, sitkUInt8) for name, mask in maps.masks.items() if name in MASK_COLOURS},
        followup_white=_white_level(maps.followup.voxels, white),
        baseline_white=1.0 if maps.baseline is None else _white_level(maps.baseline.voxels, white),
    )


def _white_level(voxels: npt.NDArray[Any], white: Mask | None) -> float:
    """Median of white matter, or of everything bright when no regions are known: puts both dates in one window."""
    inside = voxels[(white if white is not None and white.any() else voxels > 0.5 * voxels.mean()) & (voxels > 0)]
    return float(np.median(inside)) if inside.size else 1.0


def _row(assessment: Assessment, scene: _Scene, level: slices.Slice, told: tuple[str, ...], *, first: bool) -> Row:
    view = scene.view(level)
    followup, baseline = _followup(scene, view, level), _baseline(scene, view, level)
    masks = _masks(scene, view, level)
    change = None
    if baseline is not None and scene.change is not None:
        pixels = slices.sample(
            scene.change, scene.frame, view, level, scene.evidence.followup_to_half_way, outside=float("nan")
        )
        change = _percent(pixels, _tissue(masks, followup, baseline))
    return Row(
        heading=_heading(scene, view, level),
        baseline=None if baseline is None else _window(baseline),
        followup=_window(followup),
        change=change,
        pixel_mm=view.pixel_mm,
        outlines=(*_outlines(masks, view, told), *_mask_outlines(scene, view, level)),
        words=(
            *_words(assessment, told),
            *_lesion_words(assessment, scene, view, level),
            *(_legend(assessment) if first else ()),
        ),
        missing={"baseline": "no baseline", "difference": _why_no_difference(assessment)},
    )


def _followup(scene: _Scene, view: slices.View, level: slices.Slice) -> slices.Pixels:
    """In units of the white matter level."""
    samples = slices.samples_for(scene.evidence.followup, scene.frame, level)
    pixels = slices.sample(scene.followup, scene.frame, view, level, samples=samples)
    return np.asarray(pixels / scene.followup_white, dtype=np.float32)


def _baseline(scene: _Scene, view: slices.View, level: slices.Slice) -> slices.Pixels | None:
    """In units of the white matter level, interpolated once from the native scan."""
    if scene.baseline is None or scene.evidence.baseline is None:
        return None
    samples = slices.samples_for(scene.evidence.baseline, scene.frame, level)
    to_baseline = scene.evidence.followup_to_baseline
    pixels = slices.sample(scene.baseline, scene.frame, view, level, to_baseline, samples=samples)
    return np.asarray(pixels / scene.baseline_white, dtype=np.float32)


def _window(values: slices.Pixels) -> slices.Pixels:
    low, high = WINDOW
    return np.asarray(np.clip((values - low) / (high - low), 0, 1), dtype=np.float32)


def _masks(scene: _Scene, view: slices.View, level: slices.Slice) -> dict[str, PixelMask]:
    """Region -> its pixels at this level, for the regions that are there."""
    if scene.labels is None:
        return {}
    to_labels = scene.evidence.followup_to_baseline
    pixels = slices.sample(scene.labels, scene.frame, view, level, to_labels, how=NEAREST)
    here = set(np.unique(pixels).astype(int).tolist()) - {0}
    return {name: np.asarray(pixels == label) for label, name in scene.evidence.label_names.items() if label in here}


def _outlines(
    masks: dict[str, PixelMask], view: slices.View, told: tuple[str, ...]
) -> Iterator[tuple[str, slices.Pixels]]:
    """Colour and smooth mask of the regions told beside the row, and of the brain stem wherever it is cut."""
    for name, mask in masks.items():
        wanted = name in OUTLINE_COLOURS and name in {*told, *BRAIN_STEM}
        if wanted and mask.sum() * view.pixel_mm**2 >= SPECK_MM2:
            smooth = ndi.gaussian_filter(mask.astype(np.float32), OUTLINE_SIGMA_MM / view.pixel_mm)
            yield OUTLINE_COLOURS[name], np.asarray(smooth)


def _mask_pixels(scene: _Scene, name: str, view: slices.View, level: slices.Slice) -> npt.NDArray[np.uint8]:
    pixels = slices.sample(scene.masks[name], scene.frame, view, level, how=NEAREST)
    return np.asarray(pixels, dtype=np.uint8)


def _mask_outlines(scene: _Scene, view: slices.View, level: slices.Slice) -> Iterator[tuple[str, slices.Pixels]]:
    for name, colour in MASK_COLOURS.items():
        if name in scene.masks:
            here = _mask_pixels(scene, name, view, level) > 0
            if here.sum() * view.pixel_mm**2 >= MASK_SPECK_MM2:
                smooth = ndi.gaussian_filter(here.astype(np.float32), OUTLINE_SIGMA_MM / view.pixel_mm)
                yield colour, np.asarray(smooth)


def _lesion_words(assessment: Assessment, scene: _Scene, view: slices.View, level: slices.Slice) -> Iterator[Words]:
    """One line for each lesion that is cut here, in the colour of its outline."""
    if "new_lesions" in scene.masks:
        here = set(np.unique(_mask_pixels(scene, "new_lesions", view, level)).tolist())
        for lesion in (one for one in assessment.lesions if one.number in here):
            yield Words(text.lesion(lesion), MASK_COLOURS["new_lesions"], 14, bold=True, above_px=6)
    if "enhancing" in scene.masks and _mask_pixels(scene, "enhancing", view, level).any():
        yield Words("enhancing tissue", MASK_COLOURS["enhancing"], 14, bold=True, above_px=6)


def _tissue(masks: dict[str, PixelMask], *scans: slices.Pixels) -> PixelMask:
    """Brain tissue by the atlas and at both dates by its signal: CSF-only change is never a finding."""
    inside = np.logical_and.reduce([scan > TISSUE for scan in scans])
    brain = np.logical_or.reduce([np.zeros_like(inside), *(mask for name, mask in masks.items() if name not in CSF)])
    return np.asarray(inside & brain)


def _percent(log_ratio: slices.Pixels, tissue: PixelMask) -> slices.Pixels:
    """Percent change; NaN outside ``tissue`` and where the scans do not overlap."""
    return np.where(tissue, 100.0 * np.expm1(log_ratio), np.nan).astype(np.float32)


def _heading(scene: _Scene, view: slices.View, level: slices.Slice) -> str:
    z = slices.centre_lps_mm(scene.frame, view, level)[2]
    how = "as acquired" if slices.is_axial(scene.evidence.followup) else "axial reformat"
    return f"z {text.signed(z, 0)} mm, {level.thickness_mm:.1f} mm {how}"


def _words(assessment: Assessment, regions: tuple[str, ...]) -> Iterator[Words]:
    for figure in text.region_texts(assessment.measurements, regions):
        colour = OUTLINE_COLOURS.get(figure.region, PLAIN)  # also the key to the outlines
        yield Words(f"{figure.name}   {figure.main}", colour, 15, bold=True, above_px=6)
        if figure.small:
            yield Words(figure.small, QUIET, 13)


def _legend(assessment: Assessment) -> tuple[Words, ...]:
    legend = text.legend(assessment)
    return () if legend is None else (Words(legend, QUIET, 12, above_px=12),)


def _why_no_difference(assessment: Assessment) -> str:
    if refused(assessment) and assessment.registration is not None:
        return f"not compared: {text.sentence(assessment.registration.reason or 'no reason given')}"
    return "not compared"
