"""Figures of the scan before treatment in, the report of what was abnormal then out: figures, sites, sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

import numpy as np

from triage.alignment.images import NEAREST, resample, to_sitk
from triage.fluid.atrophy import SHARE
from triage.libraries import sitk
from triage.measurements import lookup
from triage.model import Found, Measurement, Volume
from triage.report.contents import BaselineReport

COUNT, LOAD, CAVITY = "chronic_lesion_count", "chronic_lesion_volume_ml", "cavity_volume_ml"
RISK = (
    "An abnormal scan before treatment carries a higher risk: of 43 children with CD19 CAR-T cells those with one "
    "had more neurotoxicity than those with a normal one or none (Gust, Ann Neurol 2019;86:42)."
)
SITES = 3  # as many are named


@dataclass(frozen=True)
class BaselineReportLimits:
    """From where on a scan before treatment counts as abnormal."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # load of old lesions; single small foci are common in the healthy (27 % of 67 subjects, a third of those over 25
    # years)
    lesion_ml: float = 0.5
    # cavity of prior injury
    cavity_ml: float = 0.3
    # lateral ventricles, of the space inside the skull. Six real heads without wide fluid spaces have 0.5 to 1.5, the
    # one beside a metastasis 2.3
    ventricle_percent: float = 2.5
    # deep sulci, of the space inside the skull. The six real heads have 3 to 5
    sulcal_percent: float = 8.0


def baseline_report(
    study: tuple[str, date | None],
    found: Found,
    regions: tuple[Volume, Mapping[int, str]],
    limits: BaselineReportLimits,
) -> BaselineReport | None:
    """None when nothing of it was ever measured.

    Args:
        study: Study Instance UID and date of the scan before treatment.
        found: what ``triage.lesions.burden`` and ``triage.fluid.atrophy`` measured on it.
        regions: labels (uint8) in its space, and label -> region.
    """
    if not found.measurements:
        return None
    sites = _sites(found, regions)
    parts = (
        _lesions(found.measurements, sites, limits),
        _cavities(found.measurements, limits),
        *(_fluid(found.measurements, region, words, limit) for region, words, limit in _spaces(limits)),
    )
    known = [abnormal for abnormal, _ in parts if abnormal is not None]
    abnormal = True if any(known) else False if len(known) == len(parts) else None
    sentences = tuple(sentence for _, sentence in parts)
    return BaselineReport(
        *study,
        abnormal,
        (*sentences, RISK) if abnormal else sentences,
        found.measurements,
        found.lesions,
        sites,
        tuple(sentence for is_so, sentence in parts if is_so),
    )


def _spaces(limits: BaselineReportLimits) -> tuple[tuple[str, str, float], ...]:
    return (
        ("ventricles", "The lateral ventricles", limits.ventricle_percent),
        ("sulcal_csf", "The deep sulci", limits.sulcal_percent),
    )


Part = tuple[bool | None, str]  # abnormal or not (None: not measured), and the sentence


def _value(measurements: tuple[Measurement, ...], region: str, quantity: str) -> Measurement:
    return lookup(measurements, region, quantity)


def _lesions(measurements: tuple[Measurement, ...], sites: tuple[str, ...], limits: BaselineReportLimits) -> Part:
    count, load = (_value(measurements, "brain", quantity) for quantity in (COUNT, LOAD))
    if count.value is None or load.value is None:
        return None, f"Old lesions could not be measured ({load.reason})."
    if count.value < 1:
        return False, "No old bright lesion was found."
    where = ", ".join(site.replace("_", " ") for site in sites[:SITES])
    many = f"{count.value:.0f} old bright lesion{'s' * (count.value > 1)}, {load.value:.1f} mL together"
    small = "" if load.value >= limits.lesion_ml else " (few, as in many healthy people)"
    return load.value >= limits.lesion_ml, f"{many}{small}{f'; mostly in {where}' if where else ''}."


def _cavities(measurements: tuple[Measurement, ...], limits: BaselineReportLimits) -> Part:
    cavity = _value(measurements, "brain", CAVITY)
    if cavity.value is None:
        return None, f"Cavities of prior injury could not be measured ({cavity.reason})."
    if cavity.value < limits.cavity_ml:
        return False, "No cavity of prior injury was found."
    return True, f"A cavity of {cavity.value:.1f} mL: prior injury."


def _fluid(measurements: tuple[Measurement, ...], region: str, words: str, limit: float) -> Part:
    share = _value(measurements, region, SHARE)
    if share.value is None:
        return None, f"{words} could not be measured ({share.reason})."
    verdict = "wide, atrophy or hydrocephalus" if share.value > limit else "not wide"
    return share.value > limit, (
        f"{words} take {share.value:.1f} % of the space inside the skull: {verdict} (limit {limit:g} %)."
    )


def _sites(found: Found, regions: tuple[Volume, Mapping[int, str]]) -> tuple[str, ...]:
    """Regions that hold old lesions, the one with the most first."""
    mask = found.masks.get("chronic_lesions")
    if mask is None:
        return ()
    labels, names = regions
    grid = to_sitk(mask, sitk.sitkUInt8)
    here = sitk.GetArrayFromImage(resample(to_sitk(labels, sitk.sitkUInt8), grid, how=NEAREST))
    counts = np.bincount(here[mask.voxels > 0].ravel(), minlength=256)
    order = sorted((label for label in names if counts[label]), key=lambda label: -int(counts[label]))
    return tuple(names[label] for label in order)
