"""One case in, its record out: the follow-up is made, assessed like a study of the node, and compared with what is known."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

import atlas
from bench.accuracy import heads
from bench.accuracy.cases import LESION_PERCENT, LESIONS, PATCH_RATIO, SWELLING, Case
from bench.accuracy.changes import (
    Rescan,
    centre_of,
    cut,
    flipped,
    ghosted,
    inverted_pose,
    random_rescan,
    scaled,
    swelling_of,
)
from bench.accuracy.figures import dice, match_lesions
from bench.accuracy.heads import ADC, DWI, ELSEWHERE, HEADS, HERE, T1, T2, Base, F
from bench.accuracy.insertions import balls, effaced, sites, truth_on, with_lesions, with_restriction
from bench.real_pairs import PAIRS, SAMSEG_BRAIN_STEM, SAMSEG_THALAMI, reference_transform, segmentation_of
from simulation.contrast import Alteration
from simulation.deformation import Displacement, rng_for
from simulation.patient import OTHER_SCANNER_DRIFT, SAME_SCANNER_DRIFT
from simulation.patterns import Change, apply_pattern
from simulation.transplant import raise_regions, smooth_weight
from triage.alignment.images import NEAREST, affine_transform, inverse, matrix_of, resample, to_sitk
from triage.alignment.registration import points_of, register_followup
from triage.anatomy import BRAIN_STEM, THALAMI, WHITE
from triage.assessment import Assessed, Context, first_look, full
from triage.errors import NotAssessable
from triage.model import Affine, BaselineChoice, Mask, Measurement, SequenceKind, StudyImages, Volume
from triage.preparation import PreparedBaseline, prepare_baseline
from triage.settings import TriageSettings
from workers.studies import prepared as store

SETTINGS = TriageSettings(threads=1)
BASELINE_DAY, FOLLOWUP_DAY, INFUSION = date(2024, 2, 23), date(2024, 3, 11), date(2024, 3, 4)
CONTEXT = Context(INFUSION, BaselineChoice("1.2", BASELINE_DAY, "bench"), {})
FLUID = ("third_ventricle", "fourth_ventricle", "lateral_ventricle_left", "lateral_ventricle_right", "sulcal_csf")
SCAN = ("flair", "t1", "t2", "dwi", "adc")
SULCAL_PER_STRENGTH = 2.5  # simulation.patterns: share of the sulcal fluid lost per unit of strength
ENHANCING_MM = 0.35  # contrast agent in an enhancing focus, mM; as in simulation.patterns
SMALLEST_LESION_ML = 0.08  # of a lesion that must be found; those of 0.1 mL keep at least this on another grid
GATE_NEAR_MM = 2.0  # a registration nearer to the truth than this is not a wrong one


@dataclass(frozen=True, eq=False)
class Made:
    """A follow-up with its truth. to_baseline: (4, 4) follow-up LPS mm -> baseline LPS mm, None when there is none (another head)."""

    images: StudyImages
    to_baseline: Affine | None
    truth: Mapping[str, Any]
    changed: Changed | None = None


@dataclass(frozen=True, eq=False)
class Changed:
    """Where something was changed: a mask (k, j, i) on the grid of ``source``; to_source: (4, 4) follow-up LPS mm -> its LPS mm.

    found_in: name of the mask of the evidence that should show it.
    """

    mask: Mask
    source: Volume
    to_source: Affine
    found_in: str
    smallest_ml: float = SMALLEST_LESION_ML


# -- baselines -------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def the_atlas() -> Any:
    return atlas.load()


@lru_cache(maxsize=2)
def prepared(base: Base, folder: Path) -> PreparedBaseline:
    """From the run's cache, or prepared now."""
    kept = store.load(folder / base.name)
    if kept is None:
        kept = prepare_baseline(baseline_images(base), the_atlas(), SETTINGS)
        store.save(folder / base.name, kept)
    return kept


def baseline_images(base: Base) -> StudyImages:
    if HEADS[base.head].seed:
        session = heads.visit(HEADS[base.head].seed, "baseline", base.variant, drift=SAME_SCANNER_DRIFT)
        volumes, header = heads.simulated_scan(session, Change(heads.phantom_of(session.seed)), SCAN)
        return heads.study(volumes, header, "1.2", BASELINE_DAY)
    volumes, _ = heads.real_baseline(base)
    return heads.study(volumes, _machine(base, "same").header(""), "1.2", BASELINE_DAY)


