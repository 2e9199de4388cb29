"""A synthetic head with known places, in any acquisition orientation, and outcomes about it."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.assessment import Assessed
from triage.model import (
    Affine,
    BaselineChoice,
    Category,
    Decision,
    Finding,
    Measurement,
    Patient,
    Presence,
    Priority,
    RegistrationResult,
    Stage,
    Strength,
    Study,
    Volume,
)
from triage.report.contents import Assessment, Judged, JudgedFrom
from triage.report.evidence import Evidence

Array = npt.NDArray[Any]

SHIFT = np.array([4.0, -3.0, 2.0])  # follow-up point + SHIFT = baseline point, mm
SIZE_MM = (150.0, 180.0, 150.0)  # field of view along left, back, head
WHITE = 100.0
NAMES = {
    1: "midbrain", 2: "pons", 3: "medulla", 9: "thalamus_left", 10: "thalamus_right",
    13: "white_matter_left", 14: "white_matter_right",
}  # fmt: skip
BALLS = {9: (10, 10, 0, 10), 10: (-10, 10, 0, 10), 1: (0, 12, -22, 8), 2: (0, 10, -40, 10), 3: (0, 12, -56, 7)}
SPOT = (35, -30, 9)  # left, in front, radius: an upright rod at the level of the thalami


def _turned(degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


# Columns: directions of i, j, k in LPS.
ORIENTATIONS = {
    "axial": np.eye(3),
    "axial flipped": np.diag([-1.0, -1.0, 1.0]),
    "axial from the top down": np.diag([1.0, -1.0, -1.0]),
    "oblique": _turned(15),
    "sagittal": np.array([[0, 0, -1], [1, 0, 0], [0, -1, 0]], dtype=float),
    "coronal": np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=float),
}


def grid(axes: Array, spacing_mm: tuple[float, float, float]) -> tuple[tuple[int, int, int], Affine]:
    """Array shape (k, j, i) and affine of a field of view centred on the head."""
    extent = np.abs(axes.T) @ np.array(SIZE_MM)
    count = np.ceil(extent / np.array(spacing_mm)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing_mm
    affine[:3, 3] = -affine[:3, :3] @ ((count - 1) / 2)
    return (int(count[2]), int(count[1]), int(count[0])), affine


def points(shape: tuple[int, int, int], affine: Affine) -> Array:
    """LPS mm of every voxel, (3, k, j, i)."""
    k, j, i = np.indices(shape)
    turned = np.einsum("ab,b...->a...", affine[:3, :3], np.stack([i, j, k]).astype(float))
    return np.asarray(turned + affine[:3, 3].reshape(3, 1, 1, 1))


def inside(p: Array, ball: tuple[float, float, float, float]) -> Array:
    return np.asarray(np.linalg.norm(p - np.reshape(ball[:3], (3, 1, 1, 1)), axis=0) <= ball[3])


def labels_at(p: Array) -> Array:
    brain = (p[0] / 60) ** 2 + (p[1] / 75) ** 2 + (p[2] / 65) ** 2 <= 1
    labels = np.where(brain, np.where(p[0] > 0, 13, 14), 0).astype(np.uint8)
    for label, ball in BALLS.items():
        labels[inside(p, ball)] = label
    return labels


def flair_at(p: Array, rise: float, gain: float) -> Array:
    labels = labels_at(p)
    image = np.where(labels > 0, WHITE, 0.0)
    image[np.isin(labels, [9, 10])] *= 1 + rise
    image[(np.hypot(p[0] - SPOT[0], p[1] - SPOT[1]) <= SPOT[2]) & (np.abs(p[2]) < 16)] = 2.5 * WHITE
    return np.asarray(gain * image, dtype=np.float32)


def an_evidence(axes: Array, rise: float = 0.25) -> Evidence:
    thick = (2.0, 2.0, 4.0) if abs(axes[2, 2]) > 0.7 else (2.0, 2.0, 2.0)
    shape, affine = grid(axes, thick)
    before = points(*grid(np.eye(3), (2.0, 2.0, 2.0))) - SHIFT.reshape(3, 1, 1, 1)
    _, baseline_affine = grid(np.eye(3), (2.0, 2.0, 2.0))
    moved = np.eye(4)
    moved[:3, 3] = SHIFT
    half = np.eye(4)
    half[:3, 3] = SHIFT / 2
    change_shape, change_affine = grid(np.eye(3), (2.0, 2.0, 2.0))
    there = labels_at(points(change_shape, change_affine) - SHIFT.reshape(3, 1, 1, 1) / 2)
    change = np.where(np.isin(there, [9, 10]), np.log1p(rise), 0.0).astype(np.float32)
    return Evidence(
        followup=Volume(flair_at(points(shape, affine), rise, 1.0), affine),
        baseline=Volume(flair_at(before, 0.0, 2.0), baseline_affine),
        labels=Volume(labels_at(before), baseline_affine),
        label_names=NAMES,
        change=Volume(change, change_affine),
        followup_to_baseline=moved,
        followup_to_half_way=half,
    )


def the_patient() -> Patient:
    return Patient("SECRET-4711")


def measured(missing: str | None = None) -> tuple[Measurement, ...]:
    values = {"thalamus_left": 24.8, "thalamus_right": 23.1, "midbrain": 1.0, "pons": 12.0, "medulla": -0.01}
    out = []
    for region, value in values.items():
        if region == missing:
            why = "coverage: both scans show only 31 % of the region, need 80 %"
            out.append(Measurement(region, "flair_change_percent", None, "%", assessable=False, reason=why))
            continue
        out.append(Measurement(region, "flair_change_percent", value, "%", 1.1, 1.3, reason="reference: near"))
        out.append(Measurement(region, "flair_change_far_percent", value - 1, "%", 1.1, 1.3))
    return tuple(out)


def an_assessment(measurements: tuple[Measurement, ...] | None = None) -> Assessment:
    matrix = np.eye(4)
    matrix[:3, 3] = SHIFT
    return Assessment(
        study=Study("1.2.826.0.1.77", the_patient(), date(2024, 3, 11), None),
        days_after_infusion=7,
        baseline=BaselineChoice("1.2.826.0.1.76", date(2024, 2, 23), "the latest scan before the infusion"),
        used_as={},
        skipped=(),
        registration=RegistrationResult(True, None, {"similarity": 0.9, "brain_coverage": 0.99}, matrix),
        measurements=measured() if measurements is None else measurements,
        findings=(
            Finding("A", Presence.PRESENT, Strength.STRONG, "both thalami rise"),
            Finding("B", Presence.INDETERMINATE, None, "not looked for"),
        ),
        decision=Decision(Category.NEUROTOXICITY_SUSPECTED, Priority.P1, ("pattern A strong: both thalami rise",)),
        stage=Stage.FULL,
        notices=("protocol: same",),
        timings_s={},
        versions={"icansee": "1.0", "config_sha256": "0123456789abcdef"},
        judged=Judged(JudgedFrom.COMPARISON),
    )


def an_outcome(axes: Array | None = None, measurements: tuple[Measurement, ...] | None = None) -> Assessed:
    return Assessed(an_assessment(measurements), an_evidence(np.eye(3) if axes is None else axes))
