"""All variants by rule, and the verdict on each."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from bench.reading import (
    belonging,
    beside_diffusion,
    bits,
    company,
    contradicted,
    converted,
    diffusions,
    encodings,
    grouped,
    impostors,
    inside,
    meanings,
    multiframe,
    oddities,
    storage,
    values,
)
from bench.reading.variants import Variant
from bench.reading.verdicts import Verdict, judged, read
from bench.reading.visits import files_of
from triage.model import SequenceKind, StudyImages


def all_variants() -> Iterator[Variant]:
    for rules in (bits, contradicted, encodings, inside):
        yield from (replace(one, series="*_flair") for one in rules.variants())
    for rules in (
        values,
        diffusions,
        belonging,
        storage,
        multiframe,
        meanings,
        company,
        oddities,
        grouped,
        impostors,
        beside_diffusion,
        converted,
    ):
        yield from rules.variants()


def verdict_of(one: Variant, work: Path) -> Verdict:
    """What is read of the follow-up of ``work``/visits after the alteration, in a folder beside it."""
    followup, study = work / "visits" / "followup", work / "altered"
    for folder in followup.glob(one.series):
        shutil.copytree(folder, study / folder.name)
    try:
        one.alter(study)
        files = len(files_of(study))
        return judged(_expected(one, _unaltered(followup, one.series)), read(study), one.names, files)
    finally:
        shutil.rmtree(study)


def _expected(one: Variant, right: StudyImages) -> StudyImages:
    if one.expected is None:
        return right
    flair = right.volumes[SequenceKind.FLAIR]
    changed = replace(flair, voxels=one.expected(flair.voxels.copy()))
    return replace(right, volumes={**right.volumes, SequenceKind.FLAIR: changed})


@cache
def _unaltered(followup: Path, series: str) -> StudyImages:
    found = read([path for folder in followup.glob(series) for path in folder.iterdir()])
    assert isinstance(found, StudyImages), found
    return found
