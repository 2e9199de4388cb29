"""Two registered dates in, the change of sulcal, ventricular and cisternal fluid and of the brain's volume out.

Every voxel gets a share of fluid: 0 at the level of the tissue that borders on fluid, 1 at the level of pure fluid, linear between (partial
volume). Both dates are first made equal in resolution and put on one scale, so that one pair of levels would do; what is left of a difference
is read from voxels that are tissue, or fluid, at both dates. T2, T1 and FLAIR each give their own answer. The answers are averaged by their
uncertainty, and where they contradict each other the uncertainty grows (Birge ratio): a protocol change hits each contrast otherwise, while
swollen gyri show in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi
import SimpleITK as sitk

from triage.alignment.comparison import Pair
from triage.alignment.grid import Grid
from triage.alignment.images import NEAREST, affine_transform, inverse, isotropic_grid, resample, smooth_to, to_sitk
from triage.alignment.normalisation import WHITE_REFERENCE, CommonScale, smooth_field
from triage.alignment.session import Session
from triage.anatomy import mask_of
from triage.errors import NotAssessable
from triage.fluid.lobes import LobeChange, LobeLimits, lobe_change, lobe_names, lobes_on
from triage.fluid.statistics import jackknife, mode, weighted
from triage.measurements import not_measured
from triage.model import Affine, Found, Mask, Measurement, SequenceKind, Volume

Array = npt.NDArray[np.float64]
Shared = Mapping[SequenceKind, tuple[CommonScale, Mask]]
KINDS = (SequenceKind.T2, SequenceKind.T1, SequenceKind.FLAIR)
OUTSIDE, LATERAL, THIRD, FOURTH, SULCAL, CISTERN = range(6)
FIGURES: Mapping[str, tuple[int, ...]] = {
    "sulcal_csf": (SULCAL,),
    "ventricles": (LATERAL, THIRD, FOURTH),
    "cisterns": (CISTERN,),
    "extraventricular_csf": (SULCAL, CISTERN),
}
BRAIN = "brain"
SHARP_MM, BLUNT_MM = 1.5, 4.0  # Gaussian sigmas between which a grey/white pattern tells how sharp an image is
BLUR_MM = 3.0  # the most an image is blurred to be like the other
LEVEL_WIDTH = 0.06  # of white matter: half the range of signal that counts as one tissue level
ALONE_MM = 1.5  # cubic voxel on which a single scan is measured
PURE = 0.9  # share of fluid that counts as nothing else
MIN_CORE = 30  # voxels of pure fluid that set its level


@dataclass(frozen=True)
class FluidLimits:
    """How fluid is measured (docs/method.md, Pattern D)."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # shares of fluid up to this count as none. Below lies the spread of cortex itself, which would dilute a change: on
    # simulated effacement of -40 % a window from 0.05 found -24 %, this one -38 %
    window_low: float = 0.15
    # shares of fluid from this on count as all
    window_high: float = 0.7
    # fluid as near as this to midbrain and pons is cisternal
    cistern_mm: float = 15.0
    # taken off the rim of the brain for T1 and FLAIR, where bone looks like fluid
    rim_mm: float = 3.0
    # edge of the blocks that are left out in turn, to see how much the answer depends on any of them (jackknife)
    block_mm: float = 40.0
    # relative difference of sharpness below which the dates count as equally sharp
    sharpness: float = 0.03
    # what T2 itself costs: one standard deviation of a fluid volume, added to what the pair shows
    error_t2_percent: float = 5.0
    # the same for T1
    error_t1_percent: float = 8.0
    # the same for FLAIR
    error_flair_percent: float = 8.0
    # the same for the brain's volume, as a share of the contrast's figure
    brain_share: float = 0.05
    # a rise of the FLAIR signal of pure fluid (percent of white matter) beyond which FLAIR measures no fluid: oxygen and
    # gadolinium brighten it (Radiology 2004;233:51)
    csf_flair_percent: float = 15.0
    # less fluid than this at the baseline gives no percentage
    min_volume_ml: float = 2.0
    # share of the brain, or of a compartment, that counts as in view
    min_seen: float = 0.8
    # how the cortex of each lobe is measured
    lobe: LobeLimits = field(default_factory=LobeLimits)


