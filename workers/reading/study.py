"""DICOM files in, one study's identified series and chosen volumes out. Reads files; decides nothing about the patient.

Pixels are read only for the series that are measured. No message or exception text carries a name, an identifier or a
date of birth.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pydicom import Dataset

from triage.errors import Misconfigured, NotAssessable
from triage.model import DiffusionFacts, SequenceKind, Series, SkippedSeries, Study, StudyImages, Volume
from triage.sequences.choose import rank
from triage.sequences.identify import identify_study
from triage.sequences.image import image_faults
from workers.reading.acquisition import acquired_on, acquisition_of
from workers.reading.beginning import has_magic, is_bare
from workers.reading.contrasts import mixed_contrasts
from workers.reading.frames import Frame
from workers.reading.limits import Budget
from workers.reading.objects import ReadObject, objects_of
from workers.reading.patient import study_without_series
from workers.reading.pixels import open_header, study_uid_of
from workers.reading.series import series_header
from workers.reading.values import text
from workers.reading.volume import adc_unit_of, highest_b, lowest_b, unweighted_of, volume_of

# kinds whose images are looked at before one of several series is taken
ANATOMICAL = (SequenceKind.FLAIR, SequenceKind.T1, SequenceKind.T1_GD, SequenceKind.T2)
# tried when the FLAIR in use is refused; each try costs seconds
SPARE_FLAIRS = 3
MEASURED: tuple[SequenceKind, ...] = (
    SequenceKind.FLAIR,
    SequenceKind.T1,
    SequenceKind.T1_GD,
    SequenceKind.T2,
    SequenceKind.DWI,
    SequenceKind.ADC,
)


def read_header(path: Path) -> Dataset:
    """One file's header without its pixels.

    Raises:
        NotAssessable: code not_dicom when the file is no DICOM object or its header cannot be read.
    """
    return open_header(path)[0]


def read_folder(folder: Path) -> dict[str, list[Path]]:
    """Every DICOM file below ``folder`` by StudyInstanceUID; suffixes do not matter, links that lead outside are not
    followed.

    Raises:
        Misconfigured: the folder does not exist.
    """
    if not folder.is_dir():
        raise Misconfigured(f"{folder}: not a folder")
    studies: dict[str, list[Path]] = defaultdict(list)
    for path in _files(folder):
        if _is_dicom(path):
            try:
                uid = study_uid_of(path)
            except NotAssessable:
                continue
            if uid:
                studies[uid].append(path)
    return dict(studies)


def _files(folder: Path) -> Iterator[Path]:
    root = folder.resolve()
    for where, names, files in os.walk(root, followlinks=False):
        names.sort()
        for name in sorted(files):
            path = Path(where) / name
            if name != "DICOMDIR" and path.is_file() and (not path.is_symlink() or path.resolve().is_relative_to(root)):
                yield path


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return has_magic(file) or is_bare(file)
    except OSError:
        return False


def read_study(
    paths: Iterable[Path],
    *,
    kinds: Collection[SequenceKind] | None = None,
    on_file: Callable[[Path], None] | None = None,
    compared: bool = False,
    vouched: Collection[Path] = (),
) -> StudyImages:
    """One study's files -> identified series and the volumes of the kinds wanted.

    Args:
        paths: files of one study, any order.
        kinds: kinds to load; None: all that are measured (``MEASURED``). A kind the study lacks is simply absent from
            ``volumes``.
        on_file: called after each header read, e.g. to renew a lease.
        compared: whether the study will be compared with others: ``acquisition`` and ``acquired`` are found for its
            FLAIR (the best one when none is loaded). A few planes are decoded.
        vouched: files that a human restored to the study, whatever identity they state.

    Returns:
        Volumes with voxels (k, j, i) float32 and affine (i, j, k) -> LPS mm; DWI is the highest b-value, ADC is in
        um2/s. ``skipped`` holds every series (or file, with an empty UID) that was wanted but refused: codes of
        ``volume_of`` and not_dicom, incomplete_header, mixed_contrasts, duplicate_sop_instance_uids, other_visit.

    Raises:
        NotAssessable: no_images (nothing readable), too_large, too_complex, too_slow (nothing within the limits),
            mixed_patients.
        Misconfigured: the files belong to more than one study.
    """
    budget = Budget()
    found = objects_of(paths, on_file, vouched, budget)
    groups = _by_series(found.kept)
    mixed = _of_two_contrasts(groups)
    refused = found.conflicting | {s.series_instance_uid for s in mixed}
    frames = {uid: [frame for f in group for frame in f.frames] for uid, group in groups.items()}
    series = _identified(groups, frames)
    study = replace(study_without_series(_richest(found.kept), found.facts), series=series)
    usable = [s for s in series if s.header.series_instance_uid not in refused]
    volumes, used, failed = _load(usable, frames, MEASURED if kinds is None else kinds, budget)
    dwi_b0, diffusion = _beside_the_dwi(usable, frames, volumes, used, budget)
    if compared:
        study = _with_acquisition(study, used.get(SequenceKind.FLAIR) or _best_flair(usable), groups, frames)
    skipped = (*found.skipped, *mixed, *failed)
    spares = _spare_flairs(usable, frames, used, failed, budget)
    return StudyImages(
        study, volumes, used, skipped, dwi_b0, diffusion, found.set_aside, found.notices, found.ignored, spares
    )


def _spare_flairs(
    series: Sequence[Series],
    frames: Mapping[str, list[Frame]],
    used: Mapping[SequenceKind, str],
    failed: Sequence[SkippedSeries],
    budget: Budget,
) -> tuple[tuple[str, Callable[[], Volume]], ...]:
    """The other FLAIR series, best first, those with faults of the image last. They are read only when the one in use
    is refused."""
    if SequenceKind.FLAIR not in used:
        return ()
    codes = {s.series_instance_uid: s.code for s in failed}
    others = [s.header.series_instance_uid for s in rank(series, SequenceKind.FLAIR)]
    wanted = [uid for uid in others if uid != used[SequenceKind.FLAIR] and codes.get(uid) in (None, "image")]
    wanted.sort(key=lambda uid: uid in codes)
    return tuple((uid, partial(volume_of, frames[uid], SequenceKind.FLAIR, budget)) for uid in wanted[:SPARE_FLAIRS])


def _by_series(files: Sequence[ReadObject]) -> dict[str, list[ReadObject]]:
    groups: dict[str, list[ReadObject]] = defaultdict(list)
    for file in files:
        groups[str(file.header.SeriesInstanceUID)].append(file)
    return groups


def _identified(groups: Mapping[str, list[ReadObject]], frames: Mapping[str, list[Frame]]) -> tuple[Series, ...]:
    headers = [series_header([f.header for f in group], frames[uid]) for uid, group in groups.items()]
    return tuple(Series(h, found) for h, found in zip(headers, identify_study(headers), strict=True))


def _of_two_contrasts(groups: Mapping[str, list[ReadObject]]) -> list[SkippedSeries]:
    said = {uid: mixed_contrasts([file.header for file in group]) for uid, group in groups.items()}
    return [
        SkippedSeries(uid, "mixed_contrasts", f"one series holds two contrasts: {why}")
        for uid, why in said.items()
        if why
    ]


def _best_flair(series: Sequence[Series]) -> str | None:
    return next((s.header.series_instance_uid for s in rank(series, SequenceKind.FLAIR)), None)


def _with_acquisition(
    study: Study, flair: str | None, files: Mapping[str, list[ReadObject]], frames: Mapping[str, list[Frame]]
) -> Study:
    if flair is None:
        return study
    said = [file.header for file in files[flair]]
    return replace(study, acquisition=acquisition_of(said, frames[flair]), acquired=acquired_on(said))


def _richest(files: Sequence[ReadObject]) -> Any:
    """The header of the earliest stated study time: objects made later (SR, derived maps) may leave it out."""
    return min(
        (f.header for f in files),
        key=lambda h: (not text(h, "StudyDate"), not text(h, "PatientID"), text(h, "Modality") != "MR"),
    )


def _load(
    series: Sequence[Series], frames: dict[str, list[Frame]], kinds: Collection[SequenceKind], budget: Budget
) -> tuple[dict[SequenceKind, Volume], dict[SequenceKind, str], list[SkippedSeries]]:
    volumes: dict[SequenceKind, Volume] = {}
    used: dict[SequenceKind, str] = {}
    skipped: list[SkippedSeries] = []
    doubted: list[tuple[SequenceKind, str, tuple[str, ...]]] = []
    for kind in MEASURED:
        for candidate in rank(series, kind) if kind in kinds else ():
            uid = candidate.header.series_instance_uid
            try:
                volume = volume_of(frames[uid], kind, budget)
            except NotAssessable as error:
                skipped.append(SkippedSeries(uid, error.code, error.message))
                continue
            faults = image_faults(volume) if kind in ANATOMICAL else ()
            if not faults or kind not in volumes:
                volumes[kind], used[kind] = volume, uid
            if not faults:
                break
            doubted.append((kind, uid, faults))
    passed = [(uid, faults) for kind, uid, faults in doubted if used[kind] != uid]
    skipped += [SkippedSeries(uid, "image", f"passed over: {'; '.join(faults)}") for uid, faults in passed]
    return volumes, used, skipped


def _beside_the_dwi(
    series: Sequence[Series],
    frames: dict[str, list[Frame]],
    volumes: dict[SequenceKind, Volume],
    used: dict[SequenceKind, str],
    budget: Budget,
) -> tuple[Volume | None, DiffusionFacts]:
    """The image without diffusion weighting on the DWI's grid, the b-values, and the unit of the ADC map.

    The image comes from the series of the DWI; when that has none, from another series.
    """
    unit = adc_unit_of(frames[used[SequenceKind.ADC]]).name if SequenceKind.ADC in used else ""
    if SequenceKind.DWI not in used:
        return None, DiffusionFacts(adc_unit=unit)
    own, dwi = used[SequenceKind.DWI], volumes[SequenceKind.DWI]
    high = highest_b(frames[own])
    # a series of b = 0 alone is not identified as DWI, so every other series is tried last; the grid must match
    others = (*rank(series, SequenceKind.DWI), *series)
    for uid in dict.fromkeys((own, *(c.header.series_instance_uid for c in others))):
        try:
            found = unweighted_of(frames[uid], dwi, budget)
        except NotAssessable:
            continue
        low = lowest_b(frames[uid])
        if found is not None and low is not None and (high is None or low < high):
            return found, DiffusionFacts(high, low, unit)
    return None, DiffusionFacts(high, None, unit)
