"""Values for tests of the core with safe defaults: figures, findings, headers, toy grids, small heads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi
import SimpleITK as sitk

from triage.alignment.grid import Grid
from triage.alignment.images import (
    NEAREST,
    affine_of,
    affine_transform,
    from_sitk,
    isotropic_grid,
    resample,
    smooth_to,
    to_sitk,
)
from triage.alignment.session import Session
from triage.measurements import not_measured
from triage.model import (
    Affine,
    Atlas,
    Finding,
    Identification,
    Measurement,
    Patient,
    Presence,
    SequenceKind,
    Series,
    SeriesHeader,
    Strength,
    Study,
    StudyImages,
    Volume,
)
from triage.preparation import PreparedBaseline

LEFT_RIGHT = ("left", "right")
UNITS = {"volume_change_percent": "%", "symmetry": "1"}

# -- figures ---------------------------------------------------------------------------------------


def a_measurement(
    region: str = "thalamus_left",
    value: float | None = 0.0,
    quantity: str = "flair_change_percent",
    *,
    uncertainty: float | None = 1.0,
) -> Measurement:
    """value None: could not be measured."""
    unit = UNITS.get(quantity, "%")
    if value is None:
        return not_measured(region, quantity, unit, "coverage: for the test")
    return Measurement(region, quantity, value, unit, uncertainty)


def figures(quantity: str = "flair_change_percent", **values: float | None) -> tuple[Measurement, ...]:
    """One figure per region, e.g.

    ``figures(pons=12.0)``; the name before ``__both`` stands for both sides; a later name overrides an earlier one.
    """
    found: dict[str, float | None] = {}
    for name, value in values.items():
        stem = name.removesuffix("__both")
        found |= {f"{stem}_{side}": value for side in LEFT_RIGHT} if stem != name else {name: value}
    return tuple(a_measurement(region, value, quantity) for region, value in found.items())


def a_finding(
    pattern: str = "A", strength: Strength | None = None, presence: Presence | None = None, explanation: str = "said so"
) -> Finding:
    """Present when a strength is given, absent otherwise."""
    known = presence or (Presence.PRESENT if strength else Presence.ABSENT)
    return Finding(pattern, known, strength, explanation)


# -- studies ---------------------------------------------------------------------------------------


def a_study(*kinds: SequenceKind, uid: str = "1.2.3", day: date | None = date(2026, 3, 10), **header: Any) -> Study:
    """A study with one series per kind (series UID: study UID and kind)."""
    series = tuple(
        Series(SeriesHeader(f"{uid}.{n}", **header), Identification(kind, 1.0, ("said so",)))
        for n, kind in enumerate(kinds or (SequenceKind.FLAIR,), start=1)
    )
    return Study(uid, Patient("P1"), day, None, series)


def some_images(flair: Volume | None, **changes: Any) -> StudyImages:
    """A study of one FLAIR; None: its FLAIR could not be read."""
    study = a_study(**changes)
    if flair is None:
        return StudyImages(study, {}, {})
    uid = study.series[0].header.series_instance_uid
    return StudyImages(study, {SequenceKind.FLAIR: flair}, {SequenceKind.FLAIR: uid})


# -- geometry --------------------------------------------------------------------------------------


def rigid(
    degrees: tuple[float, float, float] = (0.0, 0.0, 0.0),
    shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Affine:
    """(4, 4): rotation about x, then y, then z through ``centre``, then a shift; LPS mm."""
    cosines, sines = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.eye(3)
    for axis in range(3):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        one = np.eye(3)
        one[a, a] = one[b, b] = cosines[axis]
        one[b, a], one[a, b] = sines[axis], -sines[axis]
        rotation = one @ rotation
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = np.array(centre) - rotation @ np.array(centre) + np.array(shift_mm)
    return matrix


# -- small heads -----------------------------------------------------------------------------------

HEAD_MM = 2.0


def small_head(atlas: Atlas, pose: Affine | None = None) -> Volume:
    """The atlas FLAIR template, whole head, 2 mm voxels. pose: template points -> scan points, LPS mm."""
    template = to_sitk(atlas.template_flair)
    grid = isotropic_grid(template, HEAD_MM)
    moved = None if pose is None else affine_transform(np.linalg.inv(pose))
    return from_sitk(resample(smooth_to(template, HEAD_MM), grid, moved))


def labels_on(volume: Volume, atlas: Atlas, pose: Affine | None = None) -> npt.NDArray[np.uint8]:
    """The atlas labels as ``small_head`` moves them, on the volume's grid."""
    moved = None if pose is None else affine_transform(np.linalg.inv(pose))
    labels = to_sitk(atlas.labels, sitk.sitkUInt8)
    return sitk.GetArrayFromImage(resample(labels, to_sitk(volume), moved, how=NEAREST))