@dataclass(frozen=True, eq=False)
class Compartments:
    """Where which fluid is looked for, on the half-way grid. codes: OUTSIDE .. CISTERN, (k, j, i). cortex, white: atlas masks."""

    codes: npt.NDArray[np.uint8]
    cortex: Mask
    white: Mask
    seen: Mask
    spacing_mm: float

    @property
    def ventricular(self) -> Mask:
        return np.asarray((self.codes >= LATERAL) & (self.codes <= FOURTH))


@dataclass(frozen=True)
class Levels:
    """Signal of tissue beside fluid and of pure fluid, white matter being about 1, at both dates.

    tissue_error: half the difference of two ways to find the follow-up's tissue level.
    """

    tissue: tuple[float, float]  # baseline, follow-up
    fluid: tuple[float, float]
    tissue_error: float


@dataclass(frozen=True, eq=False)
class Shares:
    """Share of fluid per voxel, 0..1, (k, j, i), at both dates; ``where`` is what was looked at."""

    baseline: Array
    followup: Array
    where: Mask


@dataclass(frozen=True)
class Answer:
    """One contrast's figure. value, sd: percent; before_ml: at the baseline."""

    value: float
    sd: float
    before_ml: float


def fluid_changes(pair: Pair, shared: Shared, problems: tuple[str, ...], limits: FluidLimits) -> Found:
    """Volume change of fluid and brain, and the FLAIR signal of fluid; every figure is there, measured or not.

    Args:
        shared, problems: as triage.alignment.comparison.contrasts gives them for ``KINDS``.
    """
    places = compartments(pair.grid, limits)
    per_kind: dict[SequenceKind, tuple[Shares, Levels, Array, Array]] = {}
    why = list(problems)
    for kind, (scale, seen) in shared.items():
        try:
            per_kind[kind] = _shares(scale.baseline_level, scale.followup_level, seen, kind, places, limits)
        except NotAssessable as refusal:
            why.append(f"{kind.value}: {refusal}")
    signal = tuple(_fluid_signal(pair, per_kind, places))
    rise = max((m.value for m in signal if m.value is not None), default=0.0)
    if rise > limits.csf_flair_percent and SequenceKind.FLAIR in per_kind:
        del per_kind[SequenceKind.FLAIR]
        why.append(f"flair: bright_fluid: the signal of pure fluid rose by {rise:.0f} % of white matter")
    answers = {
        kind: _answers(shares, levels, places, kind, limits) for kind, (shares, levels, _, _) in per_kind.items()
    }
    figures = (_combined(name, answers, why, places, limits) for name in (*FIGURES, BRAIN))
    lobes = _lobes(pair.grid, {kind: of[:2] for kind, of in per_kind.items()}, why, places, limits)
    return Found((*figures, *lobes, *signal))


def fluid_alone(session: Session, labels: Volume, names: Mapping[int, str], limits: FluidLimits) -> Found:
    """Sulcal and ventricular fluid of one scan, mL. labels: atlas regions in the space of the session's anchor, any grid."""
    region_grid = isotropic_grid(to_sitk(labels, sitk.sitkUInt8), ALONE_MM)
    carried = sitk.GetArrayFromImage(resample(to_sitk(labels, sitk.sitkUInt8), region_grid, how=NEAREST))
    quantity, problem = "fluid_volume_ml", "no T2, T1 or FLAIR"
    boxes = ndi.find_objects((carried > 0).astype(np.uint8))
    for kind in (kind for kind in KINDS if kind in session.volumes and boxes):
        box = tuple(slice(max(0, part.start - 3), part.stop + 3) for part in boxes[0])
        image = smooth_to(to_sitk(session.volumes[kind]), ALONE_MM)
        values = _carried(image, region_grid, inverse(session.to_anchor[kind]))[box].astype(np.float64)
        seen = np.isfinite(values)
        places = compartments(Grid(carried[box], names, seen, ALONE_MM), limits)
        level = np.nan_to_num(values) / max(mode(values[seen & places.white]), 1e-6)
        try:
            shares, _, _, _ = _shares(level, level, seen, kind, places, limits)
        except NotAssessable as refusal:
            problem = f"{kind.value}: {refusal}"
            continue
        ml = (
            np.bincount(places.codes.ravel(), weights=shares.baseline.ravel(), minlength=CISTERN + 1)
            * ALONE_MM**3
            / 1000.0
        )
        return Found(
            tuple(
                Measurement(name, quantity, float(ml[list(codes)].sum()), "mL", reason=f"source: {kind.value}")
                for name, codes in FIGURES.items()
            )
        )
    return Found(tuple(not_measured(name, quantity, "mL", problem) for name in FIGURES))


