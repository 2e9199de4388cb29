"""One case in, its record out: makes the follow-up, assesses it like a study of the node, and compares the result."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from bench.accuracy import heads
from bench.accuracy.baselines import (
    CONTEXT,
    FOLLOWUP_DAY,
    INFUSION,
    SETTINGS,
    labels_on,
    prepared,
    regions_on,
    the_atlas,
)
from bench.accuracy.cases import Case
from bench.accuracy.faults import faulty_followup, registration_from_afar
from bench.accuracy.figures import dice, match_lesions
from bench.accuracy.heads import HEADS, HERE
from bench.accuracy.insertions import truth_on
from bench.accuracy.made import Changed, Made, registration_error
from bench.accuracy.real_followups import real_followup, second_date
from bench.accuracy.simulated_followups import simulated_followup
from bench.real_pairs import SAMSEG_BRAIN_STEM, SAMSEG_THALAMI, data_folder, read_nifti, segmentation_of
from triage.alignment.images import affine_transform
from triage.anatomy import BRAIN_STEM
from triage.assessment import Assessed, first_look, full
from triage.draft import Context
from triage.errors import NotAssessable
from triage.model import Measurement
from triage.preparation import PreparedBaseline


def followup(case: Case, before: PreparedBaseline) -> Made:
    if case.kind == "pair":
        return second_date(case)
    if case.kind == "gate":
        return faulty_followup(case, before)
    if HEADS[case.base.head].seed:
        return simulated_followup(case)
    return real_followup(case, before)


def run(case: Case, folder: Path) -> dict[str, Any]:
    """The record of a case: flat, JSON."""
    started = time.perf_counter()
    record: dict[str, Any] = {
        "name": case.name, "kind": case.kind, "base": case.base.name, "head": case.base.head, "split": case.split,
        "protocol": case.protocol, "strength": case.strength, "option": case.option,
        "simulated": bool(HEADS[case.base.head].seed),
    }  # fmt: skip
    if case.kind == "infarct":
        return record | _infarct(case)
    try:
        before = prepared(case.base, folder)
    except NotAssessable as refusal:
        return record | {"refused": True, "reason": f"baseline: {refusal}", "caught": True}
    if case.kind == "regions":
        return record | {"dice": _region_dice(case, before)}
    made = followup(case, before)
    record |= {"made_s": time.perf_counter() - started, **made.truth}
    started = time.perf_counter()
    if case.option.startswith("start:"):
        return record | registration_from_afar(case, made, before)
    assess = first_look if case.kind == "gate" or (case.kind == "B" and not case.option) else full
    outcome = assess(made.images, before, CONTEXT, the_atlas(), SETTINGS)
    record |= summary(outcome, made, before)
    record["seconds"] = time.perf_counter() - started
    return record


def summary(outcome: Assessed, made: Made, before: PreparedBaseline) -> dict[str, Any]:
    a = outcome.assessment
    registration = a.registration
    refused = registration is None or not registration.accepted
    out: dict[str, Any] = {
        "refused": refused,
        "caught": a.decision.category == "not_assessable",
        "reason": "; ".join(a.decision.reasons) if a.decision.category == "not_assessable" else "",
        "category": a.decision.category.value,
        "priority": a.decision.priority.value,
        "findings": _findings(outcome),
        "explanations": {f.pattern: f.explanation for f in a.findings if f.presence == "present"},
        "notices": list(a.notices),
        "timings_s": dict(a.timings_s),
        "measured": {f"{m.region}/{m.quantity}": _figures(m) for m in a.measurements},
        "lesions": [[lesion.kind, lesion.site, lesion.volume_ml, lesion.change_percent] for lesion in a.lesions],
        "quality": {} if registration is None else dict(registration.quality),
    }
    out["said_protocol"] = a.judged.protocol.value if a.judged.protocol else ""
    if made.changed is not None:
        out |= _overlap(outcome, made.changed)
    if made.to_baseline is not None and registration is not None:
        out["registration_error_mm"] = registration_error(registration.followup_to_baseline, made.to_baseline, before)
    return out


def _overlap(outcome: Assessed, changed: Changed) -> dict[str, float]:
    """Lesion-wise and voxel-wise agreement of the evidence's mask with what was changed, on the mask's own grid."""
    found = None if outcome.evidence is None else outcome.evidence.masks.get(changed.found_in)
    if found is None:
        return {}
    true = truth_on(changed.mask, changed.source, found, affine_transform(changed.to_source))
    score = match_lesions(true, found.voxels, found.voxel_volume_ml, smallest_ml=changed.smallest_ml)
    return {"found": score.found, "missed": score.missed, "false": score.false, "overlap_dice": score.dice}


def _infarct(case: Case) -> dict[str, Any]:
    """The real infarct, from its diffusion images and FLAIR, without a baseline."""
    volumes = heads.native(case.base.head)
    images = heads.study(volumes, HERE.header(""), "1.3", FOLLOWUP_DAY)
    outcome = full(images, None, Context(INFUSION, None, {}), the_atlas(), SETTINGS)
    marked = read_nifti(data_folder() / "isles22/case0009/infarct.nii.gz")
    changed = Changed(marked.voxels > 0.5, marked, np.eye(4), "restricted")
    return {"findings": _findings(outcome), "refused": False, **_overlap(outcome, changed)}


def _region_dice(case: Case, before: PreparedBaseline) -> dict[str, float]:
    """Thalami and brain stem of the prepared baseline against SAMSEG, on the scan's own grid."""
    reference = segmentation_of(str(HEADS[case.base.head].segmentation))
    ours = labels_on(reference, before, np.eye(4))
    theirs = sitk.GetArrayFromImage(reference)
    out = {
        region: dice(regions_on(ours, before, (region,)), theirs == label) for region, label in SAMSEG_THALAMI.items()
    }
    return out | {"brain_stem": dice(regions_on(ours, before, BRAIN_STEM), theirs == SAMSEG_BRAIN_STEM)}


def _findings(outcome: Assessed) -> dict[str, list[str | None]]:
    found = outcome.assessment.findings
    return {f.pattern: [f.presence.value, f.strength.value if f.strength else None] for f in found}


def _figures(m: Measurement) -> list[float | None]:
    return [None if v is None else round(float(v), 4) for v in (m.value, m.uncertainty)]