def _machine(base: Base, protocol: str) -> heads.Machine:
    """3-D scans are told from 2-D ones; the other scanner turns one into the other."""
    three = base.head in ("flair_3d", "patient07", "brats_met") and base.variant == "native"
    if protocol == "same":
        return replace(HERE, dimensions="3D" if three else "2D")
    return replace(ELSEWHERE, dimensions="2D" if three or base.variant != "thick" else "3D")


# -- follow-ups ------------------------------------------------------------------------------------


def followup(case: Case, before: PreparedBaseline) -> Made:
    if case.kind == "pair":
        return _real_pair(case)
    if case.kind == "gate":
        return _faulty(case, before)
    if HEADS[case.base.head].seed:
        return _simulated(case)
    return _real(case, before)


def _real_pair(case: Case) -> Made:
    pair = next(p for p in PAIRS if p.name == case.option.replace("open_ms", "patient").rstrip("ab"))
    images = heads.study(heads.native(case.option), HERE.header(""), "1.3", FOLLOWUP_DAY)
    folder = heads.data_folder() / "open_ms" / pair.name
    marked = heads.read_nifti(folder / "gt.nii.gz")
    to_common = inverse(matrix_of(sitk.ReadTransform(str(folder / "study2_FLAIR_to_common_space.txt"))))
    return Made(
        images, reference_transform(pair), {}, Changed(marked.voxels > 0.5, marked, to_common, "new_lesions", 0.1)
    )


def _rescan(case: Case) -> Rescan:
    native = heads.native(case.base.head)[F]
    spacing: tuple[float, float, float] | None = heads.THICK if case.base.variant == "thick" else None
    if case.protocol == "same":
        return random_rescan(
            case.seed, centre_of(native), drift=SAME_SCANNER_DRIFT, gamma=(0.97, 1.03), snr=(30, 50), spacing_mm=spacing
        )
    rng = rng_for(case.seed, "protocol")
    if max(native.spacing_mm) < 1.5:
        spacing = None if spacing else heads.THICK
    else:
        thick = native.spacing_mm[2] * float(rng.choice([0.75, 1.3]))
        spacing = (0.8, 0.8, thick) if native.spacing_mm[0] > 0.8 or rng.random() < 0.5 else (0.95, 0.95, thick)
    return random_rescan(
        case.seed, centre_of(native), drift=OTHER_SCANNER_DRIFT, gamma=(0.8, 1.25), snr=(20, 40), spacing_mm=spacing
    )


def _real(case: Case, before: PreparedBaseline) -> Made:
    how, volumes = _rescan(case), _taken_along(case)
    _, base_pose = heads.real_baseline(case.base)
    truth: dict[str, Any] = {}
    flair, swelling, changed = None, None, None
    if case.kind == "A":
        masks, fluid = suspect_masks(case, before, base_pose)
        flair = raise_regions(volumes[F], masks, case.strength)
        swelling, truth["growth_percent"] = swelling_of(to_sitk(volumes[F]), masks, fluid, SWELLING)
    elif case.kind == "B":
        white = _of(_labels_on(to_sitk(volumes[F]), before, base_pose), before, WHITE)
        flair, mask = with_lesions(volumes[F], white, case.strength, LESION_PERCENT, LESIONS, case.seed)
        changed = Changed(mask, volumes[F], how.followup_to_baseline, "new_lesions")
    elif case.kind == "C":
        volumes, changed = _restricted(case, volumes, before, how)
    elif case.kind == "D":
        volumes = {kind: _effaced(kind, v, before, base_pose, case.strength) for kind, v in volumes.items()}
    taken = heads.second_scan(volumes, how, flair, swelling)
    images = heads.study(taken, _machine(case.base, case.protocol).header(""), "1.3", FOLLOWUP_DAY)
    return Made(images, base_pose @ how.followup_to_baseline, truth, changed)


def _restricted(
    case: Case, volumes: Mapping[SequenceKind, Volume], before: PreparedBaseline, how: Rescan
) -> tuple[dict[SequenceKind, Volume], Changed]:
    labels = _labels_on(to_sitk(volumes[DWI]), before, before.session.to_anchor[DWI])
    cortex = np.isin(labels, [n for n, name in before.label_names.items() if name.startswith("cortex")])
    dwi, adc, mask = with_restriction(volumes[DWI], volumes[ADC], cortex, case.strength, PATCH_RATIO, case.seed)
    return {**volumes, DWI: dwi, ADC: adc}, Changed(mask, dwi, how.followup_to_baseline, "restricted")