# -- where ---------------------------------------------------------------------------------------------


def compartments(grid: Grid, limits: FluidLimits) -> Compartments:
    """Every voxel of the brain belongs to the nearest fluid of the atlas: placement by a millimetre more or less does not matter then."""
    labels, names = grid.labels, grid.names
    cortical = tuple(n for n in names.values() if n.startswith("cortex"))
    seeds = np.zeros(labels.shape, dtype=np.uint8)
    surface = mask_of(labels, names, ("sulcal_csf", "cerebellum", *cortical))
    stem = mask_of(labels, names, ("midbrain", "pons"))
    seeds[surface] = SULCAL
    if stem.any():
        near = ndi.distance_transform_edt(~stem) * grid.spacing_mm <= limits.cistern_mm
        seeds[mask_of(labels, names, ("sulcal_csf",)) & near] = CISTERN
    for code, regions in (
        (LATERAL, ("lateral_ventricle_left", "lateral_ventricle_right")),
        (THIRD, ("third_ventricle",)),
        (FOURTH, ("fourth_ventricle",)),
    ):
        seeds[mask_of(labels, names, regions)] = code
    brain = ndi.binary_closing(np.pad(labels > 0, 8), iterations=4)[8:-8, 8:-8, 8:-8]
    codes = seeds
    if seeds.any():
        index = ndi.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
        codes = np.where(brain, seeds[tuple(index)], 0).astype(np.uint8)
    return Compartments(
        codes,
        mask_of(labels, names, cortical),
        mask_of(labels, names, WHITE_REFERENCE),
        grid.seen,
        grid.spacing_mm,
    )


# -- both dates on one scale -----------------------------------------------------------------------------


def _carried(image: sitk.Image, grid: sitk.Image, way: Affine) -> npt.NDArray[np.float32]:
    transform = affine_transform(way)
    ones = sitk.Image(image.GetSize(), sitk.sitkUInt8) + 1
    ones.CopyInformation(image)
    inside = sitk.GetArrayFromImage(resample(ones, grid, transform, how=NEAREST)) > 0
    values = sitk.GetArrayFromImage(resample(image, grid, transform))
    return np.where(inside, values, np.nan).astype(np.float32)


def _shares(
    baseline: Array, followup: Array, seen: Mask, kind: SequenceKind, places: Compartments, limits: FluidLimits
) -> tuple[Shares, Levels, Array, Array]:
    """Shares of fluid, the levels they stand on, and both images without their receive field.

    Raises:
        NotAssessable: ``no_fluid_reference`` or ``coverage``.
    """
    inside = (places.codes > 0) & seen
    if inside.sum() < limits.min_seen * (places.codes > 0).sum():
        raise NotAssessable("coverage", f"both scans show less than {100 * limits.min_seen:.0f} % of the brain")
    reference = places.white & seen & (baseline > 0.3)
    field, _ = smooth_field(np.log(np.maximum(baseline, 1e-3)), reference, order=2)
    receive = np.exp(np.clip(field, -0.7, 0.7))
    b, f = _equally_sharp(baseline / receive, followup / receive, inside, kind, places, limits)
    levels = levels_of(b, f, inside, kind, places)
    return shares_of(b, f, levels, _looked_at(inside, kind, places, limits), limits), levels, b, f


