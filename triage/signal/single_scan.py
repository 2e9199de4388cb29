"""One scan and its regions in; how far each region is from its normal level, beside its references, out.

No second scan cancels the receive field, and FLAIR contrast differs between protocols. So the smooth field is taken out
and each region is measured against *two* references:

- the thalami against white matter nearby, and against the brighter of caudate and putamen
- the brain stem against white matter and cerebellum
- the capsules against white matter nearby alone

Published: in adults the thalamus gives less signal than putamen or caudate (67 subjects aged 4-50, T2; scilit
2619bce5f1fec4dc). The mean of the two log ratios varies less between normal heads than either of them. Its normal value
and spread are in the limits. The spread is the uncertainty of every figure, so the patterns need wide limits here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from triage.alignment.grid import Grid
from triage.alignment.images import NEAREST, isotropic_grid, resample, smooth_to, to_sitk
from triage.alignment.normalisation import GREY_REFERENCE, MIN_REFERENCE_VOXELS, WHITE_REFERENCE, smooth_field
from triage.alignment.session import Session
from triage.anatomy import BRAIN_STEM, CAPSULES, THALAMI, WHITE, mask_of
from triage.errors import NotAssessable
from triage.libraries import sitk
from triage.measurements import not_measured, percent
from triage.model import Found, Mask, Measurement, Volume
from triage.signal.change import (
    MeasurementLimits,
    flair_ratios,
    inside_distance,
    shell_around,
    unmeasurable,
    volumes,
)

EXCESS, ASYMMETRY = "flair_excess_percent", "flair_asymmetry_percent"
CAUDATE, PUTAMEN = ("caudate_left", "caudate_right"), ("putamen_left", "putamen_right")
# Times the white matter level: what can be brain tissue on FLAIR. Below is fluid, above a lesion
TISSUE = (0.6, 1.9)
# |log| from the fitted level beyond which a reference voxel is left out (lesion, partial volume)
OFF_REFERENCE = 0.25
GRID_MM = 1.5


@dataclass(frozen=True)
class SingleScanLimits:
    """What is normal on a single scan, in percent.

    Measured on eight real heads (2-D and 3-D, whole and extracted, several scanners) and six simulated ones. The real
    ones have multiple sclerosis, a stroke or a metastasis elsewhere, or nothing. ``_normal`` is the mean of the two log
    ratios in heads without disease in that region. ``_spread`` is one standard deviation between heads, as the
    prediction for a new one.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # the thalami against white matter and caudate or putamen: mean of heads without disease
    thalami_normal: float = -4.5
    # the thalami against white matter and caudate or putamen: one standard deviation between heads
    thalami_spread: float = 6.5
    # the midbrain against white matter and cerebellum: mean of heads without disease
    midbrain_normal: float = -8.0
    # the midbrain against white matter and cerebellum: one standard deviation between heads
    midbrain_spread: float = 7.0
    # the pons against white matter and cerebellum: mean of heads without disease
    pons_normal: float = -11.0
    # the pons against white matter and cerebellum: one standard deviation between heads
    pons_spread: float = 7.5
    # the medulla against white matter and cerebellum: mean of heads without disease
    medulla_normal: float = -6.0
    # the medulla against white matter and cerebellum: one standard deviation between heads
    medulla_spread: float = 7.5
    # external and extreme capsule against white matter nearby: mean of heads without disease
    capsules_normal: float = 4.0
    # external and extreme capsule against white matter nearby: one standard deviation between heads
    capsules_spread: float = 3.5
    # left against right: one standard deviation between heads
    asymmetry_spread: float = 3.0
    # younger patients are not compared: white matter is myelinated at about two years (Radiology 1988;166:173)
    youngest_years: float = 2.0


@dataclass(frozen=True, eq=False)
class FlatScan:
    """One scan without its smooth field, on one cubic grid. Arrays have shape (k, j, i)."""

    level: npt.NDArray[np.float64]  # log intensity over white matter
    white: Mask  # reference tissue
    contrast: float  # log ratio of grey over white matter
    grid: Grid


def measure_alone(
    flair: Volume,
    labels: Volume,
    names: Mapping[int, str],
    limits: SingleScanLimits,
    measuring: MeasurementLimits,
    refusal: str | None = None,
) -> Found:
    """Excess and asymmetry of every suspect region of a single FLAIR scan.

    Args:
        labels: uint8, any grid in the FLAIR's space (LPS mm).
        refusal: why the scan cannot be compared with normal ones; None: it can.
    """
    try:
        if refusal is not None:
            raise NotAssessable(*refusal.split(": ", 1))
        scan = flattened(flair, labels, names)
    except NotAssessable as refused:
        regions = (*THALAMI, *BRAIN_STEM, *CAPSULES)
        return Found(tuple(not_measured(region, EXCESS, "%", str(refused)) for region in regions))
    return Found((*_excesses(scan, limits, measuring), *_asymmetries(scan, limits, measuring)))


def plain_figures(session: Session, labels: Volume, names: Mapping[int, str]) -> Found:
    """Ratios to white matter and volumes, for the reader. labels: uint8, on the FLAIR's own grid."""
    flair = session.volumes[session.anchor]
    return Found(
        (*flair_ratios(flair.voxels, labels.voxels, names), *volumes(labels.voxels, names, labels.voxel_volume_ml))
    )


