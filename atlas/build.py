"""Make the atlas: nilearn's MNI152 2009a template, SAMSEG, JHU and AAL in, NIfTI files and ``labels.json`` out.

    uv run --group atlas python -m atlas.build --out atlas/data --samseg-env DIR   # runs SAMSEG, 8-12 minutes
    uv run --group atlas python -m atlas.build --out atlas/data --samseg-seg FILE  # takes an earlier result

``DIR`` is a Python 3.11 environment (``uv venv DIR && VIRTUAL_ENV=DIR uv pip install samseg==0.4a0 'numpy<2'``);
SAMSEG runs as a separate process. JHU, AAL and Colin 27 come from the Debian package ``mricron-data`` (``--mricron``).
``PROVENANCE.md`` lists the source and the terms of each. Afterwards ``python -m atlas.coarse``.
"""

# mypy: disable-error-code="no-untyped-call"
# SimpleITK ships stubs without argument types

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from atlas.grid import Array, Float, Mask, check_mirror_grid, coordinates, read_lps, smooth, to_image
from atlas.head import register_colin, synthetic_flair, whole_head
from atlas.parcellation import Sources, build_labels, label_numbers

VERSION = "1.1.0"
MRICRON_TEMPLATES = "/usr/share/mricron/templates"  # where Debian's mricron-data puts them
NILEARN_FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
DEEP_GREY = ("thalamus_left", "thalamus_right", "pallidum_left", "pallidum_right", "midbrain", "pons", "medulla")
# mricron's copy of JHU has its midplane at LPS x = +1 mm and "R" at the patient's left: its voxels are in FSL's
# radiological order under a neurological header. The shift centres it. The swapped names do no harm, because both sides
# are made by mirroring.
JHU_SHIFT = sitk.TranslationTransform(3, (1.0, 0.0, 0.0))
SOURCES = (
    "MNI152 2009a nonlinear symmetric T1, grey and white matter probability (nilearn wheel)",
    "SAMSEG 0.4a0 segmentation of that T1",
    "JHU ICBM-DTI-81 white matter labels (Debian mricron-data)",
    "AAL (Debian mricron-data), carried from Colin 27 onto the template",
    "Colin 27 head (Debian mricron-data): tissue outside the brain only",
)


def nilearn_folder() -> Path:
    """Folder of the template files inside the installed nilearn wheel (nilearn itself is not imported)."""
    spec = importlib.util.find_spec("nilearn")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("nilearn is not installed: run with `uv run --group atlas ...`")
    return Path(spec.submodule_search_locations[0]) / "datasets" / "data"


