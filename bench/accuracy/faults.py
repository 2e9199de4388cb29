"""Deliberate faults: follow-ups that a gate must refuse, and a registration that starts far from the truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import SimpleITK as sitk

from bench.accuracy import heads
from bench.accuracy.baselines import FOLLOWUP_DAY, SETTINGS
from bench.accuracy.cases import Case
from bench.accuracy.changes import Rescan, centre_of, cut, flipped, ghosted, inverted_pose, scaled
from bench.accuracy.heads import HEADS, HERE, Base, F
from bench.accuracy.made import Made, registration_error
from bench.accuracy.real_followups import real_followup, rescan_of
from bench.accuracy.simulated_followups import simulated_followup
from simulation.deformation import rng_for
from triage.alignment.images import to_sitk
from triage.alignment.registration import register_followup
from triage.model import SequenceKind, Volume
from triage.preparation import PreparedBaseline

GATE_NEAR_MM = 2.0  # a registration nearer to the truth than this is not a wrong one


def faulty_followup(case: Case, before: PreparedBaseline) -> Made:
    group, fault, *rest = case.option.split(":")
    if group == "other_head":
        other = Case("no_change", Base(fault, rest[0]), "same", 100 + case.number)
        return replace(
            simulated_followup(other) if HEADS[fault].seed else real_followup(other, before), to_baseline=None
        )
    good = Case("no_change", case.base, case.protocol, 100 + case.number)
    if group == "contrast":
        native = heads.native(case.base.head)
        volumes = {F: native[SequenceKind(fault)]}
        taken = heads.second_scan(volumes, rescan_of(good))
        return Made(heads.study(taken, HERE.header(""), "1.3", FOLLOWUP_DAY), None, {})
    made = simulated_followup(good) if HEADS[case.base.head].seed else real_followup(good, before)
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
        "no_top": (slices, 0.0, 0.7, up), "no_bottom": (slices, 0.4, 1.0, up),
        "upper_half": (slices, 0.55, 1.0, up), "lower_half": (slices, 0.0, 0.5, up),
        "left_half": (across, 0.5, 1.0, left), "right_half": (across, 0.0, 0.5, left),
        "no_front": (ahead, 0.4, 1.0, back),
    }[fault]  # fmt: skip
    return cut(flair, 2 - axis, (low, high) if forward else (1 - high, 1 - low))


def registration_from_afar(case: Case, made: Made, before: PreparedBaseline) -> dict[str, Any]:
    """Registers from a start 25 to 60 degrees and 30 to 60 mm off the truth; a wrong result must be refused."""
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
