"""Two registered dates in, the change of sulcal, ventricular and cisternal fluid and of the brain's volume out.

Every voxel has a share of fluid at both dates (triage.fluid.shares). T2, T1 and FLAIR each give an answer of their own.
The answers are averaged by their uncertainty, and where they contradict each other the uncertainty grows (Birge ratio):
a change of protocol affects each contrast differently, while swollen gyri show in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from triage.alignment.comparison import Pair
from triage.alignment.grid import Grid
from triage.alignment.images import (
    NEAREST,
    affine_transform,
    inverse,
    isotropic_grid,
    resample,
    shown_on,
    smooth_to,
    to_sitk,
)
from triage.alignment.normalisation import CommonScale
from triage.alignment.session import Session
from triage.errors import NotAssessable
from triage.fluid.limits import FluidLimits
from triage.fluid.lobes import LobeChange, lobe_change, lobe_names, lobes_on
from triage.fluid.shares import (
    CISTERN,
    FOURTH,
    LATERAL,
    MIN_CORE,
    OUTSIDE,
    SULCAL,
    THIRD,
    Array,
    Compartments,
    Levels,
    Shares,
    compartments,
    shares_at,
)
from triage.fluid.statistics import jackknife, mode, weighted
from triage.libraries import ndi, sitk
from triage.measurements import not_measured
from triage.model import Affine, Found, Mask, Measurement, ProtocolMatch, SequenceKind, Volume

Shared = Mapping[SequenceKind, tuple[CommonScale, Mask]]
KINDS = (SequenceKind.T2, SequenceKind.T1, SequenceKind.FLAIR)
FIGURES: Mapping[str, tuple[int, ...]] = {
    "sulcal_csf": (SULCAL,),
    "ventricles": (LATERAL, THIRD, FOURTH),
    "cisterns": (CISTERN,),
    "extraventricular_csf": (SULCAL, CISTERN),
}
BRAIN = "brain"
ALONE_MM = 1.5  # cubic voxel on which a single scan is measured
PURE = 0.9  # share of fluid that counts as nothing else


@dataclass(frozen=True)
class Answer:
    """One contrast's figure. value, sd: percent; before_ml: at the baseline."""

    value: float
    sd: float
    before_ml: float


def fluid_changes(
    pair: Pair,
    shared: Shared,
    problems: tuple[str, ...],
    limits: FluidLimits,
    match: ProtocolMatch = ProtocolMatch.SAME,
) -> Found:
    """Volume change of fluid and brain, and the FLAIR signal of fluid; every figure is there, measured or not.

    Args:
        shared, problems: as triage.alignment.comparison.contrasts gives them for ``KINDS``.
        match: how alike the acquisitions are. Across protocols a fluid volume from FLAIR is far less certain.
    """
    if match is not ProtocolMatch.SAME:
        limits = replace(limits, error_flair_percent=limits.error_flair_different_percent)
    places = compartments(pair.grid, limits)
    per_kind: dict[SequenceKind, tuple[Shares, Levels, Array, Array]] = {}
    why = list(problems)
    for kind, (scale, seen) in shared.items():
        try:
            per_kind[kind] = shares_at(scale.baseline_level, scale.followup_level, seen, kind, places, limits)
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
    """Sulcal and ventricular fluid of one scan, mL.

    Args:
        labels: regions of the whole brain, uint8, in the space of the session's anchor (LPS mm), any grid.
    """
    region_grid = isotropic_grid(to_sitk(labels, sitk.sitkUInt8), ALONE_MM)
    carried = sitk.GetArrayFromImage(resample(to_sitk(labels, sitk.sitkUInt8), region_grid, how=NEAREST))
    quantity, problem = "fluid_volume_ml", "no T2, T1 or FLAIR"
    boxes = ndi.find_objects((carried > 0).astype(np.uint8))
    for kind in (kind for kind in KINDS if kind in session.volumes and boxes):
        box = tuple(slice(max(0, part.start - 3), part.stop + 3) for part in boxes[0])
        values = _carried(to_sitk(session.volumes[kind]), region_grid, inverse(session.to_anchor[kind]))[box].astype(
            np.float64
        )
        seen = np.isfinite(values)
        places = compartments(Grid(carried[box], names, seen, ALONE_MM), limits)
        level = np.nan_to_num(values) / max(mode(values[seen & places.white]), 1e-6)
        try:
            shares, _, _, _ = shares_at(level, level, seen, kind, places, limits)
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


def _carried(image: sitk.Image, grid: sitk.Image, way: Affine) -> npt.NDArray[np.float32]:
    smooth = smooth_to(image, ALONE_MM)
    values = sitk.GetArrayFromImage(resample(smooth, grid, affine_transform(way)))
    return np.where(shown_on(image, grid, way), values, np.nan).astype(np.float32)


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
    """FLAIR signal of pure fluid, follow-up minus baseline, percent of white matter.

    Oxygen and gadolinium raise it; swelling does not.
    """
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
