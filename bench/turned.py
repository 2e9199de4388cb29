"""Every real head turned, cropped and blurred: is the atlas placed where it lies on the head as it was scanned?

    python -m bench.turned                     # every head, 15 variants each, about 70 minutes of a core
    python -m bench.turned --only head0 --kinds turn_30

The head is turned by its geometry alone, about its middle: no voxel is interpolated, so what changes is what the
program has to find. The crops take away the upper 25 mm of the brain, or everything below 25 mm above its lowest point.
The blur is a Gaussian of 6 mm (FWHM) in all directions. The distance is the mean over thalami and brain stem, and over
the brain, between where both placements see the same tissue; it says nothing on whether the first placement is right.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is imported

import numpy as np  # noqa: E402
import SimpleITK as sitk  # noqa: E402

from bench.accuracy.baselines import SETTINGS, the_atlas  # noqa: E402
from bench.heads import OUT, real_heads, volumes_of  # noqa: E402
from triage.alignment.images import affine_of, from_sitk, isotropic_grid, to_sitk  # noqa: E402
from triage.alignment.placement import Placement, place_atlas, regions_on  # noqa: E402
from triage.anatomy import BRAIN_STEM, THALAMI, mask_of  # noqa: E402
from triage.errors import NotAssessable  # noqa: E402
from triage.model import Affine, Mask, SequenceKind, Volume  # noqa: E402

DEGREES = (10, 20, 30, 40)
AXES = ("nod", "lean", "turn")  # about left-right, front-back, foot-head
CROP_MM, BLUR_MM = 25.0, 6.0
NEAR_MM, WRONG_MM = 2.0, 5.0


@dataclass(frozen=True)
class Variant:
    """kind: as the table groups it. volume: the changed scan. moved: (4, 4), scan LPS mm -> changed scan LPS mm."""

    name: str
    kind: str
    volume: Volume
    moved: Affine


def variants(flair: Volume, brain: Mask) -> Iterator[Variant]:
    """brain: (k, j, i), on the scan."""
    middle = _middle(flair)
    for degrees in DEGREES:
        for axis, name in enumerate(AXES):
            for sign in (1,) if degrees % 20 else (-1,):
                moved = _turn(axis, sign * degrees, middle)
                turned = Volume(flair.voxels, moved @ flair.affine)
                yield Variant(f"{name}{sign * degrees:+d}", f"turn_{degrees}", turned, moved)
    for where in ("above", "below"):
        yield Variant(f"crop {where}", f"crop_{where}", cropped(flair, brain, where), np.eye(4))
    blurred = sitk.SmoothingRecursiveGaussian(to_sitk(flair), BLUR_MM / 2.355)
    yield Variant("blur", "blur", from_sitk(blurred), np.eye(4))


def _middle(flair: Volume) -> np.ndarray:
    size = np.array(flair.voxels.shape[::-1])
    return np.asarray((flair.affine @ np.append((size - 1) / 2, 1.0))[:3])


def _turn(axis: int, degrees: float, middle: np.ndarray) -> Affine:
    a, b = ((1, 2), (0, 2), (0, 1))[axis]
    out = np.eye(4)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    out[[a, a, b, b], [a, b, a, b]] = c, -s, s, c
    out[:3, 3] = middle - out[:3, :3] @ middle
    return out


def cropped(flair: Volume, brain: Mask, where: str) -> Volume:
    """Planes taken away across the axis that runs most from foot to head."""
    axis = int(np.argmax(np.abs(flair.affine[2, :3])))  # of i, j, k
    step = float(flair.affine[2, axis])
    inside = np.flatnonzero(brain.any(axis=tuple(n for n in range(3) if n != 2 - axis)))
    planes = round(CROP_MM / abs(step))
    first, last = 0, brain.shape[2 - axis]
    if (where == "above") == (step > 0):
        last = int(inside.max()) + 1 - planes
    else:
        first = int(inside.min()) + planes
    taken = [slice(None)] * 3
    taken[2 - axis] = slice(first, last)
    affine = flair.affine.copy()
    affine[:3, 3] += flair.affine[:3, axis] * first
    return Volume(np.ascontiguousarray(flair.voxels[tuple(taken)]), affine)


def run(name: str, flair: Volume, kinds: str) -> Iterator[dict[str, Any]]:
    """The record of every variant of one head; of the scan itself first."""
    limits = SETTINGS.preparation.regions
    try:
        native = place_atlas(flair, the_atlas(), limits)
    except NotAssessable as refusal:
        yield {"head": name, "variant": "as it is", "kind": "as_it_is", "refused": str(refusal)}
        return
    labels, brain = regions_on(isotropic_grid(to_sitk(flair), 3.0), native, the_atlas())
    stem = mask_of(labels.voxels, the_atlas().label_names, (*THALAMI, *BRAIN_STEM))
    points = {"core": _points(stem, labels.affine), "brain": _points(brain.voxels > 0, labels.affine)}
    on_scan = regions_on(to_sitk(flair), native, the_atlas())[1].voxels > 0
    for one in variants(flair, on_scan):
        if not any(kind in one.kind for kind in kinds.split(",")):
            continue
        started = time.process_time()
        record: dict[str, Any] = {"head": name, "variant": one.name, "kind": one.kind, "refused": None}
        try:
            placed = place_atlas(one.volume, the_atlas(), limits)
            record |= {what: apart(native, placed, one, at) for what, at in points.items()}
        except NotAssessable as refusal:
            record["refused"] = str(refusal)
        yield {**record, "seconds": round(time.process_time() - started, 1)}


def _points(mask: Mask, affine: Affine) -> np.ndarray:
    """(4, n) LPS mm, evenly taken."""
    k, j, i = np.nonzero(mask)
    step = max(1, len(k) // 1500)
    return np.asarray(affine @ np.stack([i, j, k, np.ones_like(i)])[:, ::step])


def apart(native: Placement, placed: Placement, variant: Variant, points: np.ndarray) -> float:
    """Mean distance of the tissue that both placements name alike, in mm of the scan; over what both scans show."""
    there = variant.moved @ points
    image = to_sitk(variant.volume)
    index = (np.linalg.inv(affine_of(image)) @ there)[:3]
    shown = np.all((index >= 0) & (index <= np.array(image.GetSize())[:, None] - 1), axis=0)
    one, other = native.transform(), placed.transform()
    gaps = [
        np.subtract(one.TransformPoint(tuple(p)), other.TransformPoint(tuple(q)))
        for p, q in zip(points[:3, shown].T, there[:3, shown].T, strict=True)
    ]
    size = abs(float(np.linalg.det(native.to_template[:3, :3]))) ** (1 / 3)
    return float(np.linalg.norm(gaps, axis=1).mean() / size)


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """One line a kind: placed within 2 mm, placed elsewhere, refused."""
    lines = [
        f"{'kind':12} {'within 2 mm':>12} {'2 to 5 mm':>10} {'over 5 mm':>10} {'refused':>8} {'n':>4} {'median':>7}"
    ]
    for kind in dict.fromkeys(r["kind"] for r in records):
        found = [r for r in records if r["kind"] == kind]
        gaps = np.array([r["core"] for r in found if "core" in r])
        refused = sum(r["refused"] is not None for r in found)
        middle = f"{np.median(gaps):7.2f}" if gaps.size else f"{'-':>7}"
        near, wrong = int((gaps <= NEAR_MM).sum()), int((gaps > WRONG_MM).sum())
        lines.append(f"{kind:12} {near / len(found):12.2f} {len(gaps) - near - wrong:10d} {wrong:10d} {refused:8d} "
                     f"{len(found):4d} {middle}")  # fmt: skip
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.turned", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="", help="heads whose name starts with this")
    parser.add_argument("--kinds", default="", help="only variants of these kinds: turn_30,crop,blur")
    parser.add_argument("--out", type=Path, default=OUT / "turned.jsonl", help="one record a line")
    asked = parser.parse_args(arguments)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    records = []
    with asked.out.open("w", encoding="utf-8") as kept:
        for head in real_heads():
            if not head.name.startswith(asked.only):
                continue
            for record in run(head.name, volumes_of(head)[SequenceKind.FLAIR], asked.kinds):
                records.append(record)
                kept.write(json.dumps(record) + "\n")
                kept.flush()
                said = record["refused"] or f"{record['core']:.1f} mm, brain {record['brain']:.1f} mm"
                print(f"{record['head']} {record['variant']}: {said}", file=sys.stderr)
    print(table(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