def _effaced(kind: SequenceKind, volume: Volume, before: PreparedBaseline, base_pose: Affine, percent: float) -> Volume:
    """Sulci lose ``percent`` of their fluid on FLAIR, T1 and T2 alike."""
    if kind not in (F, T1, T2):
        return volume
    to_flair = before.session.to_anchor.get(kind, np.eye(4))
    labels = _labels_on(to_sitk(volume), before, to_flair @ base_pose)
    cortex = np.isin(labels, [n for n, name in before.label_names.items() if name.startswith("cortex")])
    return effaced(
        volume, cortex | _of(labels, before, ("sulcal_csf",)), cortex, _of(labels, before, FLUID[:4]), percent
    )


def _taken_along(case: Case) -> dict[SequenceKind, Volume]:
    """The whole session for the first pair without change of a head; FLAIR alone where nothing else is looked at."""
    volumes = heads.native(case.base.head)
    whole = case.kind in ("C", "D") or (case.kind == "no_change" and case.number == 0)
    return volumes if whole else {F: volumes[F]}


def suspect_masks(case: Case, before: PreparedBaseline, base_pose: Affine) -> tuple[dict[str, Mask], Mask]:
    """Thalami and brain stem on the native FLAIR's grid: SAMSEG's where there is one, else the placed atlas moved by a random
    1.5 mm (so that the truth is not exactly what the program looks at); and the fluid."""
    flair = to_sitk(heads.native(case.base.head)[F])
    shift = rng_for(case.seed, "truth").normal(0, 1, 3)
    moved = np.eye(4)
    moved[:3, 3] = 1.5 * shift / np.linalg.norm(shift)
    name = HEADS[case.base.head].segmentation
    labels = _labels_on(flair, before, base_pose if name else moved @ base_pose)
    fluid = _of(labels, before, FLUID)
    if name is None:
        return {t: _of(labels, before, (t,)) for t in THALAMI} | {"brain_stem": _of(labels, before, BRAIN_STEM)}, fluid
    samseg = sitk.GetArrayFromImage(segmentation_of(name))
    masks = {region: samseg == label for region, label in SAMSEG_THALAMI.items()}
    return {**masks, "brain_stem": samseg == SAMSEG_BRAIN_STEM}, fluid


def _labels_on(grid: sitk.Image, before: PreparedBaseline, to_baseline: Affine) -> Any:
    image = to_sitk(before.labels, sitk.sitkUInt8)
    return sitk.GetArrayFromImage(resample(image, grid, affine_transform(to_baseline), how=NEAREST))


def _of(labels: Any, before: PreparedBaseline, regions: tuple[str, ...]) -> Mask:
    return np.asarray(np.isin(labels, [n for n, name in before.label_names.items() if name in regions]))


def _simulated(case: Case) -> Made:
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
    elif case.kind == "D":
        change, sequences = (
            apply_pattern(phantom, "D", case.strength / 100.0 / SULCAL_PER_STRENGTH, case.seed),
            SCAN[:3],
        )
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


# -- faults ----------------------------------------------------------------------------------------


def _faulty(case: Case, before: PreparedBaseline) -> Made:
    group, fault, *rest = case.option.split(":")
    if group == "other_head":
        other = Case("no_change", Base(fault, rest[0]), "same", 100 + case.number)
        return replace(_simulated(other) if HEADS[fault].seed else _real(other, before), to_baseline=None)
    good = Case("no_change", case.base, case.protocol, 100 + case.number)
    if group == "contrast":
        native = heads.native(case.base.head)
        volumes = {F: native[SequenceKind(fault)]}
        taken = heads.second_scan(volumes, _rescan(good))
        return Made(heads.study(taken, HERE.header(""), "1.3", FOLLOWUP_DAY), None, {})
    made = _simulated(good) if HEADS[case.base.head].seed else _real(good, before)
    if group == "start":
        return made
    flair = _with_fault(made.images.volumes[F], group, fault, case.seed)
    images = replace(made.images, volumes={F: flair}, used={F: made.images.used[F]})
    return Made(images, None if group == "geometry" else made.to_baseline, {})


