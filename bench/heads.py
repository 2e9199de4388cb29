"""Every real head of the shared data as a single scan: placed or refused, what was found, a priority or none.

    python -m bench.heads                      # all of them, about 8 minutes on two cores; pictures in bench/out/heads
    python -m bench.heads --only head0 --jobs 1

None of these people had CAR-T cells. A head with a known acute disease is marked; a priority on any other is a false
one. Whether a placement is right is seen in the pictures: the fit alone cannot tell.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triage.model import SequenceKind

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "bench" / "out" / "heads"
F, T1, T2, GD, DWI, ADC = (SequenceKind(k) for k in ("flair", "t1", "t2", "t1_gd", "dwi", "adc"))
CALIBRATION = ("isbi01", "isbi03", "patient07", "brats_met", "head01", "head03", "head05", "head07", "head09", "head11")


@dataclass(frozen=True)
class RealHead:
    """One session. files: kind -> path below the data folder. acute: what is known to be acute in it, else empty."""

    name: str
    files: Mapping[SequenceKind, str]
    acute: str = ""

    @property
    def split(self) -> str:
        return "calibration" if self.name in CALIBRATION else "test"


def real_heads() -> Iterator[RealHead]:
    """Every session of the shared data."""
    t1 = {3: "_t1", 4: "_t1_on_flair", 5: "_t1_on_flair", 6: "_t1_on_flair"}
    acute = {7: "large infarct", 8: "large infarct", 9: "large infarct", 10: "acute striatal infarct"}
    for number in range(1, 13):
        files = {F: f"heads/head{number:02d}_flair.nii.gz"}
        if number in t1:
            files[T1] = f"heads/head{number:02d}{t1[number]}.nii.gz"
        yield RealHead(f"head{number:02d}", files, acute.get(number, ""))
    for number in (1, 2, 3):
        yield RealHead(f"isbi{number:02d}", {F: f"isbi/training{number:02d}_01_flair.nii.gz"})
        date = f"mslesseg_p14/date{number}"
        yield RealHead(f"mslesseg14_{number}", {F: f"{date}_flair.nii.gz", T1: f"{date}_t1.nii.gz"})
    yield RealHead("flair_3d", {F: "flair_3d/flair.nii.gz"})
    yield RealHead("siemens_flair", {F: "dicom/siemens_flair"})
    for patient, kinds in (("01", (F, T1, T2)), ("03", (F, T2))):
        for study in (1, 2):
            stem = f"open_ms/patient{patient}/study{study}"
            yield RealHead(f"open_ms{patient}_{study}", {k: f"{stem}_{_OPEN_MS[k]}.nii.gz" for k in kinds})
    folder = "open_ms_mni/patient07"
    yield RealHead("patient07", {k: f"{folder}/{n}.nii.gz" for k, n in ((F, "FLAIR"), (T1, "T1"), (T2, "T2"))})
    kinds = ((F, "t2f"), (T1, "t1n"), (T2, "t2w"), (GD, "t1c"))
    yield RealHead("brats_met", {k: f"brats_met/{n}.nii.gz" for k, n in kinds}, "metastasis")
    kinds = ((F, "flair"), (DWI, "dwi"), (ADC, "adc"))
    yield RealHead("isles22", {k: f"isles22/case0009/{n}.nii.gz" for k, n in kinds}, "infarct")


_OPEN_MS = {F: "FLAIR", T1: "T1W", T2: "T2W"}


def assessed(job: tuple[RealHead, Path]) -> dict[str, Any]:
    """The record of one head; its picture is written to the folder."""
    from bench.accuracy.baselines import FOLLOWUP_DAY, INFUSION, SETTINGS, the_atlas
    from bench.accuracy.heads import HERE, study
    from triage.assessment import full
    from triage.draft import Context
    from workers.outputs.evidence.files import maps_of, write_evidence

    head, out = job
    started = time.perf_counter()
    images = study(volumes_of(head), HERE.header(""), "1.3", FOLLOWUP_DAY)
    outcome = full(images, None, Context(INFUSION, None, {}), the_atlas(), SETTINGS)
    seconds = time.perf_counter() - started
    folder = out / head.name
    folder.mkdir(parents=True, exist_ok=True)
    write_evidence(folder, outcome, maps_of(outcome))
    a = outcome.assessment
    figures = {f"{m.region}/{m.quantity}": (m.value, m.reason) for m in a.measurements}
    return {
        "name": head.name, "split": head.split, "acute": head.acute, "seconds": round(seconds, 1),
        "placed": figures.get("brain/chronic_lesion_count", (None, None))[0] is not None,
        "category": a.decision.category.value, "priority": a.decision.priority.value,
        "reasons": list(a.decision.reasons),
        "findings": {f.pattern: [f.presence.value, f.explanation] for f in a.findings},
        "figures": figures,
    }  # fmt: skip


def volumes_of(head: RealHead) -> dict[SequenceKind, Any]:
    """Volumes as the engine gets them: LPS mm, ADC in 1e-6 mm2/s."""
    import numpy as np
    import SimpleITK as sitk

    from bench.real_pairs import data_folder, read_nifti
    from triage.alignment.images import from_sitk
    from triage.model import Volume

    out: dict[SequenceKind, Any] = {}
    for kind, name in head.files.items():
        path = data_folder() / name
        if path.is_dir():
            names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path))
            out[kind] = from_sitk(sitk.ReadImage(names, sitk.sitkFloat32))
        else:
            out[kind] = read_nifti(path)
    if ADC in out and float(np.percentile(out[ADC].voxels, 99)) < 100:
        out[ADC] = Volume((1000.0 * out[ADC].voxels).astype(np.float32), out[ADC].affine)
    return out


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """One line a head, and the sums that count."""
    lines = [f"{'head':14} {'split':12} {'placed':7} {'category':26} {'priority':9} {'lesions':>8} {'mL':>6} {'s':>5}"]
    for r in sorted(records, key=lambda r: r["name"]):
        count, load = (r["figures"].get(f"brain/chronic_lesion_{q}", (None,))[0] for q in ("count", "volume_ml"))
        shown = f"{'-' if count is None else f'{count:.0f}':>8} {'-' if load is None else f'{load:.1f}':>6}"
        placed = "yes" if r["placed"] else "no"
        lines.append(
            f"{r['name']:14} {r['split']:12} {placed:7} {r['category']:26} {r['priority']:9} "
            f"{shown} {r['seconds']:5.1f}  {r['acute']}".rstrip()
        )
    quiet = [r for r in records if not r["acute"]]
    raised = [r["name"] for r in quiet if r["priority"].startswith("P")]
    placed_count = sum(bool(r["placed"]) for r in records)
    return "\n".join(
        [
            *lines,
            f"placed {placed_count} of {len(records)}; a priority without known acute disease: "
            f"{len(raised)} of {len(quiet)}{': ' + ', '.join(raised) if raised else ''}",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.heads", description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="", help="heads whose name starts with this")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args(arguments)
    heads = [head for head in real_heads() if head.name.startswith(asked.only)]
    records = []
    with multiprocessing.get_context("spawn").Pool(asked.jobs) as pool:
        for record in pool.imap_unordered(assessed, [(head, asked.out) for head in heads]):
            records.append(record)
            print(f"{len(records)} of {len(heads)}: {record['name']} {record['category']}", file=sys.stderr)
    (asked.out / "records.json").write_text(json.dumps(records, indent=1), encoding="utf-8")
    print(table(records))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
