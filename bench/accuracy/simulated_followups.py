"""Follow-ups of simulated heads: a second visit of the same phantom with a known change."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import SimpleITK as sitk

from bench.accuracy import heads
from bench.accuracy.baselines import FLUID, FOLLOWUP_DAY, SCAN
from bench.accuracy.cases import D_ALONE, LESION_PERCENT, LESIONS, PATCH_RATIO, SWELLING, Case
from bench.accuracy.changes import swelling_of
from bench.accuracy.heads import HEADS
from bench.accuracy.insertions import balls, sites
from bench.accuracy.made import Changed, Made
from simulation.contrast import Alteration
from simulation.deformation import Displacement, rng_for
from simulation.patient import OTHER_SCANNER_DRIFT, SAME_SCANNER_DRIFT
from simulation.patterns import Change, apply_pattern
from simulation.transplant import smooth_weight
from triage.alignment.images import inverse, to_sitk
from triage.anatomy import BRAIN_STEM, THALAMI
from triage.model import Mask, Volume

SULCAL_PER_STRENGTH = 2.5  # simulation.patterns: share of the sulcal fluid lost per unit of strength
ENHANCING_MM = 0.35  # contrast agent in an enhancing focus, mM; as in simulation.patterns


def simulated_followup(case: Case) -> Made:
    head = HEADS[case.base.head]
    variant = case.base.variant if case.protocol == "same" else _other_variant(case.base.variant, case.seed)
    drift = SAME_SCANNER_DRIFT if case.protocol == "same" else OTHER_SCANNER_DRIFT
    first = heads.visit(head.seed, "baseline", case.base.variant, drift=SAME_SCANNER_DRIFT)
    second = heads.visit(head.seed, case.name, variant, drift=drift)
    phantom, truth = heads.phantom_of(head.seed), dict[str, Any]()
    change, sequences = Change(phantom), SCAN if case.kind == "no_change" and case.number == 0 else ("flair",)
    to_head = inverse(second.pose.head_to_scanner())
    changed = None
    if case.kind == "A":
        change, truth["growth_percent"] = _bithalamic(head.seed, case.strength)
    elif case.kind in ("B", "C"):
        change, mask = _focal(case) if case.kind == "B" else _slow_cortex(case)
        where = Volume(phantom.labels, phantom.grid.affine)
        changed = Changed(mask, where, to_head, "new_lesions" if case.kind == "B" else "restricted")
        sequences = (
            ("flair", "t1", "t1_gd") if case.option else ("flair",) if case.kind == "B" else ("flair", "dwi", "adc")
        )
    elif case.kind in ("D", D_ALONE):
        change = apply_pattern(phantom, "D", case.strength / 100.0 / SULCAL_PER_STRENGTH, case.seed)
        sequences = SCAN[:3] if case.kind == "D" else SCAN[:1]
    volumes, header = heads.simulated_scan(second, change, sequences)
    images = heads.study(volumes, header, "1.3", FOLLOWUP_DAY)
    return Made(images, first.pose.head_to_scanner() @ to_head, truth, changed)


def _focal(case: Case) -> tuple[Change, Mask]:
    """Foci in the white matter of a phantom; option "enhancing": they take up contrast agent."""
    phantom, rng = heads.phantom_of(HEADS[case.base.head].seed), rng_for(case.seed, "lesions")
    spacing = (phantom.grid.spacing_mm,) * 3
    radius = (3000.0 * case.strength / (4 * np.pi)) ** (1 / 3)
    centres = sites(phantom.region("white_matter"), spacing, radius, LESIONS, rng)
    weight, mask = balls(phantom.grid.shape, spacing, centres, case.strength, 1.0, rng)
    gain = np.float32(LESION_PERCENT / 100.0) * weight.ravel()[phantom.inside]
    agent = np.float32(ENHANCING_MM if case.option else 0.0) * weight.ravel()[phantom.inside]
    return Change(phantom, Alteration(gain, 1.0 + 0.4 * gain, 1.0 + 0.4 * gain, agent)), mask


def _slow_cortex(case: Case) -> tuple[Change, Mask]:
    """A patch of the phantom's cortex with its ADC times the ratio."""
    phantom, rng = heads.phantom_of(HEADS[case.base.head].seed), rng_for(case.seed, "restriction")
    places = np.argwhere(phantom.region("cortex") & (phantom.parenchyma > 0.6))
    centre = places[rng.integers(len(places))]
    near = np.argsort(((places - centre) ** 2).sum(axis=1))[: round(1000 * case.strength)]
    mask = np.zeros(phantom.grid.shape, dtype=bool)
    mask[tuple(places[near].T)] = True
    one = np.ones(len(phantom.inside), dtype=np.float32)
    adc = np.where(mask.ravel()[phantom.inside], np.float32(PATCH_RATIO), one)
    return Change(phantom, Alteration(0 * one, one, adc, 0 * one)), mask


def _other_variant(variant: str, seed: int) -> str:
    vendor, dimensions = variant.split("-")
    others = [v for v in ("siemens", "ge", "philips") if v != vendor]
    turned = dimensions if seed % 3 else ("2d" if dimensions == "3d" else "3d")
    return f"{others[seed % 2]}-{turned}"


def _bithalamic(seed: int, percent: float) -> tuple[Change, dict[str, float]]:
    phantom = heads.phantom_of(seed)
    masks, swelling, growth = _swollen_phantom(seed)
    spacing = (phantom.grid.spacing_mm,) * 3
    weight = np.maximum.reduce([smooth_weight(mask, spacing, 2.0) for mask in masks.values()])
    gain = np.float32(percent / 100.0) * weight.ravel()[phantom.inside]
    zero = np.zeros_like(gain)
    altered = Alteration(flair_gain=gain, t1=1.0 + 0.4 * gain, adc=1.0 + 0.4 * gain, gd_mm=zero)
    return Change(phantom, altered, swelling), growth


@lru_cache(maxsize=1)
def _swollen_phantom(seed: int) -> tuple[dict[str, Mask], Displacement, dict[str, float]]:
    phantom = heads.phantom_of(seed)
    masks = {region: phantom.region(region) for region in THALAMI} | {"brain_stem": phantom.region(*BRAIN_STEM)}
    grid = to_sitk(Volume(phantom.labels, phantom.grid.affine), sitk.sitkUInt8)
    return masks, *swelling_of(grid, masks, phantom.region(*FLUID), SWELLING)