def run_samseg(environment: Path, t1: Path, work: Path, threads: int) -> Path:
    """Segment the T1 with SAMSEG in its own environment; returns the label map (seg.mgz)."""
    out = work / "samseg"
    command = [environment / "bin" / "run_samseg", "--input", t1, "--output", out, "--threads", str(threads)]
    subprocess.run([str(c) for c in command], check=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    # SimpleITK reads no MGH files: SAMSEG's environment has nibabel
    convert = "import sys, nibabel as n; n.save(n.Nifti1Image.from_image(n.load(sys.argv[1])), sys.argv[2])"
    nifti = work / "seg.nii.gz"
    subprocess.run([str(environment / "bin" / "python"), "-c", convert, str(out / "seg.mgz"), str(nifti)], check=True)
    return nifti


def on_grid(path: Path, grid: sitk.Image, transform: sitk.Transform | None = None) -> Array:
    """A label map resampled (nearest neighbour) through physical space onto the grid, shape (k, j, i)."""
    image = read_lps(str(path))
    placed = sitk.Resample(image, grid, transform or sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkInt16)
    return np.asarray(sitk.GetArrayFromImage(placed))


def probability(path: Path) -> Float:
    """A tissue map stored as 0..255 in, probability 0..1 out, shape (k, j, i)."""
    stored = np.asarray(sitk.GetArrayFromImage(read_lps(str(path))), dtype=np.float32)
    return np.asarray(stored / 255, dtype=np.float32)


def coarser(probability: Float) -> Array:
    """Probability 0..1 -> 0..255 in steps of 5: a fifth of a percent of accuracy for half the file size."""
    return np.asarray(np.clip(np.round(probability * 51) * 5, 0, 255), dtype=np.uint8)


def coarser_head(head: Float, brain_mask: Mask) -> Array:
    """Head 0..255 in steps of 2 inside the brain and 8 outside (smoothed 0.7 mm there): half the file size."""
    outside = np.round(smooth(head, 0.7) / 8) * 8
    return np.asarray(np.clip(np.where(brain_mask, np.round(head / 2) * 2, outside), 0, 255), dtype=np.uint8)


def checks(labels: Array) -> dict[str, Any]:
    """Volume in mL of every region (1 mm voxels)."""
    counts = np.bincount(labels.ravel(), minlength=256)
    return {"volume_ml": {name: round(float(counts[n]) / 1000, 2) for name, n in label_numbers().items()}}


def write(folder: Path, name: str, array: Array, grid: sitk.Image) -> None:
    """One file, uint8, on the grid."""
    image = to_image(np.ascontiguousarray(array.astype(np.uint8)), grid)
    sitk.WriteImage(image, str(folder / f"{name}.nii.gz"), True, 9)


def build(out: Path, mricron: Path, samseg_env: Path | None, samseg_seg: Path | None, threads: int) -> None:
    """Make every file of the atlas in ``out``."""
    data = nilearn_folder()
    t1_file = data / NILEARN_FILE.format("t1")
    t1 = read_lps(str(t1_file))
    check_mirror_grid(t1)
    grey, white = (probability(data / NILEARN_FILE.format(kind)) for kind in ("gm", "wm"))
    brain_mask = sitk.GetArrayViewFromImage(t1) > 0  # the template is brain-extracted
    with tempfile.TemporaryDirectory() as work:
        if samseg_seg is None:
            if samseg_env is None:
                raise SystemExit("give --samseg-env (to run SAMSEG) or --samseg-seg (its output)")
            samseg_seg = run_samseg(samseg_env, t1_file, Path(work), threads)
        samseg = on_grid(samseg_seg, t1)
    warp = register_colin(t1, read_lps(str(mricron / "ch2bet.nii.gz")))
    x, y, z = coordinates(t1)
    sources = Sources(
        samseg=samseg,
        aal=on_grid(mricron / "aal.nii.gz", t1, warp),
        jhu=on_grid(mricron / "JHU-WhiteMatter-labels-1mm.nii.gz", t1, JHU_SHIFT),
        grey=grey,
        white=white,
        brain_mask=brain_mask,
        x=x,
        y=y,
        z=z,
    )
    labels = build_labels(sources)
    numbers = label_numbers()
    deep = np.isin(labels, [numbers[name] for name in DEEP_GREY])
    head = whole_head(t1, read_lps(str(mricron / "ch2.nii.gz")), warp, brain_mask)
    flair = synthetic_flair(head, grey, white, brain_mask, deep)

    out.mkdir(parents=True, exist_ok=True)
    write(out, "template_t1", coarser_head(head, brain_mask), t1)
    write(out, "template_flair", coarser_head(flair, brain_mask), t1)
    write(out, "grey", coarser(grey), t1)
    write(out, "white", coarser(white), t1)
    write(out, "brain_mask", brain_mask, t1)
    write(out, "labels", labels, t1)
    document = {
        "version": VERSION,
        "labels": {str(n): name for name, n in numbers.items()},
        "sources": list(SOURCES),
        "checks": checks(labels),
    }
    (out / "labels.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for file in sorted(out.iterdir()):
        print(f"{file.name:24s} {file.stat().st_size / 1e6:6.2f} MB")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m atlas.build", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("atlas/data"))
    parser.add_argument("--mricron", type=Path, default=Path(MRICRON_TEMPLATES), help="folder of Debian's mricron-data")
    parser.add_argument("--samseg-env", type=Path, help="Python environment that has samseg 0.4a0")
    parser.add_argument("--samseg-seg", type=Path, help="label map of an earlier SAMSEG run on the template T1 (NIfTI)")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    build(args.out, args.mricron, args.samseg_env, args.samseg_seg, args.threads)


if __name__ == "__main__":
    main()
