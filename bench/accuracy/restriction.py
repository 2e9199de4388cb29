"""Pattern C without a baseline: patches of slow cortex put into single scans, and what is found where nothing is.

    python -m bench.accuracy.restriction [--split test] [--patches 8]

ICANSEE_SHARED names the folder of the real scans. A patch is found when restricted tissue touches it and the pattern is
called; restricted tissue that touches neither a patch nor a known infarct is false. Heads are placed once, so a patch
takes two seconds. Simulated heads are scanned again with each patch; in real diffusion images the patch is put into
the images themselves.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from bench.accuracy import heads
from bench.accuracy.baselines import SETTINGS, the_atlas
from bench.accuracy.cases import PATCH_ML, PATCH_RATIO, VENDORS
from bench.accuracy.figures import rate
from bench.accuracy.heads import ADC, DWI, HEADS
from bench.accuracy.insertions import truth_on, with_restriction
from bench.real_pairs import data_folder, read_nifti
from simulation.contrast import Alteration
from simulation.deformation import rng_for
from simulation.patient import SAME_SCANNER_DRIFT
from simulation.patterns import Change
from triage.alignment.images import affine_transform, inverse, to_sitk
from triage.alignment.placement import place_atlas, regions_on
from triage.alignment.session import Session, align
from triage.detection import detect_alone
from triage.diffusion.figures import MASK, Anatomy, restricted
from triage.model import DiffusionFacts, Mask, Presence, Volume

NEAR_MM = 6.0  # restricted tissue this close to a patch or an infarct belongs to it
FAR_MM = 20.0  # patches are put this far from a known infarct
# Real diffusion images. The atlas cannot be placed on those of siemens_xa30_enhanced, which has no FLAIR and no b = 0
REAL = {"isles22": "test", "stroke_dwi": "calibration"}


@dataclass(frozen=True, eq=False)
class Placed:
    """A session with its regions. acute: known disease on the DWI grid."""

    name: str
    session: Session
    anatomy: Anatomy
    acute: Mask


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan to be looked at. patch: what was put in, on the grid of the DWI, or None. ml: its volume."""

    of: Placed
    session: Session
    patch: Mask | None = None
    ml: float = 0.0


@dataclass(frozen=True)
class Answer:
    """touched: restricted tissue lies on the patch. called: and the pattern is present. false_ml: of each cluster."""

    name: str
    ml: float
    touched: bool
    called: bool
    measured_ml: float
    false_ml: tuple[float, ...]


# -- scans -----------------------------------------------------------------------------------------


def scans(split: str, patches: int) -> Iterator[Scan]:
    """Every head of a split without and with patches."""
    simulated = [h for h in HEADS.values() if h.split == split and h.seed]
    for number, head in enumerate(simulated):
        yield from _simulated(head.seed, f"{VENDORS[number % 3]}-2d", patches)
    for name, of in REAL.items():
        if of == split:
            yield from _real(name, patches)


def _simulated(seed: int, variant: str, patches: int) -> Iterator[Scan]:
    phantom = heads.phantom_of(seed)
    visit = heads.visit(seed, "restriction", variant, drift=SAME_SCANNER_DRIFT)
    volumes, _ = heads.simulated_scan(visit, Change(phantom), ("flair", "dwi", "adc"))
    placed = _placed(f"sim{seed}-{variant}", heads.study(volumes, heads.HERE.header(""), "1.2", heads.NOON.date()))
    yield Scan(placed, placed.session)
    to_head = affine_transform(inverse(visit.pose.head_to_scanner()))
    where = Volume(phantom.labels, phantom.grid.affine)
    for number in range(patches):
        ml = PATCH_ML[number % len(PATCH_ML)]
        mask = _patch(seed, number, ml)
        one = np.ones(len(phantom.inside), dtype=np.float32)
        slow = np.where(mask.ravel()[phantom.inside], np.float32(PATCH_RATIO), one)
        changed, _ = heads.simulated_scan(
            visit, Change(phantom, Alteration(0 * one, one, slow, 0 * one)), ("dwi", "adc")
        )
        session = replace(placed.session, volumes={**placed.session.volumes, **changed})
        yield Scan(placed, session, truth_on(mask, where, changed[DWI], to_head), ml)


def _patch(seed: int, number: int, ml: float) -> Mask:
    """The cortex of a phantom nearest to a random point of it, 1 mm."""
    phantom = heads.phantom_of(seed)
    places = np.argwhere(phantom.region("cortex") & (phantom.parenchyma > 0.6))
    centre = places[rng_for(seed, f"patch {number}").integers(len(places))]
    near = np.argsort(((places - centre) ** 2).sum(axis=1))[: round(1000 * ml)]
    mask = np.zeros(phantom.grid.shape, dtype=bool)
    mask[tuple(places[near].T)] = True
    return mask