def _looked_at(inside: Mask, kind: SequenceKind, places: Compartments, limits: FluidLimits) -> Mask:
    if kind is SequenceKind.T2:
        return inside
    steps = max(1, round(limits.rim_mm / places.spacing_mm))
    return np.asarray(inside & (places.ventricular | ndi.binary_erosion(places.codes > 0, iterations=steps)))


def shares_of(baseline: Array, followup: Array, levels: Levels, where: Mask, limits: FluidLimits) -> Shares:
    """Linear between tissue and fluid, cut at the window and stretched to 0..1."""
    low, high = limits.window_low, limits.window_high
    out = []
    for image, tissue, fluid in zip((baseline, followup), levels.tissue, levels.fluid, strict=True):
        out.append((np.clip((image - tissue) / (fluid - tissue), low, high) - low) / (high - low) * where)
    return Shares(out[0], out[1], where)


def levels_of(b: Array, f: Array, inside: Mask, kind: SequenceKind, places: Compartments) -> Levels:
    """Tissue: the commonest level, of cortex on T2, else of what is nearest to fluid. Fluid: the core of the ventricles at both dates.

    Raises:
        NotAssessable: ``no_fluid_reference``.
    """
    white, cortex = places.white & inside, places.cortex & inside
    bright = kind is SequenceKind.T2
    tissue_mask = cortex if bright or mode(b[cortex]) < mode(b[white]) else white
    tissue = mode(b[tissue_mask])
    forth, back = _shift(b, f, tissue, tissue_mask), -_shift(f, b, mode(f[tissue_mask]), tissue_mask)
    tissue_followup = tissue + (forth + back) / 2
    sign = 1.0 if bright else -1.0
    for where in (places.ventricular & inside, inside):
        guess = (
            [float(np.percentile(image[where], 97 if bright else 3)) for image in (b, f)]
            if where.any()
            else [tissue] * 2
        )
        deep = where.copy()
        for image, level, guessed in zip((b, f), (tissue, tissue_followup), guess, strict=True):
            deep &= sign * (image - (level + 0.75 * (guessed - level))) > 0
        core = deep & ndi.binary_erosion(deep)
        core = core if core.sum() >= MIN_CORE else deep
        if core.sum() >= MIN_CORE:
            fluid = float(np.median(b[core])), float(np.median(f[core]))
            if min(sign * (fluid[0] - tissue), sign * (fluid[1] - tissue_followup)) > 0.2:
                return Levels((tissue, tissue_followup), fluid, abs(forth - back) / 2)
    raise NotAssessable("no_fluid_reference", "no pure fluid stands out from tissue at both dates")


def _shift(one: Array, other: Array, level: float, where: Mask) -> float:
    """How the other image differs where the first is at ``level``: voxels that are tissue at one date, whatever they are at the other. The
    commonest level of each image alone would follow effaced sulci."""
    paired = where & (np.abs(one - level) < LEVEL_WIDTH)
    return mode(other[paired]) - mode(one[paired])


def _equally_sharp(
    b: Array, f: Array, inside: Mask, kind: SequenceKind, places: Compartments, limits: FluidLimits
) -> tuple[Array, Array]:
    """The sharper image blurred until the pattern of grey and white matter away from fluid is as sharp in both.

    Voxel size says little about resolution (zero filling, echo trains): on two real pairs the nominal blur left thin sulci up to 30 % larger
    on one date. Fluid itself has no say here, effaced sulci would look like blur.
    """
    white, grey = mode(b[places.white & inside]), mode(b[places.cortex & inside])
    low, high = 0.85 * min(white, grey), 1.1 * max(white, grey)
    wet = (b > high) | (f > high) if kind is SequenceKind.T2 else (b < low) | (f < low)
    tissue = ndi.binary_erosion(inside & ~ndi.binary_dilation(wet))
    if tissue.sum() < 5000:
        return b, f

    def sharpness(image: Array, sigma_mm: float = 0.0) -> float:
        cut = np.clip(image, low, high)
        cut = ndi.gaussian_filter(cut, sigma_mm / places.spacing_mm) if sigma_mm > 0 else cut
        fine, coarse = (ndi.gaussian_filter(cut, mm / places.spacing_mm) for mm in (SHARP_MM, BLUNT_MM))
        return float(np.std((cut - fine)[tissue]) / max(float(np.std((fine - coarse)[tissue])), 1e-6))

    found = sharpness(b), sharpness(f)
    if max(found) <= (1 + limits.sharpness) * min(found):
        return b, f
    image, least, most = (b, f)[int(found[1] > found[0])], 0.0, BLUR_MM
    for _ in range(5):
        middle = (least + most) / 2
        least, most = (middle, most) if sharpness(image, middle) > min(found) else (least, middle)
    image = np.asarray(ndi.gaussian_filter(image, (least + most) / 2 / places.spacing_mm))
    return (b, image) if found[1] > found[0] else (image, f)


