"""Compare the atlas with the Allen Human Reference Atlas (independent: never used to build) and print what was found.

    python -m atlas.check   # ICANSEE_SHARED: folder of the reference data (default: ../shared beside the project)

Exit status 1 when thalamus, midbrain, pons or medulla overlap the reference by less than 0.80 (Dice).
"""

# mypy: disable-error-code="no-untyped-call"
# SimpleITK ships stubs without argument types

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

import atlas
from atlas.grid import Array, Mask
from triage.model import Atlas

REQUIRED = ("thalamus_left", "thalamus_right", "midbrain", "pons", "medulla")
MINIMUM_DICE = 0.80

# Allen structure abbreviations (AllenAtlas.json) by region; paired ones are split at x = 0.
ALLEN_SINGLE: dict[str, tuple[str, ...]] = {
    "midbrain": ("MTg", "RN", "SN", "SC", "IC", "cpd", "PTR"),
    "pons": ("PnBa", "PnTg"),
    "medulla": ("MoPy", "MoTg", "IO"),
    "cerebellum": ("CBV", "CbDN", "HWM", "CBPV", "CBL"),
    "third_ventricle": ("3V",),
    "fourth_ventricle": ("4V",),
    "corpus_callosum": ("cc",),
}
ALLEN_PAIRED: dict[str, tuple[str, ...]] = {
    "thalamus": (
        "THM",
        "ANC",
        "LD",
        "MD",
        "Re",
        "LP",
        "Pul",
        "VA",
        "VL",
        "VPL",
        "VPM",
        "DLG",
        "MG",
        "CM",
        "Pf",
        "HN",
        "MiN",
    ),
    "putamen": ("Pu", "PuPV"),
    "pallidum": ("GPe", "GPi"),
    "caudate": ("CaH", "CaB", "CaT"),
    "lateral_ventricle": ("aLV", "bLV", "pLV", "iLV", "xLV"),
    "hippocampus_amygdala": ("HiH", "HiB", "HiT", "AMY", "CEN", "La", "BL", "BM", "CoA", "CoP", "Me", "AHA", "AAA"),
    "cortex_insula": ("LIG", "SIG", "LI"),
    "cortex_frontal": (
        "PrCG",
        "SFG",
        "MFG",
        "IFGtr",
        "IFGop",
        "ReG",
        "MOrG",
        "AOrG",
        "POrG",
        "LOrG",
        "PCLr",
        "FrO",
        "FP",
        "CgGr",
        "SCG",
        "OB",
        "AON",
    ),
    "cortex_parietal": ("PoCG", "SPL", "SMG", "AnG", "PrCun", "PCLc", "PaO", "CgGc"),
    "cortex_temporal": ("STG", "MTG", "ITG", "FuGt", "TTG", "PLT", "TP", "PLP", "APH", "PPH", "IsCPH", "AG", "PRG"),
    "cortex_occipital": ("OP", "Cun", "LiG", "FuGo", "IOG", "SOG", "LOG"),
}

# Whole region in mL, both sides together where paired: the textbook range of adults, widened upwards because the MNI152
# template is larger than the average adult brain. The ranges are wide: they detect a wrong label or unit, not a wrong
# boundary.
TEXTBOOK_ML: dict[str, tuple[float, float]] = {
    "thalamus": (11, 22),
    "midbrain": (5, 13),
    "pons": (11, 22),
    "medulla": (3, 7),
    "external_extreme_capsule": (5, 20),
    "white_matter": (350, 620),
    "cortex_frontal": (150, 330),
    "cortex_parietal": (80, 200),
    "cortex_temporal": (90, 220),
    "cortex_occipital": (45, 130),
    "cortex_insula": (9, 25),
    "cerebellum": (110, 190),
    "lateral_ventricle": (10, 45),
    "third_ventricle": (0.5, 4),
    "fourth_ventricle": (0.8, 4.5),
    "sulcal_csf": (70, 420),
    "putamen": (8, 16),
    "pallidum": (2.5, 6),
    "caudate": (5.5, 13),
    "internal_capsule": (6, 25),
    "corpus_callosum": (8, 30),
    "hippocampus_amygdala": (9, 18),
}


@dataclass(frozen=True)
class Agreement:
    """One region against the reference. dice 0..1; volumes in mL; centroid_mm: distance of the centres of mass."""

    region: str
    dice: float
    volume_ml: float
    reference_ml: float
    centroid_mm: float


def reference_folder() -> Path:
    """``data/allen_reference`` below ``ICANSEE_SHARED``, or below ``../shared`` beside the project."""
    default = Path(__file__).resolve().parents[2] / "shared"
    return Path(os.environ.get("ICANSEE_SHARED", str(default))) / "data" / "allen_reference"