def scanned(volume: Volume, *, seed: int = 0, gain: float = 1.0, bias: float = 0.15, noise: float = 0.02) -> Volume:
    """As a scanner might deliver it: another gain, a smooth receive field of +-``bias``, Gaussian noise relative to the
    bright level."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in volume.voxels.shape), indexing="ij")
    slope = rng.uniform(-1, 1, 3)
    field = np.exp(bias * sum(s * a for s, a in zip(slope / np.abs(slope).sum(), axes, strict=True)))
    bright = float(np.percentile(volume.voxels, 95))
    voxels = gain * (volume.voxels * field + rng.normal(0, noise * bright, volume.voxels.shape))
    return Volume(np.maximum(voxels, 0).astype(np.float32), volume.affine)


def another_head(volume: Volume, *, seed: int = 0, amount_mm: float = 8.0) -> Volume:
    """Another person: every place displaced by a smooth random field of about ``amount_mm`` (sd per axis), folds of
    10 mm width."""
    rng = np.random.default_rng(seed)
    spacing = np.array(volume.spacing_mm[::-1])
    index = np.indices(volume.voxels.shape).astype(np.float64)
    for axis in range(3):
        field = ndi.gaussian_filter(rng.normal(size=volume.voxels.shape), 10.0 / spacing)
        index[axis] += field / field.std() * amount_mm / spacing[axis]
    return Volume(ndi.map_coordinates(volume.voxels, index, order=1).astype(np.float32), volume.affine)


def raised(
    volume: Volume, labels: npt.NDArray[np.uint8], atlas: Atlas, regions: Iterable[str], percent: float
) -> Volume:
    """The volume with named regions brighter by ``percent``; labels on its own grid."""
    wanted = [label for label, name in atlas.label_names.items() if name in set(regions)]
    gain = np.where(np.isin(labels, wanted), 1 + percent / 100, 1.0)
    return Volume((volume.voxels * gain).astype(np.float32), volume.affine)


def prepared_from(
    volume: Volume, atlas: Atlas, pose: Affine | None = None, whole: Volume | None = None, **header: Any
) -> PreparedBaseline:
    """A baseline prepared by knowing where the atlas lies instead of looking for it.

    whole: a scan of the whole head, when ``volume`` shows a part of it.
    """
    grid = whole or volume
    labels = labels_on(grid, atlas, pose)
    brain = to_sitk(atlas.brain_mask, sitk.sitkUInt8)
    moved = None if pose is None else affine_transform(np.linalg.inv(pose))
    mask = sitk.GetArrayFromImage(resample(brain, to_sitk(grid), moved, how=NEAREST))
    return PreparedBaseline(
        "1.2.1",
        "1.2.1.1",
        SeriesHeader("1.2.1.1", **header),
        volume,
        Volume(labels, grid.affine),
        Volume(mask, grid.affine),
        dict(atlas.label_names),
        Session(SequenceKind.FLAIR, {SequenceKind.FLAIR: volume}, {SequenceKind.FLAIR: np.eye(4)}),
    )


def mirrored(volume: Volume) -> Volume:
    """The same scan with the voxels of left and right swapped."""
    return Volume(volume.voxels[:, :, ::-1].copy(), volume.affine)


# -- toy grids -------------------------------------------------------------------------------------

TOY_NAMES: Mapping[int, str] = {
    1: "white_matter_left",
    2: "white_matter_right",
    3: "cortex_frontal_left",
    4: "cortex_frontal_right",
    5: "thalamus_left",
    6: "thalamus_right",
    7: "pons",
}
TOY_LEVELS = {0: 0.0, 1: 100.0, 2: 100.0, 3: 130.0, 4: 130.0, 5: 115.0, 6: 115.0, 7: 105.0}  # FLAIR intensity


def toy_labels(size: int = 48) -> npt.NDArray[np.uint8]:
    """A cube head on a 2 mm grid, (k, j, i), symmetric about the middle of i: cortex rim, white matter, two thalami,
    a pons. Left is at high i (LPS)."""
    labels = np.zeros((size,) * 3, dtype=np.uint8)
    left = np.arange(size) >= size // 2
    inner = (slice(3, -3),) * 3
    labels[inner] = np.where(left, 3, 4)[3:-3]
    inner = (slice(8, -8),) * 3
    labels[inner] = np.where(left, 1, 2)[8:-8]
    middle = size // 2
    labels[middle : middle + 9, middle - 4 : middle + 5, middle + 2 : middle + 11] = 5
    labels[middle : middle + 9, middle - 4 : middle + 5, middle - 11 : middle - 2] = 6
    labels[9:20, middle - 5 : middle + 5, middle - 5 : middle + 5] = 7
    return labels


def toy_scan(labels: npt.NDArray[np.uint8], *, seed: int = 1, noise: float = 0.01) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    clean = np.take([TOY_LEVELS[n] for n in range(8)], labels)
    return np.asarray(np.maximum(clean * (1 + rng.normal(0, noise, labels.shape)), 0), dtype=np.float32)


def toy_grid(labels: npt.NDArray[np.uint8], spacing_mm: float = 2.0) -> Grid:
    return Grid(labels, dict(TOY_NAMES), np.ones(labels.shape, dtype=bool), spacing_mm)


def swapped_names() -> dict[int, str]:
    """The toy names with left called right and right called left."""
    other = {"_left": "_right", "_right": "_left"}
    return {
        label: next((name.removesuffix(a) + b for a, b in other.items() if name.endswith(a)), name)
        for label, name in TOY_NAMES.items()
    }


def grid_affine(volume: Volume) -> Affine:
    """The affine SimpleITK sees."""
    return affine_of(to_sitk(volume))


def an_ellipsoid(noise: float = 3.0, darker: float = 1.0, shift: int = 0, ghost: float = 0.0) -> Volume:
    """A head of 25 slices of 5 mm that shows 200, in air of little noise."""
    k, j, i = np.indices((25, 80, 70))
    middle = np.where(k == 12, 35 + shift, 35)
    inside = ((k - 12) / 14) ** 2 + ((j - 40) / 26) ** 2 + ((i - middle) / 20) ** 2 < 1
    voxels = np.where(inside, np.where(k == 12, 200 * darker, 200.0), 2.0)
    voxels += ghost * (~inside & (np.abs(i - 35) < 20))
    voxels += np.random.default_rng(1).normal(0, noise, voxels.shape)
    return Volume(np.abs(voxels).astype(np.float32), np.diag([2.5, 2.5, 5.0, 1.0]))