def _real(name: str, patches: int) -> Iterator[Scan]:
    images = _images(name)
    placed = _placed(name, images)
    dwi, adc = (placed.session.volumes[kind] for kind in (DWI, ADC))
    labels = _labels(placed, dwi)
    far = ndimage.distance_transform_edt(~placed.acute, dwi.spacing_mm[::-1]) > FAR_MM if placed.acute.any() else True
    names = placed.anatomy.label_names
    cortex = far & np.isin(labels, [n for n, region in names.items() if region.startswith("cortex")])
    yield Scan(placed, placed.session)
    facts = placed.session.diffusion
    b = (facts.b_high or 1000.0) - (facts.b_low or 0.0)
    for number in range(patches):
        ml = PATCH_ML[number % len(PATCH_ML)]
        weighted, slow, mask = with_restriction(dwi, adc, cortex, ml, PATCH_RATIO, number, b_s_mm2=b)
        session = replace(placed.session, volumes={**placed.session.volumes, DWI: weighted, ADC: slow})
        yield Scan(placed, session, mask, ml)


def _images(name: str) -> Any:
    folder = data_folder()
    if name == "isles22":
        return heads.study(heads.native(name), heads.HERE.header(""), "1.2", heads.NOON.date())
    volumes = {kind: read_nifti(folder / name / f"{kind.value}.nii.gz") for kind in (DWI, ADC)}
    volumes[ADC] = Volume((1e6 * volumes[ADC].voxels).astype(np.float32), volumes[ADC].affine)
    images = heads.study(volumes, heads.HERE.header(""), "1.2", heads.NOON.date())
    b0 = read_nifti(folder / name / "b0.nii.gz")
    return replace(images, dwi_b0=b0, diffusion=DiffusionFacts(1000.0, 0.0))


def _placed(name: str, images: Any) -> Placed:
    """As a study without a baseline: the atlas on the FLAIR or, without one, on the image without weighting."""
    session, atlas = align(images), the_atlas()
    anchor = session.volumes[session.anchor]
    by = images.dwi_b0 if session.anchor is DWI and images.dwi_b0 is not None else anchor
    labels, _ = regions_on(to_sitk(anchor), place_atlas(by, atlas, SETTINGS.regions), atlas)
    dwi = session.volumes[DWI]
    acute = np.zeros(dwi.voxels.shape, dtype=bool)
    if name == "isles22":
        acute = read_nifti(data_folder() / "isles22/case0009/infarct.nii.gz").voxels > 0.5
    return Placed(name, session, Anatomy(labels, dict(atlas.label_names), np.eye(4)), acute)


def _labels(placed: Placed, dwi: Volume) -> Any:
    to_anchor = affine_transform(placed.session.to_anchor[DWI])
    grid, labels = to_sitk(dwi), to_sitk(placed.anatomy.labels, sitk.sitkUInt8)
    return sitk.GetArrayFromImage(sitk.Resample(labels, grid, to_anchor, sitk.sitkNearestNeighbor, 0))


# -- answers ---------------------------------------------------------------------------------------


def answer(scan: Scan) -> Answer:
    found = restricted(scan.session, scan.of.anatomy, None, SETTINGS.diffusion)
    finding = next(f for f in detect_alone(found.measurements, SETTINGS) if f.pattern == "C")
    mask, dwi = found.masks[MASK], scan.session.volumes[DWI]
    back = affine_transform(inverse(scan.session.to_anchor[DWI]))
    patch = np.zeros(mask.voxels.shape, dtype=bool)
    if scan.patch is not None:
        patch = truth_on(scan.patch, dwi, mask, back)
    known = patch | truth_on(scan.of.acute, dwi, mask, back)
    near = ndimage.distance_transform_edt(~known, mask.spacing_mm[::-1]) <= NEAR_MM if known.any() else known
    numbers = range(1, int(mask.voxels.max()) + 1)
    clusters = {n: mask.voxels == n for n in numbers}
    false = tuple(float(c.sum()) * mask.voxel_volume_ml for c in clusters.values() if not near[c].any())
    hit = [n for n, c in clusters.items() if patch[c].any()]
    touched = bool(hit)
    volume = float(np.isin(mask.voxels, hit).sum()) * mask.voxel_volume_ml if hit else 0.0
    return Answer(scan.of.name, scan.ml, touched, touched and finding.presence is Presence.PRESENT, volume, false)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.accuracy.restriction", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--split", default="test", choices=("test", "calibration"))
    parser.add_argument("--patches", type=int, default=8, help="in each head")
    options = parser.parse_args(arguments)
    answers = []
    for scan in scans(options.split, options.patches):
        answers.append(answer(scan))
        print(answers[-1], flush=True)
    for line in table(answers):
        print(line)
    return 0


def table(answers: Sequence[Answer]) -> Iterator[str]:
    """Found by size, and false ones, for simulated heads and for real ones."""
    for what, mine in (
        ("simulated heads", [a for a in answers if a.name.startswith("sim")]),
        ("real diffusion images", [a for a in answers if not a.name.startswith("sim")]),
    ):
        for ml in PATCH_ML:
            put_in = [a for a in mine if a.ml == ml]
            touched = sum(a.touched for a in put_in)
            yield f"{what}, {ml:g} mL: {rate([a.called for a in put_in])} called, {touched} touched"
        plain = [a for a in mine if not a.ml]
        yield f"{what}, nothing put in: {sum(len(a.false_ml) for a in plain)} false in {len(plain)} scans"
        yield f"{what}, all: {sum(len(a.false_ml) for a in mine)} false in {len(mine)} scans"


if __name__ == "__main__":
    sys.exit(main())
