"""Pairs without a change whose slices differ in gain: what is measured, and how often that lies within its uncertainty.

    python -m bench.accuracy.slabs                  # 60 pairs of the test heads and 10 with pattern A, about 10 minutes
    python -m bench.accuracy.slabs --calibrate      # the same of the calibration heads

One date of each pair is spoiled: the signal falls off over the last one to four slices (by up to a half), odd slices or
single slices have another gain, or another coil multiplies a smooth field. The stack is first cut so that its last
slice lies at the end of the medulla or of the vertex. The atlas was placed on the unspoiled baseline, and the pair
shares its anatomy exactly: both make it easier than two visits.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is imported

import numpy as np  # noqa: E402

from bench.accuracy.baselines import CONTEXT, SETTINGS, labels_on, prepared, regions_on, the_atlas  # noqa: E402
from bench.accuracy.cases import PROTOCOLS, Case, bases  # noqa: E402
from bench.accuracy.heads import F  # noqa: E402
from bench.accuracy.run import followup  # noqa: E402
from simulation.deformation import rng_for  # noqa: E402
from triage.alignment.images import to_sitk  # noqa: E402
from triage.anatomy import BRAIN_STEM, CAPSULES, THALAMI  # noqa: E402
from triage.assessment import full  # noqa: E402
from triage.model import Affine, Mask, Volume  # noqa: E402
from triage.preparation import PreparedBaseline  # noqa: E402

FAULTS = ("none", "fall_off", "fall_off", "interleave", "single_slices", "coil")
SHOWN = (*THALAMI, *BRAIN_STEM, *CAPSULES)
PAIRS, WITH_CHANGE = 60, 10
CHANGE = 10.0  # percent, thalami and brain stem


@dataclass(frozen=True)
class Spoiled:
    """One pair. date: which one is spoiled. case: what the follow-up is made of."""

    case: Case
    fault: str
    date: str

    @property
    def name(self) -> str:
        return f"{self.case.name}/{self.fault}/{self.date}"

    @property
    def rng(self) -> np.random.Generator:
        return rng_for(self.case.seed, f"slab {self.fault} {self.date}")


def pairs(split: str) -> Iterator[Spoiled]:
    """Faults, protocols, dates and heads in turn; then those with pattern A."""
    all_bases = [base for base in bases(split) if base.head not in ("isles22", "brats_met")]
    faults = FAULTS[1:]
    for n in range(PAIRS):
        case = Case("no_change", all_bases[n % len(all_bases)], PROTOCOLS[(n // len(all_bases)) % 2], 100 + n)
        yield Spoiled(case, faults[(n + n // len(all_bases)) % len(faults)], ("baseline", "followup")[(n // 3) % 2])
    for n in range(WITH_CHANGE):
        case = Case("A", all_bases[(3 * n + 1) % len(all_bases)], "same", 100 + n, strength=CHANGE)
        yield Spoiled(case, FAULTS[n % len(FAULTS)], ("baseline", "followup")[n % 2])


def slice_axis(volume: Volume) -> int:
    """Array axis (of k, j, i) across the slices: the coarsest one, k when all are alike."""
    spacing = volume.spacing_mm[::-1]
    return int(np.argmax(spacing)) if max(spacing) > 1.2 * min(spacing) else 0


def spoil(volume: Volume, fault: str, stem: Mask, brain: Mask, rng: np.random.Generator) -> Volume:
    """The volume with a fault. stem: medulla; brain: everything; both (k, j, i) of the volume."""
    axis = slice_axis(volume)
    if fault == "none":
        return volume
    if fault == "coil":
        return Volume((volume.voxels * np.exp(_smooth_field(volume, rng))).astype(np.float32), volume.affine)
    volume, lowest_first = _cut(volume, axis, stem, brain)
    count = volume.voxels.shape[axis]
    gain = np.ones(count)
    if fault == "fall_off":
        # in mm, so that a thin-sliced stack loses as much of the head: up to four slices of 4 mm
        wide = max(1, round(int(rng.integers(1, 5)) * max(1.0, 4.0 / volume.spacing_mm[::-1][axis])))
        depth = float(rng.uniform(0.2, 0.5))
        ramp = 1 - depth * (np.arange(wide, 0, -1) / wide)
        gain[:wide] = ramp
        if rng.random() < 0.4:
            gain[-wide:] = ramp[::-1]
        gain = gain if lowest_first else gain[::-1]
    elif fault == "interleave":
        gain[::2] += float(rng.uniform(0.05, 0.15)) * float(rng.choice([-1, 1]))
    else:
        for n in rng.choice(np.arange(1, count - 1), size=max(3, count // 8), replace=False):
            gain[n] = float(rng.uniform(0.7, 1.25))
    shape = [1, 1, 1]
    shape[axis] = count
    return Volume((volume.voxels * gain.reshape(shape)).astype(np.float32), volume.affine)


def _cut(volume: Volume, axis: int, stem: Mask, brain: Mask) -> tuple[Volume, bool]:
    """The slices from the end of the medulla to the vertex, and whether the first is the lowest."""
    others = tuple(a for a in range(3) if a != axis)
    inside, low = np.flatnonzero(brain.any(axis=others)), np.flatnonzero(stem.any(axis=others))
    upright = int(np.argmax(np.abs(volume.affine[2, :3]))) == 2 - axis
    if not low.size or not upright:  # of a sagittal stack half of the head would be cut away
        return volume, True
    lowest_first = low.mean() < inside.mean()
    first, last = (low.min(), inside.max()) if lowest_first else (inside.min(), low.max())
    taken = [slice(None)] * 3
    taken[axis] = slice(int(first), int(last) + 1)
    affine = volume.affine.copy()
    affine[:3, 3] += volume.affine[:3, 2 - axis] * first
    return Volume(np.ascontiguousarray(volume.voxels[tuple(taken)]), affine), bool(lowest_first)


def _smooth_field(volume: Volume, rng: np.random.Generator) -> np.ndarray:
    """Log gain of another coil: low-order over the head, spread about 25 %."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in volume.voxels.shape), indexing="ij", sparse=True)
    field = sum(float(rng.normal(0, 0.16)) * a for a in axes) + sum(float(rng.normal(0, 0.2)) * a * a for a in axes)
    return np.asarray(field + float(rng.normal(0, 0.1)) * axes[0] * axes[1])


