"""DICOM files in, one study's identified series and chosen volumes out. Reads files; decides nothing about the patient.

Pixels are read only for the series that are measured. No message or exception text carries a name, an identifier or a
date of birth.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from triage.errors import Misconfigured, NotAssessable
from triage.model import DiffusionFacts, SequenceKind, Series, SkippedSeries, Study, StudyImages, Volume
from triage.sequences.choose import rank
from triage.sequences.identify import identify_study
from workers.identities import StudyFacts, Votes, sort_out
from workers.reading.acquisition import acquired_on, acquisition_of
from workers.reading.beginning import has_magic, is_bare
from workers.reading.contrasts import mixed_contrasts
from workers.reading.frames import Frame, frames_of
from workers.reading.limits import LIMIT_CODES, Budget
from workers.reading.patient import stated_facts, study_without_series
from workers.reading.pixels import open_header, study_uid_of
from workers.reading.series import series_header
from workers.reading.values import text
from workers.reading.visits import OTHER_VISIT, facts_of_latest, visits_of
from workers.reading.volume import adc_unit_of, highest_b, lowest_b, unweighted_of, volume_of

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


@dataclass(frozen=True, eq=False)
class _File:
    path: Path
    header: Any
    frames: list[Frame]


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
    files, skipped = _read_headers(paths, on_file, budget)
    if not files:
        raise _nothing_read(skipped)
    _check_one_study(files)
    files, facts, told = _of_one_patient(files, vouched)
    files, conflicting = _without_duplicates(files)
    files, facts, told, others = _of_latest_visit(files, facts, told, vouched)
    skipped += conflicting + others
    groups = _by_series(files)
    skipped += (mixed := _of_two_contrasts(groups))
    refused = {s.series_instance_uid for s in (*conflicting, *mixed)}
    frames = {uid: [frame for f in group for frame in f.frames] for uid, group in groups.items()}
    series = _identified(groups, frames)
    study = replace(study_without_series(_richest(files), facts), series=series)
    usable = [s for s in series if s.header.series_instance_uid not in refused]
    volumes, used, failed = _load(usable, frames, MEASURED if kinds is None else kinds, budget)
    dwi_b0, diffusion = _beside_the_dwi(usable, frames, volumes, used, budget)
    if compared:
        study = _with_acquisition(study, used.get(SequenceKind.FLAIR) or _best_flair(usable), groups, frames)
    return StudyImages(study, volumes, used, (*skipped, *failed), dwi_b0, diffusion, **told)


def _by_series(files: Sequence[_File]) -> dict[str, list[_File]]:
    groups: dict[str, list[_File]] = defaultdict(list)
    for file in files:
        groups[str(file.header.SeriesInstanceUID)].append(file)
    return groups


def _identified(groups: Mapping[str, list[_File]], frames: Mapping[str, list[Frame]]) -> tuple[Series, ...]:
    headers = [series_header([f.header for f in group], frames[uid]) for uid, group in groups.items()]
    return tuple(Series(h, found) for h, found in zip(headers, identify_study(headers), strict=True))


def _of_two_contrasts(groups: Mapping[str, list[_File]]) -> list[SkippedSeries]:
    said = {uid: mixed_contrasts([file.header for file in group]) for uid, group in groups.items()}
    return [
        SkippedSeries(uid, "mixed_contrasts", f"one series holds two contrasts: {why}")
        for uid, why in said.items()
        if why
    ]


def _nothing_read(skipped: Sequence[SkippedSeries]) -> NotAssessable:
    for one in skipped:
        if one.code in LIMIT_CODES:
            return NotAssessable(one.code, one.message)
    return NotAssessable("no_images", f"none of the files is a readable DICOM object ({len(skipped)} reasons)")


def _best_flair(series: Sequence[Series]) -> str | None:
    return next((s.header.series_instance_uid for s in rank(series, SequenceKind.FLAIR)), None)


def _with_acquisition(
    study: Study, flair: str | None, files: Mapping[str, list[_File]], frames: Mapping[str, list[Frame]]
) -> Study:
    if flair is None:
        return study
    said = [file.header for file in files[flair]]
    return replace(study, acquisition=acquisition_of(said, frames[flair]), acquired=acquired_on(said))


def _read_headers(
    paths: Iterable[Path], on_file: Callable[[Path], None] | None, budget: Budget
) -> tuple[list[_File], list[SkippedSeries]]:
    files: list[_File] = []
    problems: Counter[tuple[str, str]] = Counter()
    for path in paths:
        try:
            files.append(_read_file(path, budget))
        except NotAssessable as error:
            problems[error.code, error.message] += 1
        if on_file is not None:
            on_file(path)
    return files, [SkippedSeries("", code, f"{count} files: {message}") for (code, message), count in problems.items()]


def _read_file(path: Path, budget: Budget) -> _File:
    header, pixels = open_header(path, budget)
    if not all(text(header, k) for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")):
        raise NotAssessable("incomplete_header", "a study, series or instance UID is missing")
    try:
        frames = frames_of(header, pixels) if header.get("Rows") is not None else []
    except Exception as error:  # the last resort: one malformed file must not lose the study
        raise NotAssessable("incomplete_header", f"the header is malformed ({type(error).__name__})") from None
    return _File(path, header, frames)


def _check_one_study(files: Sequence[_File]) -> None:
    counts = Counter(str(f.header.StudyInstanceUID) for f in files)
    if len(counts) > 1:
        listed = " and ".join(f"{count} files" for count in sorted(counts.values(), reverse=True))
        raise Misconfigured(f"the files belong to {len(counts)} studies ({listed}); give one study at a time")


def _of_one_patient(
    files: Sequence[_File], vouched: Collection[Path]
) -> tuple[list[_File], StudyFacts, dict[str, tuple[str, ...]]]:
    """The files of the study's patient, what they say together, and what the result says about the others."""
    said = [stated_facts(f.header) for f in files]
    votes = [Votes(one, 1, max(1, len(f.frames))) for one, f in zip(said, files, strict=True)]
    found = sort_out(votes, {number for number, f in enumerate(files) if f.path in vouched})
    if not found.clear:
        ids = {one.patient_id for one in said if one.patient_id}
        births = {one.birth_date for one in said if one.birth_date}
        what = f"{len(ids)} patient IDs" if len(ids) > 1 else f"{len(births)} birth dates"
        raise NotAssessable("mixed_patients", f"one study carries {what}")
    told = {
        "set_aside": tuple(
            f"{count} of {len(files)} objects carry {why} than the rest of the study; the rest is assessed"
            for why, count in sorted(Counter(found.strays.values()).items())
        ),
        "notices": tuple(f"the objects of the study disagree on the {name}" for name in found.disagreements),
    }
    return [f for number, f in enumerate(files) if number not in found.strays], found.facts, told