def _with_fault(flair: Volume, group: str, fault: str, seed: int) -> Volume:
    if group == "motion":
        return ghosted(flair, seed, amplitude_mm=8.0, slice_shift_mm=1.0 if fault == "ghosts" else 6.0)
    slices = int(np.argmax(np.abs(flair.affine[2, :3])))  # voxel axis along the body
    across = int(np.argmax(np.abs(flair.affine[0, :3])))
    ahead = int(np.argmax(np.abs(flair.affine[1, :3])))
    factors = {"wide": (1.08, 1.0, 1.0), "narrow": (1.0, 0.93, 1.0), "tall": (1.0, 1.0, 1.1), "flat": (1.0, 1.0, 0.91)}
    factors |= {"larger": (1.06,) * 3, "smaller": (0.94,) * 3}
    if fault in factors:
        return scaled(flair, factors[fault])
    if fault == "upside_down":
        return flipped(flair, 2 - slices)
    if fault == "mirrored":
        return flipped(flair, 2 - across)
    if fault == "turned":
        return Volume(np.ascontiguousarray(np.swapaxes(flair.voxels, 2 - across, 2 - ahead)), flair.affine)
    up = flair.affine[2, slices] > 0
    left = flair.affine[0, across] > 0  # LPS: x grows to the left
    back = flair.affine[1, ahead] > 0
    axis, low, high, forward = {
        "no_top": (slices, 0.0, 0.7, up), "no_bottom": (slices, 0.4, 1.0, up), "upper_half": (slices, 0.55, 1.0, up),
        "lower_half": (slices, 0.0, 0.5, up), "left_half": (across, 0.5, 1.0, left), "right_half": (across, 0.0, 0.5, left),
        "no_front": (ahead, 0.4, 1.0, back),
    }[fault]  # fmt: skip
    return cut(flair, 2 - axis, (low, high) if forward else (1 - high, 1 - low))


def _started_far_off(case: Case, made: Made, before: PreparedBaseline) -> dict[str, Any]:
    """The registration from a start 25 to 60 degrees and 30 to 60 mm away from the truth; wrong ends must be refused."""
    assert made.to_baseline is not None
    rng = rng_for(case.seed, "start")
    axis = rng.normal(0, 1, 3)
    far = inverted_pose(
        Rescan(0, np.eye(4)), float(rng.uniform(25, 60)), tuple(axis / np.linalg.norm(axis)), centre_of(before.flair)
    ).pose
    shift = rng.normal(0, 1, 3)
    far[:3, 3] += rng.uniform(30, 60) * shift / np.linalg.norm(shift)
    flair = made.images.volumes[F]
    found = register_followup(
        to_sitk(flair), to_sitk(before.flair), to_sitk(before.brain, sitk.sitkUInt8), SETTINGS.registration,
        slice_thickness_mm=max(*flair.spacing_mm, *before.flair.spacing_mm), start=far @ made.to_baseline,
    )  # fmt: skip
    error = registration_error(found.followup_to_baseline, made.to_baseline, before)
    return {
        "refused": not found.accepted,
        "reason": found.reason or "",
        "quality": dict(found.quality),
        "registration_error_mm": error,
        "caught": not found.accepted or error < GATE_NEAR_MM,
    }


# -- one case --------------------------------------------------------------------------------------


def run(case: Case, folder: Path) -> dict[str, Any]:
    """The record of a case: flat, JSON."""
    started = time.perf_counter()
    record: dict[str, Any] = {
        "name": case.name, "kind": case.kind, "base": case.base.name, "head": case.base.head, "split": case.split,
        "protocol": case.protocol, "strength": case.strength, "option": case.option, "simulated": bool(HEADS[case.base.head].seed),
    }  # fmt: skip
    if case.kind == "infarct":
        return record | _infarct(case)
    try:
        before = prepared(case.base, folder)
    except NotAssessable as refusal:
        return record | {"refused": True, "reason": f"baseline: {refusal}", "caught": True}
    if case.kind == "regions":
        return record | {"dice": _region_dice(case, before)}
    made = followup(case, before)
    record |= {"made_s": time.perf_counter() - started, **made.truth}
    started = time.perf_counter()
    if case.option.startswith("start:"):
        return record | _started_far_off(case, made, before)
    assess = first_look if case.kind == "gate" or (case.kind == "B" and not case.option) else full
    outcome = assess(made.images, before, CONTEXT, the_atlas(), SETTINGS)
    record |= summary(outcome, made, before)
    record["seconds"] = time.perf_counter() - started
    return record