# -- figures ---------------------------------------------------------------------------------------------


def _answers(
    shares: Shares, levels: Levels, places: Compartments, kind: SequenceKind, limits: FluidLimits
) -> dict[str, Answer]:
    """Every figure of one contrast that has enough fluid to be a percentage."""
    before, after = (_by_block(values, places, limits) for values in (shares.baseline, shares.followup))
    volume = _by_block(shares.where.astype(np.float64), places, limits)
    contrast = _contrast_percent(kind, limits)
    lost = levels.tissue_error / abs(levels.fluid[0] - levels.tissue[0])
    edge = _edge_ml(shares, places)
    out = {}
    for name, codes in FIGURES.items():
        b, f = before[:, codes].sum(axis=1), after[:, codes].sum(axis=1)
        if b.sum() >= limits.min_volume_ml:
            level_error = 100 * lost * edge[list(codes)].sum() / b.sum()
            sd = float(np.sqrt(jackknife(b, f - b) ** 2 + contrast**2 + level_error**2))
            out[name] = Answer(float(100 * (f.sum() / b.sum() - 1)), sd, float(b.sum()))
    tissue, gone = (volume - before).sum(axis=1), (before - after).sum(axis=1)
    if tissue.sum() > 0:
        level_error = 100 * lost * edge.sum() / tissue.sum()
        sd = float(np.sqrt(jackknife(tissue, gone) ** 2 + (limits.brain_share * contrast) ** 2 + level_error**2))
        out[BRAIN] = Answer(float(100 * gone.sum() / tissue.sum()), sd, float(tissue.sum()))
    return out


def _contrast_percent(kind: SequenceKind, limits: FluidLimits) -> float:
    return {
        SequenceKind.T2: limits.error_t2_percent,
        SequenceKind.T1: limits.error_t1_percent,
        SequenceKind.FLAIR: limits.error_flair_percent,
    }[kind]


def _lobes(
    grid: Grid,
    per_kind: Mapping[SequenceKind, tuple[Shares, Levels]],
    problems: list[str],
    places: Compartments,
    limits: FluidLimits,
) -> Iterator[Measurement]:
    """Volume change of each lobe's cortex, every contrast weighted by its uncertainty."""
    masks = lobes_on(grid.labels, grid.names, np.asarray(places.codes == SULCAL), places.spacing_mm, limits.lobe)
    for name in lobe_names(grid.names):
        found: dict[SequenceKind, LobeChange] = {}
        for kind, (shares, levels) in per_kind.items():
            lost = levels.tissue_error / abs(levels.fluid[0] - levels.tissue[0])
            one = lobe_change(
                (shares.baseline, shares.followup), shares.where, masks[name], places.spacing_mm,
                limits=limits.lobe, level=lost, contrast=_contrast_percent(kind, limits) / 100.0,
            ) if name in masks else None  # fmt: skip
            if one is not None:
                found[kind] = one
        if not found:
            why = "; ".join(problems) if not per_kind else "coverage: too little of the lobe is in view"
            yield not_measured(name, "volume_change_percent", "%", why)
            continue
        value, sd = weighted([(a.value, a.sd) for a in found.values()])
        source = ", ".join(f"{kind.value} {one.value:+.1f}" for kind, one in found.items())
        before = next(iter(found.values())).before_ml
        yield Measurement(name, "volume_change_percent", value, "%", sd, before, reason=f"source: {source}")