def flattened(flair: Volume, labels: Volume, names: Mapping[int, str]) -> FlatScan:
    """The scan without its smooth field (receive and transmit).

    Field and contrast of grey to white matter are fitted together to the reference tissue.

    Raises:
        NotAssessable: ``no_reference_tissue``.
    """
    image = to_sitk(flair)
    grid = isotropic_grid(to_sitk(labels, sitk.sitkUInt8), GRID_MM)
    scan = sitk.GetArrayFromImage(resample(smooth_to(image, GRID_MM), grid))
    on_grid = sitk.GetArrayFromImage(resample(to_sitk(labels, sitk.sitkUInt8), grid, how=NEAREST))
    seen = scan > 0
    white, grey = (mask_of(on_grid, names, tissue) & seen for tissue in (WHITE_REFERENCE, GREY_REFERENCE))
    for what, mask in (("white", white), ("grey", grey)):
        if mask.sum() < MIN_REFERENCE_VOXELS:
            raise NotAssessable("no_reference_tissue", f"only {int(mask.sum())} usable {what} matter voxels")
    white_level = float(np.median(scan[white]))
    level = np.log(np.maximum(np.where(seen, scan / white_level, 1.0), 1e-3))
    tissue = seen & (level > np.log(TISSUE[0])) & (level < np.log(TISSUE[1]))
    white, grey = white & tissue, grey & tissue
    reference, kind = white | grey, np.where(grey, 1.0, 0.0)
    for _ in range(2):
        field, contrast = smooth_field(level, reference, kind)
        reference &= np.abs(level - field - kind * contrast) < OFF_REFERENCE
    if (white & reference).sum() < MIN_REFERENCE_VOXELS // 2:
        raise NotAssessable("no_reference_tissue", "white matter is too uneven to be a reference")
    return FlatScan(level - field, white & reference, contrast, Grid(on_grid, names, seen, GRID_MM))


def _excesses(scan: FlatScan, limits: SingleScanLimits, measuring: MeasurementLimits) -> Iterator[Measurement]:
    groups = {
        **dict.fromkeys(THALAMI, (limits.thalami_normal, limits.thalami_spread)),
        "midbrain": (limits.midbrain_normal, limits.midbrain_spread),
        "pons": (limits.pons_normal, limits.pons_spread),
        "medulla": (limits.medulla_normal, limits.medulla_spread),
        **dict.fromkeys(CAPSULES, (limits.capsules_normal, limits.capsules_spread)),
    }
    for region, (normal, spread) in groups.items():
        own = region_level(region, scan, measuring)
        if isinstance(own, str):
            yield not_measured(region, EXCESS, "%", own)
            continue
        against = references(region, scan, measuring)
        if any(value is None for value in against.values()):
            missing = ", ".join(name for name, value in against.items() if value is None)
            yield not_measured(region, EXCESS, "%", f"no_reference_tissue: {missing} not in view")
            continue
        apart = {name: own - value for name, value in against.items() if value is not None}
        words = ", ".join(f"{percent(value):+.0f} % to {name}" for name, value in apart.items())
        value = percent(float(np.mean(list(apart.values()))) - float(np.log1p(normal / 100.0)))
        reason = f"single scan: {words}; normally {normal:+.0f} % on average"
        yield Measurement(region, EXCESS, value, "%", spread, reason=reason)


def region_level(region: str, scan: FlatScan, measuring: MeasurementLimits) -> float | str:
    """Median log level of the region without its rim, or why there is none."""
    whole = mask_of(scan.grid.labels, scan.grid.names, (region,))
    problem = unmeasurable(whole, scan.grid, measuring)
    if problem is not None:
        return problem.replace("both scans show", "the scan shows").replace("baseline's ", "")
    core = whole if region in (*CAPSULES, *WHITE) else _core(whole, scan, measuring)
    if (core & scan.grid.seen).sum() * scan.grid.voxel_ml < measuring.min_volume_ml:
        return "too_small: too little is left after taking off its rim"
    return float(np.median(scan.level[core & scan.grid.seen]))


def references(region: str, scan: FlatScan, measuring: MeasurementLimits) -> dict[str, float | None]:
    """Log levels of the two references of a region, by name."""
    whole = mask_of(scan.grid.labels, scan.grid.names, (region,))
    shell = shell_around(whole, scan.white, scan.grid, measuring)
    near = float(np.median(scan.level[shell])) if shell.sum() >= measuring.min_shell_voxels else None
    if region in CAPSULES:
        return {"white matter nearby": near}
    if region in THALAMI:
        deep = [_pooled(pair, scan, measuring) for pair in (CAUDATE, PUTAMEN)]
        known = [value for value in deep if value is not None]
        return {"white matter nearby": near, "caudate or putamen": max(known, default=None)}
    return {
        "white matter": float(np.median(scan.level[scan.white])),
        "cerebellum": _pooled(("cerebellum",), scan, measuring),
    }


def _pooled(regions: tuple[str, ...], scan: FlatScan, measuring: MeasurementLimits) -> float | None:
    whole = mask_of(scan.grid.labels, scan.grid.names, regions)
    core = _core(whole, scan, measuring) & scan.grid.seen if whole.any() else whole
    return float(np.median(scan.level[core])) if core.sum() * scan.grid.voxel_ml >= measuring.min_volume_ml else None


def _core(whole: Mask, scan: FlatScan, measuring: MeasurementLimits) -> Mask:
    return np.asarray(inside_distance(whole, scan.grid.spacing_mm) > measuring.erode_mm)


def _asymmetries(scan: FlatScan, limits: SingleScanLimits, measuring: MeasurementLimits) -> Iterator[Measurement]:
    """Left against right: the mirror side is the only reference that shares age, contrast and protocol."""
    for pair, name in ((THALAMI, "thalami"), (CAPSULES, "external_extreme_capsules"), (WHITE, "white_matter")):
        left, right = (region_level(side, scan, measuring) for side in pair)
        if isinstance(left, str) or isinstance(right, str):
            yield not_measured(name, ASYMMETRY, "%", "one side could not be measured")
        else:
            yield Measurement(name, ASYMMETRY, percent(left - right), "%", limits.asymmetry_spread)