def _of_latest_visit(
    files: Sequence[_File], facts: StudyFacts, told: dict[str, tuple[str, ...]], vouched: Collection[Path]
) -> tuple[list[_File], StudyFacts, dict[str, tuple[str, ...]], list[SkippedSeries]]:
    """The files of the latest visit, the study's facts and notices as it states them, and the series of the others."""
    found = visits_of([file.header for file in files])
    latest = [files[n] for n in found.latest]
    if found.began is None:
        return latest, facts, told, []
    counts = Counter((str(files[n].header.SeriesInstanceUID), day) for n, day in found.earlier.items())
    skipped = [
        SkippedSeries(
            uid, OTHER_VISIT, f"{count} objects are of the visit of {day}, before that of {found.began.date()}"
        )
        for (uid, day), count in counts.items()
    ]
    _, said, of_latest = _of_one_patient(latest, vouched)
    notice = (
        f"the study holds {len(found.days) + 1} visits, of {', '.join(map(str, found.days))} and "
        f"{found.began.date()}: the latest is assessed, {len(found.earlier)} of {len(files)} objects are not used"
    )
    told = {**told, "notices": (notice, *of_latest["notices"])}
    return latest, facts_of_latest(facts, said, found.began), told, skipped


def _without_duplicates(files: Sequence[_File]) -> tuple[list[_File], list[SkippedSeries]]:
    """One file per SOP Instance UID; a UID with two different contents refuses its series."""
    kept: dict[str, _File] = {}
    conflicts: Counter[str] = Counter()
    for file in files:
        uid = str(file.header.SOPInstanceUID)
        if uid not in kept:
            kept[uid] = file
        elif not _same_content(kept[uid].path, file.path):
            conflicts.update({str(kept[uid].header.SeriesInstanceUID), str(file.header.SeriesInstanceUID)})
    message = "instance UIDs are used twice with different content"
    return list(kept.values()), [
        SkippedSeries(uid, "duplicate_sop_instance_uids", f"{count} {message}") for uid, count in conflicts.items()
    ]


def _same_content(one: Path, other: Path) -> bool:
    if _digest(one) == _digest(other):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return bool(dcmread(one) == dcmread(other))  # same elements, other file meta information
    except Exception:  # noqa: BLE001, RUF100 - unreadable means not the same
        return False


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _richest(files: Sequence[_File]) -> Any:
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
    for kind in MEASURED:
        for candidate in rank(series, kind) if kind in kinds else ():
            uid = candidate.header.series_instance_uid
            try:
                volumes[kind] = volume_of(frames[uid], kind, budget)
            except NotAssessable as error:
                skipped.append(SkippedSeries(uid, error.code, error.message))
                continue
            used[kind] = uid
            break
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