def _edge_ml(shares: Shares, places: Compartments) -> npt.NDArray[np.float64]:
    """Volume of mixed voxels per compartment, mL: a wrong tissue level moves the shares of these."""
    mixed = (shares.baseline > 0) & (shares.baseline < 1)
    counts = np.bincount(places.codes[mixed], minlength=CISTERN + 1)
    return np.asarray(counts * (places.spacing_mm**3 / 1000.0), dtype=np.float64)


def _by_block(values: Array, places: Compartments, limits: FluidLimits) -> Array:
    """Sums in mL per block and compartment, shape (blocks, compartments)."""
    number = np.zeros((1, 1, 1), dtype=np.int64)
    for axis, n in enumerate(values.shape):
        part = (np.arange(n) * places.spacing_mm / limits.block_mm).astype(np.int64)
        shape = [1, 1, 1]
        shape[axis] = n
        number = number * (part[-1] + 1) + part.reshape(shape)
    of = number * (CISTERN + 1) + places.codes
    inside = places.codes > OUTSIDE
    sums = np.bincount(of[inside], weights=values[inside], minlength=(int(number.max()) + 1) * (CISTERN + 1))
    return np.asarray(sums.reshape(-1, CISTERN + 1) * places.spacing_mm**3 / 1000.0)


def _combined(
    name: str,
    answers: Mapping[SequenceKind, Mapping[str, Answer]],
    problems: list[str],
    places: Compartments,
    limits: FluidLimits,
) -> Measurement:
    """The contrasts' answers as one, weighted by their uncertainty; their contradiction widens it."""
    found = {kind: of[name] for kind, of in answers.items() if name in of}
    if not found:
        few = _too_little(name, places, limits) if answers else "; ".join(problems)
        return not_measured(name, "volume_change_percent", "%", few)
    value, sd = weighted([(a.value, a.sd) for a in found.values()])
    first = next(iter(found.values()))
    source = ", ".join(f"{kind.value} {answer.value:+.1f}" for kind, answer in found.items())
    return Measurement(name, "volume_change_percent", value, "%", sd, first.before_ml, reason=f"source: {source}")


def _too_little(name: str, places: Compartments, limits: FluidLimits) -> str:
    """Why the seen part holds too little: what is out of view is not called small."""
    place = np.isin(places.codes, FIGURES.get(name, ()))
    seen = float(places.seen[place].mean()) if place.any() else 0.0
    if seen < limits.min_seen:
        return f"coverage: both scans show {100 * seen:.0f} % of it"
    return f"too_small: less than {limits.min_volume_ml:g} mL at the baseline"


def _pure(levels: Levels, baseline: Array, followup: Array) -> Mask:
    """Fluid and nothing else at both dates."""
    shares = [
        (image - tissue) / (fluid - tissue)
        for image, tissue, fluid in zip((baseline, followup), levels.tissue, levels.fluid, strict=True)
    ]
    return np.asarray((shares[0] > PURE) & (shares[1] > PURE))


def _fluid_signal(
    pair: Pair, per_kind: Mapping[SequenceKind, tuple[Shares, Levels, Array, Array]], places: Compartments
) -> Iterator[Measurement]:
    """FLAIR signal of pure fluid, follow-up minus baseline, percent of white matter: oxygen and gadolinium raise it, swelling does not."""
    quantity = "csf_flair_change_percent"
    difference = pair.scale.followup_level - pair.scale.baseline_level
    for name, codes in (("sulcal_csf", (SULCAL, CISTERN)), ("ventricles", (LATERAL, THIRD, FOURTH))):
        pure = np.isin(places.codes, codes) & pair.grid.seen
        judges = [kind for kind in (SequenceKind.T2, SequenceKind.T1) if kind in per_kind]
        for kind in judges[:1] or list(per_kind)[:1]:
            pure &= _pure(*per_kind[kind][1:])
        if not per_kind or pure.sum() < MIN_CORE:
            yield not_measured(name, quantity, "% of white matter", "too_small: no pure fluid is seen at both dates")
        else:
            yield Measurement(name, quantity, float(100 * np.median(difference[pure])), "% of white matter")
