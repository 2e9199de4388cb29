"""The imaging patterns of CAR-T neurotoxicity applied to a phantom: name and strength in, tissue alteration, swelling
and truth out. Pure.

Strength is the relative FLAIR change at the plateau of the pattern's main regions (0.25 = +25 %). Definitions follow
the published description (thalami, pons, medulla with swelling and symmetric white matter; focal white matter; cortical
diffusion restriction; global oedema). Frame: the phantom's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from simulation.contrast import Alteration
from simulation.deformation import Displacement, Field, Grid, exponential, potential_flow, resample_field, rng_for
from simulation.phantom import TISSUES, Phantom, blobs, box_around
from triage.errors import Misconfigured

DEFAULT_STRENGTH: Mapping[str, float] = {"A": 0.25, "B": 0.45, "C": 0.15, "D": 0.20}
EDGE_MM = 1.2  # Gaussian edge of a raised region
SWELLING_PER_STRENGTH = 0.25  # thalamic log-volume change per unit strength: +25 % signal goes with about +6 % volume
SWELLING_SPACING_MM = 2.0


@dataclass(frozen=True, eq=False)
class Change:
    """What a pattern does to a phantom between baseline and follow-up.

    alteration: on Phantom.inside, None when tissue is unchanged. swelling: pull field follow-up head -> baseline head,
    None when nothing moves. phantom: the follow-up's phantom (same grid; fractions change only where sulci are
    effaced). details: for the truth file.
    """

    phantom: Phantom
    alteration: Alteration | None = None
    swelling: Displacement | None = None
    details: Mapping[str, object] = field(default_factory=dict)


def names_of(pattern: str) -> tuple[str, ...]:
    """The letters of a pattern: "none" -> (), "A" -> ("A",), "A+D" -> ("A", "D")."""
    if pattern == "none":
        return ()
    names = tuple(pattern.split("+"))
    if set(names) - set(_PATTERNS):
        raise Misconfigured(
            f"pattern must be none, {', '.join(_PATTERNS)} or a combination such as A+D, got {pattern!r}"
        )
    return names


def usual_strength(pattern: str) -> float:
    return max((DEFAULT_STRENGTH[name] for name in names_of(pattern)), default=0.0)


def apply_pattern(phantom: Phantom, pattern: str, strength: float, seed: int) -> Change:
    """The follow-up of ``phantom`` under a pattern: "none" or letters of A, B, C, D, several joined by "+"; strength
    0..1."""
    change = Change(phantom)
    for name in names_of(pattern):
        change = _combined(change, _PATTERNS[name](change.phantom, strength, seed))
    return change


def _combined(first: Change, second: Change) -> Change:
    """Both changes; the stronger signal gain wins per voxel, one swelling at most is kept (the second's when both
    swell)."""
    if first.alteration is None:
        alteration = second.alteration
    elif second.alteration is None:
        alteration = _moved(first.alteration, first.phantom, second.phantom)
    else:
        a, b = _moved(first.alteration, first.phantom, second.phantom), second.alteration
        alteration = Alteration(
            flair_gain=np.maximum(a.flair_gain, b.flair_gain),
            t1=a.t1 * b.t1,
            adc=a.adc * b.adc,
            gd_mm=a.gd_mm + b.gd_mm,
        )
    swelling = second.swelling if second.swelling is not None else first.swelling
    return Change(second.phantom, alteration, swelling, {**first.details, **second.details})


def _moved(alteration: Alteration, before: Phantom, now: Phantom) -> Alteration:
    """The alteration on the parenchyma of ``now``, which a pattern may have made more or less than before."""
    if before is now:
        return alteration

    def field_of(values: Field, unchanged: float) -> Field:
        whole = np.full(before.parenchyma.size, unchanged, dtype=np.float32)
        whole[before.inside] = values
        return whole[now.inside]

    return Alteration(
        flair_gain=field_of(alteration.flair_gain, 0.0),
        t1=field_of(alteration.t1, 1.0),
        adc=field_of(alteration.adc, 1.0),
        gd_mm=field_of(alteration.gd_mm, 0.0),
    )


def _alteration(
    phantom: Phantom, gain: Field, *, t1_per_gain: float = 0.4, adc: Field | None = None, gd_mm: Field | None = None
) -> Alteration:
    """Oedema-like change: longer T1 (``t1_per_gain`` per unit of FLAIR gain) and, unless given, slightly raised ADC.
    Fields (k, j, i)."""
    g = gain.ravel()[phantom.inside]
    zero = np.zeros_like(g)
    return Alteration(
        flair_gain=g,
        t1=np.asarray(1.0 + t1_per_gain * g, dtype=np.float32),
        adc=np.asarray(1.0 + 0.4 * g if adc is None else adc.ravel()[phantom.inside], dtype=np.float32),
        gd_mm=zero if gd_mm is None else gd_mm.ravel()[phantom.inside],
    )


def _soft(mask: npt.NDArray[np.bool_], sigma_mm: float = EDGE_MM) -> Field:
    """Membership 0..1 with Gaussian edges whose plateau is exactly 1 inside (the mask is grown by one sigma first)."""
    out = np.zeros(mask.shape, dtype=np.float32)
    if mask.any():
        box = box_around(mask, 8)
        grown = ndimage.binary_dilation(mask[box], iterations=max(1, round(sigma_mm))).astype(np.float32)
        out[box] = np.clip(1.15 * ndimage.gaussian_filter(grown, sigma_mm), 0, 1)
    return out


# -- A: both thalami, brain stem, capsules, symmetric white matter, thalamic swelling --------------


def bithalamic(phantom: Phantom, strength: float, seed: int) -> Change:
    """Pattern A."""
    rng = rng_for(seed, "pattern A")
    white = _subcortical_white(phantom)
    parts = (
        (phantom.region("thalamus"), 1.0),
        (phantom.region("pons"), 0.9),
        (phantom.region("medulla"), 0.8),
        (phantom.region("midbrain"), 0.9),
        (phantom.region("external_extreme_capsule"), 0.8),
        (white, 0.35),
    )
    gain = np.zeros(phantom.grid.shape, dtype=np.float32)
    factors: list[float] = []
    for mask, factor in parts:
        f = 1.0 if factor == 1.0 else factor * float(rng.uniform(0.9, 1.1))
        factors.append(f)
        np.maximum(gain, np.float32(strength * f) * _soft(mask), out=gain)
    grid = phantom.grid.coarser(SWELLING_SPACING_MM)
    swelling = _swollen(thalamic_growth(phantom, strength, grid), grid, phantom)
    details = {
        "A_factors": dict(zip(("thalamus", "pons", "medulla", "midbrain", "capsules", "white"), factors, strict=True))
    }
    return Change(phantom, _alteration(phantom, gain), swelling, details)


def _subcortical_white(phantom: Phantom) -> npt.NDArray[np.bool_]:
    """Cerebral white matter within about 4-9 mm of the cortex, both sides alike."""
    grid = phantom.grid.coarser(2.0)
    cortex = resample_field(phantom.region("cortex").astype(np.float32), phantom.grid, grid)
    near = resample_field(ndimage.gaussian_filter(cortex, 4.0 / grid.spacing_mm), grid, phantom.grid)
    return phantom.region("white_matter") & (near > 0.12) & (near < 0.35)


def thalamic_growth(phantom: Phantom, strength: float, grid: Grid) -> Field:
    """Log volume growth on ``grid``: thalami strength/4, upper brain stem a third of that; third ventricle and near
    fluid give way by the same volume."""

    def coarse(f: Field) -> Field:
        return ndimage.gaussian_filter(resample_field(f, phantom.grid, grid), 0.6)

    grow = SWELLING_PER_STRENGTH * strength
    source = grow * coarse(phantom.region("thalamus").astype(np.float32))
    source += grow / 3 * coarse(phantom.region("midbrain", "pons").astype(np.float32))
    third = coarse(phantom.csf * phantom.region("third_ventricle"))
    fluid = coarse(phantom.csf * (phantom.region("lateral_ventricle", "fourth_ventricle", "sulcal_csf")))
    near = ndimage.gaussian_filter(source, 12.0)
    fluid *= near / near.max()
    third_loss = min(0.5 * float(source.sum()), 0.7 * float(third.sum()))
    sink = third * (third_loss / max(float(third.sum()), 1e-6))
    rest = float(source.sum()) - third_loss
    sink += fluid * min(0.5, rest / max(float(fluid.sum()), 1e-6))
    return np.asarray(source - sink, dtype=np.float32)


def _swollen(log_growth: Field, grid: Grid, phantom: Phantom) -> Displacement:
    """Pull field whose inverse grows tissue by ``log_growth``; it fades out over the skull."""
    body = resample_field((phantom.parenchyma + phantom.csf > 0.5).astype(np.float32), phantom.grid, grid)
    window = np.clip(ndimage.gaussian_filter(body, 4.0 / grid.spacing_mm) * 2.0, 0, 1)
    # pulling from a smaller place enlarges: the pull velocity converges where tissue grows
    velocity = -potential_flow(log_growth, grid) * window
    return exponential(velocity.astype(np.float32), grid)


# -- B: focal white matter, asymmetric, some enhancing ---------------------------------------------


def focal_white_matter(phantom: Phantom, strength: float, seed: int) -> Change:
    """Pattern B: four to eight lesions of 3-7 mm radius, three quarters of them on one side, about half enhancing."""
    rng = rng_for(seed, "pattern B")
    white = ndimage.binary_erosion(phantom.region("white_matter"), iterations=2)
    x = phantom.grid.axes_mm()[0]
    main_side = white & ((x > 0) if rng.random() < 0.5 else (x <= 0))
    number = int(rng.integers(4, 9))
    here = max(1, round(0.75 * number))
    radius = (3.0, 7.0)
    enhancing = blobs(main_side, phantom.grid, max(1, here // 2), radius, rng)
    plain = (
        blobs(main_side, phantom.grid, here - max(1, here // 2), radius, rng) if here > 1 else np.zeros_like(enhancing)
    )
    other = (
        blobs(white & ~main_side, phantom.grid, number - here, radius, rng)
        if number > here
        else np.zeros_like(enhancing)
    )
    everything = np.maximum(np.maximum(enhancing, plain), other)
    gd = np.float32(0.35) * np.clip(enhancing * 2.0 - 1.0, 0, 1)  # the core enhances, the oedema around it does not
    details = {
        "B_lesions": number,
        "B_volume_ml": float((everything > 0.5).sum()) * phantom.grid.spacing_mm**3 / 1000.0,
    }
    return Change(phantom, _alteration(phantom, np.float32(strength) * everything, gd_mm=gd), None, details)


# -- C: cortical diffusion restriction -------------------------------------------------------------


def cortical_diffusion(phantom: Phantom, strength: float, seed: int) -> Change:
    """Pattern C: occipital cortex, right more than left, ADC down to 0.65; FLAIR rises by ``strength``."""
    rng = rng_for(seed, "pattern C")
    x, y, _ = phantom.grid.axes_mm()
    occipital = phantom.region("cortex_occipital")
    if not occipital.any():
        occipital = phantom.region("cortex") & (y > 70.0)
    right = np.broadcast_to(x, occipital.shape) < 0  # LPS: right is negative x
    occipital &= _patch(occipital & right, phantom.grid, rng)
    share = np.where(right, 1.0, 0.35 + 0.2 * rng.random()).astype(np.float32)
    weight = _soft(occipital, 0.8) * share
    adc = np.asarray(1.0 - 0.35 * weight, dtype=np.float32)
    volume_ml = float((occipital & right).sum()) * phantom.grid.spacing_mm**3 / 1000.0
    gain = np.asarray(strength * weight, dtype=np.float32)
    return Change(phantom, _alteration(phantom, gain, t1_per_gain=0.2, adc=adc), None, {"C_right_volume_ml": volume_ml})


def _patch(where: npt.NDArray[np.bool_], grid: Grid, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """A ball of 16-24 mm about a random voxel of ``where`` together with its mirror image across x = 0."""
    x, y, z = grid.axes_mm()
    k, j, i = np.unravel_index(int(rng.choice(np.flatnonzero(where))), grid.shape)
    centre = (float(x[0, 0, i]), float(y[0, j, 0]), float(z[k, 0, 0]))
    depth = (y - centre[1]) ** 2 + (z - centre[2]) ** 2
    return np.asarray((np.abs(x) - abs(centre[0])) ** 2 + depth < rng.uniform(16.0, 24.0) ** 2)


# -- D: global oedema ------------------------------------------------------------------------------


def global_oedema(phantom: Phantom, strength: float, seed: int) -> Change:
    """Pattern D: effaced sulci (fluid replaced by swollen cortex), smaller ventricles, diffuse mild signal rise,
    bithalamic change."""
    keep = float(np.clip(1.0 - 2.5 * strength, 0.2, 1.0))
    brain_fluid = phantom.csf * (phantom.region("sulcal_csf", "cortex", "cerebellum"))
    swollen = _effaced(phantom, brain_fluid * np.float32(1.0 - keep))
    thalami = bithalamic(swollen, strength, seed)
    diffuse = np.asarray(0.2 * strength * (swollen.parenchyma > 0.5), dtype=np.float32)
    gain = np.zeros(swollen.grid.shape, dtype=np.float32)
    if thalami.alteration is not None:
        gain.ravel()[swollen.inside] = thalami.alteration.flair_gain
    gain = np.maximum(gain, diffuse)
    grid = swollen.grid.coarser(SWELLING_SPACING_MM)
    ventricles = swollen.csf * swollen.region("lateral_ventricle", "third_ventricle", "fourth_ventricle")
    shrink = resample_field(ndimage.gaussian_filter(ventricles, 0.8), swollen.grid, grid) * np.float32(2.0 * strength)
    tissue = resample_field(swollen.parenchyma, swollen.grid, grid)
    growth = tissue * (float(shrink.sum()) / float(tissue.sum())) - shrink + thalamic_growth(swollen, strength, grid)
    swelling = _swollen(np.asarray(growth, dtype=np.float32), grid, swollen)
    return Change(swollen, _alteration(swollen, gain, adc=np.ones_like(gain)), swelling, {"D_sulcal_fluid_kept": keep})


def _effaced(phantom: Phantom, lost_fluid: Field) -> Phantom:
    """Fluid handed over to parenchyma. Voxels that held fluid only become cortex."""
    csf = phantom.csf - lost_fluid
    parenchyma = phantom.parenchyma + lost_fluid
    inside = np.flatnonzero(parenchyma > 0.01)
    position = np.full(parenchyma.size, -1, dtype=np.int64)
    position[phantom.inside] = np.arange(len(phantom.inside))
    old = position[inside]
    known = old >= 0
    weights = np.zeros((len(TISSUES), len(inside)), dtype=np.float32)
    weights[TISSUES.index("cortex")] = 1.0
    weights[:, known] = phantom.weights[:, old[known]]
    t2 = np.ones(len(inside), dtype=np.float32)
    pd = np.ones(len(inside), dtype=np.float32)
    t2[known], pd[known] = phantom.t2_texture[old[known]], phantom.pd_texture[old[known]]
    return replace(
        phantom, csf=csf, parenchyma=parenchyma, inside=inside, weights=weights, t2_texture=t2, pd_texture=pd
    )


_PATTERNS: Mapping[str, Callable[[Phantom, float, int], Change]] = {
    "A": bithalamic,
    "B": focal_white_matter,
    "C": cortical_diffusion,
    "D": global_oedema,
}