def summary(outcome: Assessed, made: Made, before: PreparedBaseline) -> dict[str, Any]:
    a = outcome.assessment
    registration = a.registration
    refused = registration is None or not registration.accepted
    out: dict[str, Any] = {
        "refused": refused,
        "caught": a.decision.category == "not_assessable",
        "reason": "; ".join(a.decision.reasons) if a.decision.category == "not_assessable" else "",
        "category": a.decision.category.value,
        "priority": a.decision.priority.value,
        "findings": _findings(outcome),
        "explanations": {f.pattern: f.explanation for f in a.findings if f.presence == "present"},
        "notices": list(a.notices),
        "timings_s": dict(a.timings_s),
        "measured": {f"{m.region}/{m.quantity}": _figures(m) for m in a.measurements},
        "lesions": [[lesion.kind, lesion.site, lesion.volume_ml, lesion.change_percent] for lesion in a.lesions],
        "quality": {} if registration is None else dict(registration.quality),
    }
    out["said_protocol"] = next((n.split()[1].rstrip(";:,") for n in a.notices if n.startswith("protocol: ")), "")
    if made.changed is not None:
        out |= _overlap(outcome, made.changed)
    if made.to_baseline is not None and registration is not None:
        out["registration_error_mm"] = registration_error(registration.followup_to_baseline, made.to_baseline, before)
    return out


def _overlap(outcome: Assessed, changed: Changed) -> dict[str, float]:
    """Lesion-wise and voxel-wise agreement of the evidence's mask with what was changed, on the mask's own grid."""
    found = None if outcome.evidence is None else outcome.evidence.masks.get(changed.found_in)
    if found is None:
        return {}
    true = truth_on(changed.mask, changed.source, found, affine_transform(changed.to_source))
    score = match_lesions(true, found.voxels, found.voxel_volume_ml, smallest_ml=changed.smallest_ml)
    return {"found": score.found, "missed": score.missed, "false": score.false, "overlap_dice": score.dice}


def _infarct(case: Case) -> dict[str, Any]:
    """The real infarct, from its diffusion images and FLAIR, without a baseline."""
    volumes = heads.native(case.base.head)
    images = heads.study(volumes, HERE.header(""), "1.3", FOLLOWUP_DAY)
    outcome = full(images, None, Context(INFUSION, None, {}), the_atlas(), SETTINGS)
    marked = heads.read_nifti(heads.data_folder() / "isles22/case0009/infarct.nii.gz")
    changed = Changed(marked.voxels > 0.5, marked, np.eye(4), "restricted")
    return {"findings": _findings(outcome), "refused": False, **_overlap(outcome, changed)}


def _region_dice(case: Case, before: PreparedBaseline) -> dict[str, float]:
    """Thalami and brain stem of the prepared baseline against SAMSEG, on the scan's own grid."""
    reference = segmentation_of(str(HEADS[case.base.head].segmentation))
    ours = _labels_on(reference, before, np.eye(4))
    theirs = sitk.GetArrayFromImage(reference)
    out = {region: dice(_of(ours, before, (region,)), theirs == label) for region, label in SAMSEG_THALAMI.items()}
    return out | {"brain_stem": dice(_of(ours, before, BRAIN_STEM), theirs == SAMSEG_BRAIN_STEM)}


def _findings(outcome: Assessed) -> dict[str, list[str | None]]:
    found = outcome.assessment.findings
    return {f.pattern: [f.presence.value, f.strength.value if f.strength else None] for f in found}


def _figures(m: Measurement) -> list[float | None]:
    return [None if v is None else round(float(v), 4) for v in (m.value, m.uncertainty)]


def registration_error(found: Affine, true: Affine, before: PreparedBaseline) -> float:
    """Mean distance over the brain between where follow-up points are put and where they belong, mm."""
    seen = inverse(true) @ points_of(to_sitk(before.brain, sitk.sitkUInt8))
    return float(np.linalg.norm(((found - true) @ seen)[:3], axis=0).mean())
