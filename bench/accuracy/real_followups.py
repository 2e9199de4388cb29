"""Follow-ups of real heads: a second date as published, or the first one scanned again with a known change put in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import SimpleITK as sitk

from bench.accuracy import heads
from bench.accuracy.baselines import FLUID, FOLLOWUP_DAY, labels_on, machine_of, regions_on
from bench.accuracy.cases import D_ALONE, LESION_PERCENT, LESIONS, PATCH_RATIO, SWELLING, Case
from bench.accuracy.changes import Rescan, centre_of, random_rescan, swelling_of
from bench.accuracy.heads import ADC, DWI, HEADS, HERE, T1, T2, F
from bench.accuracy.insertions import effaced, with_lesions, with_restriction
from bench.accuracy.made import Changed, Made
from bench.real_pairs import (
    PAIRS,
    SAMSEG_BRAIN_STEM,
    SAMSEG_THALAMI,
    data_folder,
    read_nifti,
    reference_transform,
    segmentation_of,
)
from simulation.deformation import rng_for
from simulation.patient import OTHER_SCANNER_DRIFT, SAME_SCANNER_DRIFT
from simulation.transplant import raise_regions
from triage.alignment.images import inverse, matrix_of, to_sitk
from triage.anatomy import BRAIN_STEM, THALAMI, WHITE
from triage.model import Affine, Mask, SequenceKind, Volume
from triage.preparation import PreparedBaseline


def second_date(case: Case) -> Made:
    pair = next(p for p in PAIRS if p.name == case.option.replace("open_ms", "patient").rstrip("ab"))
    images = heads.study(heads.native(case.option), HERE.header(""), "1.3", FOLLOWUP_DAY)
    folder = data_folder() / "open_ms" / pair.name
    marked = read_nifti(folder / "gt.nii.gz")
    to_common = inverse(matrix_of(sitk.ReadTransform(str(folder / "study2_FLAIR_to_common_space.txt"))))
    return Made(
        images, reference_transform(pair), {}, Changed(marked.voxels > 0.5, marked, to_common, "new_lesions", 0.1)
    )


def rescan_of(case: Case) -> Rescan:
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


def real_followup(case: Case, before: PreparedBaseline) -> Made:
    how, volumes = rescan_of(case), _taken_along(case)
    _, base_pose = heads.real_baseline(case.base)
    truth: dict[str, Any] = {}
    flair, swelling, changed = None, None, None
    if case.kind == "A":
        masks, fluid = suspect_masks(case, before, base_pose)
        flair = raise_regions(volumes[F], masks, case.strength)
        swelling, truth["growth_percent"] = swelling_of(to_sitk(volumes[F]), masks, fluid, SWELLING)
    elif case.kind == "B":
        white = regions_on(labels_on(to_sitk(volumes[F]), before, base_pose), before, WHITE)
        flair, mask = with_lesions(volumes[F], white, case.strength, LESION_PERCENT, LESIONS, case.seed)
        changed = Changed(mask, volumes[F], how.followup_to_baseline, "new_lesions")
    elif case.kind == "C":
        volumes, changed = _restricted(case, volumes, before, how)
    elif case.kind in ("D", D_ALONE):
        volumes = {kind: _effaced(kind, v, before, base_pose, case.strength) for kind, v in volumes.items()}
    taken = heads.second_scan(volumes, how, flair, swelling)
    images = heads.study(taken, machine_of(case.base, case.protocol).header(""), "1.3", FOLLOWUP_DAY)
    return Made(images, base_pose @ how.followup_to_baseline, truth, changed)


def _restricted(
    case: Case, volumes: Mapping[SequenceKind, Volume], before: PreparedBaseline, how: Rescan
) -> tuple[dict[SequenceKind, Volume], Changed]:
    labels = labels_on(to_sitk(volumes[DWI]), before, before.session.to_anchor[DWI])
    cortex = np.isin(labels, [n for n, name in before.label_names.items() if name.startswith("cortex")])
    dwi, adc, mask = with_restriction(volumes[DWI], volumes[ADC], cortex, case.strength, PATCH_RATIO, case.seed)
    return {**volumes, DWI: dwi, ADC: adc}, Changed(mask, dwi, how.followup_to_baseline, "restricted")


def _effaced(kind: SequenceKind, volume: Volume, before: PreparedBaseline, base_pose: Affine, percent: float) -> Volume:
    """Sulci lose ``percent`` of their fluid on FLAIR, T1 and T2 alike."""
    if kind not in (F, T1, T2):
        return volume
    to_flair = before.session.to_anchor.get(kind, np.eye(4))
    labels = labels_on(to_sitk(volume), before, to_flair @ base_pose)
    cortex = np.isin(labels, [n for n, name in before.label_names.items() if name.startswith("cortex")])
    return effaced(
        volume,
        cortex | regions_on(labels, before, ("sulcal_csf",)),
        cortex,
        regions_on(labels, before, FLUID[:4]),
        percent,
    )


def _taken_along(case: Case) -> dict[SequenceKind, Volume]:
    """The whole session for the first pair without change of a head; FLAIR alone where nothing else is looked at."""
    volumes = heads.native(case.base.head)
    whole = case.kind in ("C", "D") or (case.kind == "no_change" and case.number == 0)
    return volumes if whole else {F: volumes[F]}


def suspect_masks(case: Case, before: PreparedBaseline, base_pose: Affine) -> tuple[dict[str, Mask], Mask]:
    """Thalami and brain stem on the native FLAIR's grid: SAMSEG's where there is one, else the placed atlas moved by a
    random 1.5 mm (so that the truth is not exactly what the program looks at); and the fluid."""
    flair = to_sitk(heads.native(case.base.head)[F])
    shift = rng_for(case.seed, "truth").normal(0, 1, 3)
    moved = np.eye(4)
    moved[:3, 3] = 1.5 * shift / np.linalg.norm(shift)
    name = HEADS[case.base.head].segmentation
    labels = labels_on(flair, before, base_pose if name else moved @ base_pose)
    fluid = regions_on(labels, before, FLUID)
    if name is None:
        return {t: regions_on(labels, before, (t,)) for t in THALAMI} | {
            "brain_stem": regions_on(labels, before, BRAIN_STEM)
        }, fluid
    samseg = sitk.GetArrayFromImage(segmentation_of(name))
    masks = {region: samseg == label for region, label in SAMSEG_THALAMI.items()}
    return {**masks, "brain_stem": samseg == SAMSEG_BRAIN_STEM}, fluid
