"""An Assessed and its maps in, the volumes of the browser's viewer out: ``viewer.json`` and a raw file for each volume.

All volumes lie along the axes of the follow-up FLAIR in the order head, back, left, so that a viewer turns nothing: the
first row of an axial slice is the front of the head, its first column the patient's right. Grey values are in units of
the white matter level, so that one window fits both dates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from SimpleITK import GetArrayFromImage

from triage.alignment.images import resample, to_sitk
from triage.anatomy import CSF, WHITE
from triage.assessment import Assessed
from triage.model import Volume
from triage.report.evidence import Evidence, EvidenceMaps
from workers.outputs.evidence.files import MASK_COLOURS, OUTLINE_COLOURS, RESTRICTED, RESTRICTED_COLOUR, refused
from workers.outputs.evidence.slices import foreground, frame_of
from workers.outputs.viewer_files import INDEX, file_name, packed

Array = npt.NDArray[Any]
Box = tuple[slice, slice, slice]
Triple = tuple[float, float, float]

FORMAT = 1
LEVEL = 0.01  # grey step, of the white matter level
DARKEST = 8  # grey steps; air and noise below it become 0, which saves a third of the file
NOT_MEASURED, MOST_PERCENT = -128, 127  # in the difference, percent
MOST_VOXELS = 12_000_000  # of a volume; a finer scan is averaged over pairs of voxels
MARGIN_MM = 15.0  # around the brain; around the head when no regions are known
TISSUE = 0.5  # of the white matter level, as in the picture: below it at either date is fluid or bone
WINDOW, CONTRAST_WINDOW = (0.35, 1.8), (0.2, 1.8)
DWI_WINDOW = (0.0, 2.5)  # of the brain's median
ADC_WINDOW, ADC_STEP = (200.0, 1800.0), 10.0  # um2/s
BEFORE = "baseline_"  # begin of the names of the baseline's diffusion and contrast
COARSER = 0.75  # an interpolated series gets no finer steps than this share of its own,
LEAST_STEP_MM = 2.0  # and along the head none finer than this
SAMPLED_MM = 1.5  # steps at which the place of a region is looked for


@dataclass(frozen=True, eq=False)
class _Grey:
    """One volume as it is stored. step: value of one stored unit; window: what is shown of it, in ``unit``."""

    name: str
    volume: Volume
    unit: str
    step: float = 1.0
    window: tuple[float, float] | None = None
    missing: int | None = None


def write_volumes(folder: Path, outcome: Assessed, maps: EvidenceMaps | None) -> list[Path]:
    """Write what the viewer shows of one outcome; nothing when there is no evidence.

    A refused registration yields the follow-up alone, as in ``write_evidence``.
    """
    evidence = outcome.evidence
    if evidence is None or maps is None:
        return []
    grid = _Grid.of(maps)
    rows, written = [], []
    for one in _volumes(evidence, maps, grid, whole=not refused(outcome.assessment)):
        content, offsets = packed(np.ascontiguousarray(one.volume.voxels))
        path = folder / file_name(one.name)
        path.write_bytes(content)
        written.append(path)
        rows.append(_row(one, grid, offsets))
    index = {"format": FORMAT, "frame": grid.row(), "volumes": rows}
    if not refused(outcome.assessment):
        index |= _places(evidence, maps, grid)
    path = folder / INDEX
    path.write_text(json.dumps(index, separators=(",", ":")) + "\n", encoding="utf-8")
    return [*written, path]


@dataclass(frozen=True, eq=False)
class _Grid:
    """The viewer's grid: the follow-up's own, turned, cut to the head, halved along axes that are finer than needed."""

    box: Box
    halved: tuple[int, int, int]
    shown: Volume  # the follow-up on this grid

    @classmethod
    def of(cls, maps: EvidenceMaps) -> _Grid:
        whole = turned(maps.followup)
        box = _box(whole, None if maps.labels is None else turned(maps.labels))
        cut = _cut(whole, box)
        factors, sizes, spacing = [1, 1, 1], list(cut.voxels.shape), list(_spacing(cut))
        while np.prod(sizes) > MOST_VOXELS:
            axis = int(np.argmin(spacing))
            factors[axis] *= 2
            sizes[axis] //= 2
            spacing[axis] *= 2
        halved = (factors[0], factors[1], factors[2])
        return cls(box, halved, _shrunk(cut, halved, np.mean))

    def grey(self, volume: Volume) -> Volume:
        return _shrunk(_cut(turned(volume), self.box), self.halved, np.mean)

    def labels(self, volume: Volume) -> Volume:
        """Labels and figures, which are not averaged: one voxel of each block."""
        cut = _shrunk(_cut(turned(volume), self.box), self.halved, None)
        return Volume(cut.voxels, self.shown.affine)

    def mask(self, volume: Volume) -> Volume:
        """Numbered places; the largest number of a block, so that no place is lost."""
        return _shrunk(_cut(turned(volume), self.box), self.halved, np.max)

    def row(self) -> dict[str, Any]:
        return {
            "axes": ["head", "back", "left"],
            "shape": list(self.shown.voxels.shape),
            "spacing_mm": _rounded(_spacing(self.shown)),
            # index (left, back, head, 1) -> LPS mm
            "affine_lps_mm": [_rounded(line) for line in self.shown.affine.tolist()],
        }


def turned(volume: Volume) -> Volume:
    """The same voxels with the array axes in the order head, back, left, each counted in that sense."""
    frame = frame_of(volume.affine)
    order = [2 - axis for axis in reversed(frame.index_axes)]  # array axes of head, back, left
    voxels, affine = volume.voxels.transpose(order), np.eye(4)
    affine[:3, :3] = volume.affine[:3, list(frame.index_axes)]
    affine[:3, 3] = volume.affine[:3, 3]
    for column in range(3):
        if affine[column, column] < 0:  # the column that lies nearest to this axis points the other way
            array_axis = 2 - column
            affine[:3, 3] += affine[:3, column] * (voxels.shape[array_axis] - 1)
            affine[:3, column] *= -1
            voxels = np.flip(voxels, array_axis)
    return Volume(voxels, affine)


def _spacing(volume: Volume) -> Triple:
    """Head, back, left."""
    left, back, head = volume.spacing_mm
    return head, back, left


def _box(whole: Volume, labels: Volume | None) -> Box:
    """What holds the brain, without regions the head, by every second voxel of each axis."""
    seen = foreground(Volume(whole.voxels[::2, ::2, ::2], whole.affine))
    if labels is not None and labels.voxels.any():
        seen = labels.voxels[::2, ::2, ::2] > 0
    out = []
    for axis, spacing in enumerate(_spacing(whole)):
        used = np.nonzero(seen.any(axis=tuple(a for a in range(3) if a != axis)))[0] * 2
        margin = int(np.ceil(MARGIN_MM / spacing))
        first, last = (used[0], used[-1] + 1) if used.size else (0, whole.voxels.shape[axis] - 1)
        out.append(slice(max(0, int(first) - margin), min(whole.voxels.shape[axis], int(last) + margin + 1)))
    return out[0], out[1], out[2]


def _cut(volume: Volume, box: Box) -> Volume:
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [box[2].start, box[1].start, box[0].start]
    return Volume(volume.voxels[box], affine)


def _shrunk(volume: Volume, factors: tuple[int, int, int], how: Any) -> Volume:
    """Blocks of ``factors`` voxels as one. how: np.mean, np.max; None: the first voxel of each."""
    if factors == (1, 1, 1):
        return volume
    sizes = [size // factor for size, factor in zip(volume.voxels.shape, factors, strict=True)]
    whole = volume.voxels[tuple(slice(0, size * factor) for size, factor in zip(sizes, factors, strict=True))]
    blocks = whole.reshape([n for pair in zip(sizes, factors, strict=True) for n in pair])
    voxels = blocks[:, 0, :, 0, :, 0] if how is None else how(blocks, axis=(1, 3, 5)).astype(volume.voxels.dtype)
    affine = volume.affine.copy()
    steps = np.array(factors[::-1], dtype=float)
    affine[:3, 3] += affine[:3, :3] @ ((steps - 1) / 2)
    affine[:3, :3] = affine[:3, :3] * steps
    return Volume(voxels, affine)


def _volumes(evidence: Evidence, maps: EvidenceMaps, grid: _Grid, *, whole: bool) -> Iterator[_Grey]:
    labels = grid.labels(maps.labels) if whole and maps.labels is not None else None
    white = None if labels is None else _named(evidence, WHITE)[labels.voxels[::2, ::2, ::2]]
    now = _levels(grid.shown, white)
    yield _Grey("followup", now, "white matter level", LEVEL, WINDOW)
    if whole and maps.baseline is not None:
        before = _levels(grid.grey(maps.baseline), white)
        yield _Grey("baseline", before, "white matter level", LEVEL, WINDOW)
        if maps.change_percent is not None and labels is not None:
            tissue = ~_named(evidence, (*CSF, ""))[labels.voxels]
            tissue &= (now.voxels > TISSUE / LEVEL) & (before.voxels > TISSUE / LEVEL)
            percent = _percent(grid.labels(maps.change_percent), tissue)
            yield _Grey("difference", percent, "%", missing=NOT_MEASURED)
    if labels is not None:
        yield _Grey("regions", labels, "label")
    if whole:
        for name, mask in maps.masks.items():
            yield _Grey(name, grid.mask(mask), "number")
    yield from _other_series(evidence, grid, whole=whole)


def _named(evidence: Evidence, names: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """(256,), whether a label is one of these regions; "" is outside the brain."""
    wanted = {label for label, name in evidence.label_names.items() if name in names} | ({0} if "" in names else set())
    return np.isin(np.arange(256), list(wanted))


def _levels(volume: Volume, white: npt.NDArray[np.bool_] | None) -> Volume:
    """The volume in steps of its white matter level; without regions of the level of all that is bright."""
    some = volume.voxels[::2, ::2, ::2]
    inside = some[(white if white is not None and white.any() else some > 0.5 * some.mean()) & (some > 0)]
    level = float(np.median(inside)) if inside.size else 1.0
    steps = volume.voxels * np.float32(1 / (level * LEVEL)) + np.float32(0.5)
    stored = np.clip(steps, 0, 255, out=steps).astype(np.uint8)
    stored[stored < DARKEST] = 0
    return Volume(stored, volume.affine)


def _percent(change: Volume, tissue: npt.NDArray[np.bool_]) -> Volume:
    values = np.where(tissue & np.isfinite(change.voxels), change.voxels, np.float32(NOT_MEASURED - 1))
    stored = np.rint(np.clip(values, NOT_MEASURED, MOST_PERCENT)).astype(np.int8)
    stored[tissue & (stored == NOT_MEASURED) & np.isfinite(change.voxels)] = NOT_MEASURED + 1
    return Volume(stored, change.affine)


def _other_series(evidence: Evidence, grid: _Grid, *, whole: bool) -> Iterator[_Grey]:
    """Diffusion and contrast on coarser steps of the grid; a median scales each, but the ADC has a unit.

    whole: those of the baseline, too.
    """
    shown = [(kind, kind, volume) for kind, volume in {**evidence.diffusion, **evidence.contrast}.items()]
    shown += [(f"{BEFORE}{kind}", kind, volume) for kind, volume in evidence.before.items() if whole]
    for name, kind, volume in shown:
        placed = _on_steps(volume, grid)
        if kind == "adc":
            stored = np.clip(placed.voxels / ADC_STEP + 0.5, 0, 255).astype(np.uint8)
            yield _Grey(name, Volume(stored, placed.affine), "um2/s", ADC_STEP, ADC_WINDOW)
        else:
            stored_volume = _levels(placed, None)
            window = DWI_WINDOW if kind == "dwi" else CONTRAST_WINDOW
            yield _Grey(name, stored_volume, "median of the head", LEVEL, window)


def _on_steps(volume: Volume, grid: _Grid) -> Volume:
    head, back, left = _spacing(turned(volume))
    own = (max(head, LEAST_STEP_MM / COARSER), back, left)
    factors = [
        max(1, min(int(COARSER * mm / here), size))
        for mm, here, size in zip(own, _spacing(grid.shown), grid.shown.voxels.shape, strict=True)
    ]
    steps = (factors[0], factors[1], factors[2])
    sizes = [size // factor for size, factor in zip(grid.shown.voxels.shape, steps, strict=True)]
    affine = grid.shown.affine.copy()
    back_to_front = np.array(factors[::-1], dtype=float)
    affine[:3, 3] += affine[:3, :3] @ ((back_to_front - 1) / 2)
    affine[:3, :3] = affine[:3, :3] * back_to_front
    empty = to_sitk(Volume(np.zeros(sizes, dtype=np.uint8), affine))
    return Volume(GetArrayFromImage(resample(to_sitk(volume), empty)), affine)


def _row(one: _Grey, grid: _Grid, offsets: list[int]) -> dict[str, Any]:
    """What ``viewer.json`` says of one volume. start_mm: of its first voxel from that of the frame."""
    spacing, frame = _spacing(one.volume), grid.shown.affine
    apart = np.linalg.solve(frame[:3, :3], one.volume.affine[:3, 3] - frame[:3, 3])[::-1] * _spacing(grid.shown)
    return {
        "name": one.name,
        "type": str(one.volume.voxels.dtype),
        "shape": list(one.volume.voxels.shape),
        "spacing_mm": _rounded(spacing),
        "start_mm": _rounded(apart),
        "step": one.step,
        "unit": one.unit,
        "window": one.window,
        "missing": one.missing,
        "slices": offsets,
    }


def _places(evidence: Evidence, maps: EvidenceMaps, grid: _Grid) -> dict[str, Any]:
    """Where each region and each numbered place has its largest cross-section, mm along head, back, left."""
    out: dict[str, Any] = {"regions": [], "masks": {}}
    spacing = _spacing(grid.shown)
    if maps.labels is not None:
        labels = grid.labels(maps.labels)
        steps = tuple(max(1, int(SAMPLED_MM / mm)) for mm in spacing)
        found = _largest(labels.voxels[tuple(slice(None, None, n) for n in steps)])
        for label, name in sorted(evidence.label_names.items()):
            if label in found:
                place = [i * n * mm for i, n, mm in zip(found[label], steps, spacing, strict=True)]
                colour = OUTLINE_COLOURS.get(name)
                out["regions"].append({"label": label, "name": name, "colour": colour, "place_mm": _rounded(place)})
    for name, mask in maps.masks.items():
        colour = RESTRICTED_COLOUR if name == RESTRICTED else MASK_COLOURS.get(name)
        numbered = _largest(grid.mask(mask).voxels)
        places = {str(n): _rounded(np.multiply(at, spacing)) for n, at in sorted(numbered.items())}
        out["masks"][name] = {"colour": colour, "places_mm": places}
    return out


def _largest(labels: Array) -> dict[int, list[int]]:
    """Label -> index along each axis where most of it is cut."""
    at = np.nonzero(labels)
    values = labels[at].astype(np.int64)
    most = []
    for size, along in zip(labels.shape, at, strict=True):
        counts = np.bincount(values * size + along, minlength=256 * size).reshape(256, size)
        most.append(counts.argmax(axis=1))
    return {label: [int(axis[label]) for axis in most] for label in np.unique(values).tolist()}


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]