def read_reference(like: Atlas, folder: Path) -> tuple[Array, dict[str, int]]:
    """Allen labels on the atlas grid (nearest neighbour through physical space) and abbreviation -> number."""
    grid = sitk.GetImageFromArray(like.labels.voxels)
    grid.SetOrigin(like.labels.affine[:3, 3].tolist())
    grid.SetSpacing(like.labels.spacing_mm)
    grid.SetDirection((like.labels.affine[:3, :3] / np.asarray(like.labels.spacing_mm)).ravel().tolist())
    image = sitk.ReadImage(str(folder / "AllenAtlas.nii.gz"))
    placed = sitk.Resample(image, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    names = json.loads((folder / "AllenAtlas.json").read_text(encoding="utf-8"))["labels"]
    return np.asarray(sitk.GetArrayFromImage(placed)), {name: i for i, name in enumerate(names)}


def x_mm(volume_of: Atlas) -> Array:
    """LPS x in mm of every voxel column, from the affine."""
    affine, shape = volume_of.labels.affine, volume_of.labels.voxels.shape
    return np.asarray(affine[0, 3] + affine[0, 0] * np.arange(shape[2]))[None, None, :]


def compare(region: str, ours: Mask, reference: Mask, affine: Array) -> Agreement:
    """Dice, volumes and centroid distance of two masks on one grid."""
    both, a, b = int((ours & reference).sum()), int(ours.sum()), int(reference.sum())
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    centres = [np.argwhere(m).mean(0)[::-1] @ affine[:3, :3].T for m in (ours, reference)]
    return Agreement(
        region, 2 * both / max(a + b, 1), a * voxel_ml, b * voxel_ml, float(np.linalg.norm(centres[0] - centres[1]))
    )


def agreements(ours: Atlas, folder: Path) -> list[Agreement]:
    """Every region that the reference also draws. Cortex is compared inside our grey matter: the reference's gyri are
    thicker."""
    reference, number = read_reference(ours, folder)
    label = {name: n for n, name in ours.label_names.items()}
    voxels, affine, x = ours.labels.voxels, ours.labels.affine, x_mm(ours)
    rows = [
        compare(region, voxels == label[region], np.isin(reference, [number[s] for s in parts]), affine)
        for region, parts in ALLEN_SINGLE.items()
    ]
    grey = np.isin(voxels, [n for name, n in label.items() if name.startswith("cortex_")])
    for region, parts in ALLEN_PAIRED.items():
        whole = np.isin(reference, [number[s] for s in parts])
        if region.startswith("cortex_"):
            whole &= grey
        for side, half in (("left", x > 0), ("right", x < 0)):
            rows.append(compare(f"{region}_{side}", voxels == label[f"{region}_{side}"], whole & half, affine))
    return rows


def volumes_ml(ours: Atlas) -> dict[str, float]:
    """Region name -> mL."""
    counts = np.bincount(ours.labels.voxels.ravel(), minlength=256)
    return {name: float(counts[n]) * ours.labels.voxel_volume_ml for n, name in ours.label_names.items()}


def sanity(ours: Atlas) -> list[tuple[str, bool, str]]:
    """(name, passed, figures): side symmetry and volumes against textbook ranges."""
    ml = volumes_ml(ours)
    rows: list[tuple[str, bool, str]] = []
    for region, (low, high) in TEXTBOOK_ML.items():
        left, right = ml.get(f"{region}_left"), ml.get(f"{region}_right")
        if left is not None and right is not None:
            asymmetry = abs(left - right) / max((left + right) / 2, 1e-6)
            rows.append((f"{region} symmetry", asymmetry <= 0.03, f"{left:.2f} | {right:.2f} mL"))
        total = ml[region] if region in ml else ml[f"{region}_left"] + ml[f"{region}_right"]
        rows.append((f"{region} volume", low <= total <= high, f"{total:.2f} mL, expected {low}-{high}"))
    return rows


def main() -> int:
    """Print both tables; 1 when a required region misses the minimum or a sanity check fails."""
    folder = reference_folder()
    if not folder.is_dir():
        print(f"the reference folder {folder} is missing; set ICANSEE_SHARED", file=sys.stderr)
        return 2
    ours = atlas.load()
    rows = agreements(ours, folder)
    print(f"atlas {ours.version} against the Allen Human Reference Atlas\n")
    print(f"{'region':30s} {'Dice':>6s} {'mL':>8s} {'ref mL':>8s} {'ratio':>6s} {'centre mm':>9s}")
    for r in rows:
        ratio = r.volume_ml / max(r.reference_ml, 1e-6)
        print(
            f"{r.region:30s} {r.dice:6.3f} {r.volume_ml:8.2f} {r.reference_ml:8.2f} {ratio:6.2f} {r.centroid_mm:9.2f}"
        )
    print()
    tests = sanity(ours)
    for name, passed, figures in tests:
        print(f"{'ok  ' if passed else 'FAIL'} {name:36s} {figures}")
    low = [r.region for r in rows if r.region in REQUIRED and r.dice < MINIMUM_DICE]
    if low:
        print(f"\nbelow Dice {MINIMUM_DICE}: {', '.join(low)}")
    return 1 if low or not all(passed for _, passed, _ in tests) else 0


if __name__ == "__main__":
    sys.exit(main())
