"""A baseline of the bench in, the engine's prepared baseline out. Settings and dates that all benches share."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

import atlas
from bench.accuracy import heads
from bench.accuracy.heads import ELSEWHERE, HEADS, HERE, Base
from simulation.patient import SAME_SCANNER_DRIFT
from simulation.patterns import Change
from triage.alignment.images import NEAREST, affine_transform, resample, to_sitk
from triage.draft import Context
from triage.model import Affine, BaselineChoice, Mask, StudyImages
from triage.preparation import PreparedBaseline, prepare_baseline
from triage.settings import TriageSettings
from workers.studies import prepared as prepared_files

SETTINGS = TriageSettings(threads=1)
BASELINE_DAY, FOLLOWUP_DAY, INFUSION = date(2024, 2, 23), date(2024, 3, 11), date(2024, 3, 4)
CONTEXT = Context(INFUSION, BaselineChoice("1.2", BASELINE_DAY, "bench"), {})
FLUID = ("third_ventricle", "fourth_ventricle", "lateral_ventricle_left", "lateral_ventricle_right", "sulcal_csf")
SCAN = ("flair", "t1", "t2", "dwi", "adc")


@lru_cache(maxsize=1)
def the_atlas() -> Any:
    return atlas.load()


@lru_cache(maxsize=2)
def prepared(base: Base, folder: Path) -> PreparedBaseline:
    """From the run's cache, or prepared now."""
    kept = prepared_files.load(folder / base.name)
    if kept is None:
        kept = prepare_baseline(baseline_images(base), the_atlas(), SETTINGS.preparation)
        prepared_files.save(folder / base.name, kept)
    return kept


def baseline_images(base: Base) -> StudyImages:
    if HEADS[base.head].seed:
        session = heads.visit(HEADS[base.head].seed, "baseline", base.variant, drift=SAME_SCANNER_DRIFT)
        volumes, header = heads.simulated_scan(session, Change(heads.phantom_of(session.seed)), SCAN)
        return heads.study(volumes, header, "1.2", BASELINE_DAY)
    volumes, _ = heads.real_baseline(base)
    return heads.study(volumes, machine_of(base, "same").header(""), "1.2", BASELINE_DAY)


def machine_of(base: Base, protocol: str) -> heads.Machine:
    """3-D scans are told from 2-D ones; the other scanner turns one into the other."""
    three = base.head in ("flair_3d", "patient07", "brats_met") and base.variant == "native"
    if protocol == "same":
        return replace(HERE, dimensions="3D" if three else "2D")
    return replace(ELSEWHERE, dimensions="2D" if three or base.variant != "thick" else "3D")


def labels_on(grid: sitk.Image, before: PreparedBaseline, to_baseline: Affine) -> Any:
    image = to_sitk(before.labels, sitk.sitkUInt8)
    return sitk.GetArrayFromImage(resample(image, grid, affine_transform(to_baseline), how=NEAREST))


def regions_on(labels: Any, before: PreparedBaseline, regions: tuple[str, ...]) -> Mask:
    return np.asarray(np.isin(labels, [n for n, name in before.label_names.items() if name in regions]))