def run(pair: Spoiled, folder: Path) -> dict[str, Any]:
    before = prepared(pair.case.base, folder)
    made = followup(pair.case, before)
    images, flair = made.images, made.images.volumes[F]
    to_baseline = np.eye(4) if made.to_baseline is None else made.to_baseline
    if pair.date == "baseline":
        before = _with_flair(before, _spoiled(before.flair, before, np.eye(4), pair))
    else:
        images = replace(images, volumes={**images.volumes, F: _spoiled(flair, before, to_baseline, pair)})
    # FLAIR alone: what the other series add is not what this bench is about
    images = replace(images, volumes={F: images.volumes[F]}, used={F: images.used[F]})
    a = full(images, before, CONTEXT, the_atlas(), SETTINGS).assessment
    quantities = ("flair_change_percent", "volume_change_percent")
    figures = {f"{m.region}/{m.quantity}": (m.value, m.uncertainty, m.reason) for m in a.measurements
               if m.quantity in quantities}  # fmt: skip
    finding = next(f for f in a.findings if f.pattern == "A")
    return {
        "name": pair.name, "kind": pair.case.kind, "fault": pair.fault, "protocol": pair.case.protocol,
        "said": a.judged.protocol.value if a.judged.protocol else "", "category": a.decision.category.value,
        "A": finding.presence.value, "findings": {f.pattern: f.presence.value for f in a.findings},
        "reasons": list(a.decision.reasons), "figures": figures, "seconds": a.timings_s.get("assess"),
    }  # fmt: skip


def _with_flair(before: PreparedBaseline, flair: Volume) -> PreparedBaseline:
    volumes = {**before.session.volumes, F: flair}
    return replace(before, flair=flair, session=replace(before.session, volumes=volumes), working={})


def _spoiled(volume: Volume, before: PreparedBaseline, to_baseline: Affine, pair: Spoiled) -> Volume:
    labels = labels_on(to_sitk(volume), before, to_baseline)
    return spoil(volume, pair.fault, regions_on(labels, before, ("medulla",)), labels > 0, pair.rng)


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """Shares within two standard deviations, the largest figure, and what was called."""
    quiet = [r for r in records if r["kind"] == "no_change"]
    lines = [
        f"{'region':32} {'protocol':10} {'within 2 sd':>12} {'n':>4} {'not measured':>13} {'largest':>9} {'sd':>6}"
    ]
    for region in SHOWN:
        for protocol in PROTOCOLS:
            found = [r["figures"].get(f"{region}/flair_change_percent") for r in quiet if r["protocol"] == protocol]
            known = [(v, sd) for v, sd, _ in (f for f in found if f) if v is not None]
            if known:
                inside = float(np.mean([abs(v) <= 2 * sd for v, sd in known]))
                far = max((v for v, _ in known), key=abs)
                typical = float(np.median([sd for _, sd in known]))
                lines.append(f"{region:32} {protocol:10} {inside:12.2f} {len(known):4d} {len(found) - len(known):13d} "
                             f"{far:+9.1f} {typical:6.1f}")  # fmt: skip
    changed = [r for r in records if r["kind"] == "A"]
    for pattern in "ABCD":
        false = [r["name"] for r in quiet if r["findings"].get(pattern) == "present"]
        lines.append(f"false {pattern}: {len(false)} of {len(quiet)}{': ' + ', '.join(false) if false else ''}")
    refused = [r["name"] for r in records if r["category"] == "not_assessable"]
    lines.append(f"not assessable: {len(refused)}{': ' + ', '.join(refused) if refused else ''}")
    lines.append(f"+{CHANGE:g} % found: {sum(r['A'] == 'present' for r in changed)} of {len(changed)}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.accuracy.slabs", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--calibrate", action="store_true", help="the calibration heads")
    parser.add_argument("--only", default="", help="only pairs whose name holds this")
    parser.add_argument("--every", type=int, default=1, help="each n-th pair only")
    parser.add_argument("--out", type=Path, default=ROOT / "bench/out/accuracy", help="prepared baselines, records")
    asked = parser.parse_args(arguments)
    split = "calibration" if asked.calibrate else "test"
    out: Path = asked.out / split
    out.mkdir(parents=True, exist_ok=True)
    wanted = [p for p in pairs(split) if asked.only in p.name][:: asked.every]
    wanted.sort(key=lambda p: p.case.base.name)
    records = []
    with (out / "slabs.jsonl").open("w", encoding="utf-8") as kept:
        for n, pair in enumerate(wanted, 1):
            records.append(run(pair, out))
            kept.write(json.dumps(records[-1]) + "\n")
            kept.flush()
            print(f"{n} of {len(wanted)}: {pair.name} {records[-1]['A']}", file=sys.stderr)
    print(table(records))
    return 0


if __name__ == "__main__":
    sys.exit(main())
