"""What was read of an altered study, beside what is right: the right value, refused by name, or silently wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from bench.reading.visits import files_of
from triage.errors import IcanseeError, NotAssessable
from triage.model import Study, StudyImages, Volume
from workers.reading.study import read_study

CLOSE = 2e-3  # of the largest value: rounding of a rescale
CLOSE_MM = 0.05


class Outcome(StrEnum):
    RIGHT = "right value"
    REFUSED = "refused by name"
    OTHER_NAME = "refused by another name"
    WRONG = "SILENT WRONG"


@dataclass(frozen=True)
class Verdict:
    outcome: Outcome
    said: str


def read(study: Path | Sequence[Path]) -> StudyImages | NotAssessable:
    """The study of a folder or of some files, or why nothing of it is read."""
    try:
        return read_study(files_of(study) if isinstance(study, Path) else study, compared=True)
    except NotAssessable as refusal:
        return refusal
    except IcanseeError as refusal:
        return NotAssessable("wrong_request", str(refusal))


def judged(
    right: StudyImages, found: StudyImages | NotAssessable, names: frozenset[str], files: int | None = None
) -> Verdict:
    """
    Args:
        right: the study before it was altered.
        names: the reason codes that a refusal may have; empty: only the right value will do.
        files: how many were read; each must be in a series or among the ignored. None: not asked.
    """
    if isinstance(found, NotAssessable):
        named = found.code in names
        return Verdict(Outcome.REFUSED if named else Outcome.OTHER_NAME, f"{found.code}: {found.message}")
    wrong = [*_wrong_volumes(right, found), *_wrong_facts(right.study, found.study)]
    counted = sum(one.header.instance_count for one in found.study.series)
    counted += sum(one.objects or 0 for one in found.ignored)
    if files is not None and counted != files:
        wrong.append(f"{counted} objects are accounted for, {files} were read")
    if wrong:
        return Verdict(Outcome.WRONG, "; ".join(wrong))
    absent = [kind.value for kind in right.volumes if kind not in found.volumes]
    if right.dwi_b0 is not None and found.dwi_b0 is None and "dwi" not in absent:
        absent.append("image without diffusion weighting")
    if not absent:
        return Verdict(Outcome.RIGHT, "")
    told = _told(right, found)
    said = f"no {', '.join(absent)}: " + ("; ".join(sorted(told)) or "not a word")
    if told & names:
        return Verdict(Outcome.REFUSED, said)
    return Verdict(Outcome.OTHER_NAME if told else Outcome.WRONG, said)


def _wrong_volumes(right: StudyImages, found: StudyImages) -> list[str]:
    wrong = []
    for kind, volume in found.volumes.items():
        if kind not in right.volumes:
            wrong.append(f"{kind} read, there is none")
        elif why := _differs(right.volumes[kind], volume):
            wrong.append(f"{kind}: {why}")
    if found.dwi_b0 is not None and right.dwi_b0 is not None and (why := _differs(right.dwi_b0, found.dwi_b0)):
        wrong.append(f"image without diffusion weighting: {why}")
    return wrong


def _differs(right: Volume, found: Volume) -> str:
    if right.voxels.shape != found.voxels.shape:
        return f"{found.voxels.shape} voxels, right are {right.voxels.shape}"
    if not np.allclose(right.affine, found.affine, atol=CLOSE_MM):
        return "it lies at another place"
    off = float(np.abs(right.voxels - found.voxels).max())
    return f"values off by up to {off:g}" if off > CLOSE * float(np.abs(right.voxels).max()) else ""


def _wrong_facts(right: Study, found: Study) -> list[str]:
    """Date and identity decide what a study is compared with."""
    wrong = []
    if found.study_date != right.study_date:
        wrong.append(f"study date {found.study_date}, right is {right.study_date}")
    if found.patient.patient_id != right.patient.patient_id:
        wrong.append("another patient ID")
    return wrong


def _told(right: StudyImages, found: StudyImages) -> set[str]:
    """Reason codes, and ``as:KIND`` for the series of a lacking volume that was recognised as something else,
    ``absent`` when the study has no such series."""
    told = {one.code for one in found.skipped}
    kinds = {one.header.series_instance_uid: one.identification.kind for one in found.study.series}
    if any(uid not in kinds for kind, uid in right.used.items() if kind not in found.volumes):
        told.add("absent")
    for kind, uid in right.used.items():
        if kind not in found.volumes and kinds.get(uid, kind) is not kind:
            told.add(f"as:{kinds[uid]}")
    return told
