"""DICOM files in, one study's identified series and chosen volumes out. Reads files; decides nothing about the patient.

Pixels are read only for the series that are measured. No message or exception text carries a name, an identifier or a
date of birth.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydicom import Dataset

from triage.errors import NotAssessable
from triage.model import Identification, SequenceKind, Series, SeriesHeader, SkippedSeries, Study, StudyImages, Volume
from triage.sequences.choose import rank
from triage.sequences.facts import is_alike, timing
from triage.sequences.identify import identify_study
from triage.sequences.image import DOUBTS, doubts_about, flair_doubts
from workers.reading.acquisition import acquired_on, acquisition_of
from workers.reading.diffusion import beside_the_dwi, map_instead, maps_among, weighted_first
from workers.reading.frames import Frame
from workers.reading.joining import refused_whole
from workers.reading.limits import Budget
from workers.reading.looking import check_shown, decided_by_image
from workers.reading.members import as_measured, counts_of
from workers.reading.objects import ReadObject, StudyObjects, objects_of
from workers.reading.patient import stated_ages, study_without_series
from workers.reading.pixels import open_header
from workers.reading.series import on_one_clock, series_header
from workers.reading.splitting import header_of_part
from workers.reading.stray_frames import LeftOut
from workers.reading.values import text
from workers.reading.volume import volume_of

DIFFUSION_KINDS = (SequenceKind.DWI, SequenceKind.ADC)
# tried when the FLAIR in use is refused; each try costs seconds
SPARE_FLAIRS = 8
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


def series_uid_of(path: Path) -> str:
    """The Series Instance UID of one file; "" when it states none or cannot be read."""
    try:
        return text(read_header(path), "SeriesInstanceUID")
    except NotAssessable:
        return ""


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
    measured = as_measured(found.kept, vouched, budget)
    groups, scans = measured.groups, measured.scans
    mixed = [*refused_whole(groups), *scans.refused]
    refused = found.conflicting | {s.series_instance_uid for s in mixed}
    frames = {uid: [frame for f in group for frame in f.frames] for uid, group in groups.items()}
    series = decided_by_image(_identified(groups, frames), frames, refused, budget)
    study = _study_of(found, series)
    usable = [s for s in series if s.header.series_instance_uid not in refused]
    loaded = _load(usable, frames, MEASURED if kinds is None else kinds, budget)
    volumes, used = loaded.volumes, loaded.used
    study = replace(study, series=tuple(loaded.maps.get(s.header.series_instance_uid, s) for s in series))
    dwi_b0, diffusion, no_b0 = beside_the_dwi(usable, frames, volumes, used, budget)
    if compared:
        study = _with_acquisition(study, used.get(SequenceKind.FLAIR) or _best_flair(usable), groups, frames)
    skipped = (*found.skipped, *mixed, *loaded.skipped, *no_b0)
    notices = (*found.notices, *measured.notices, *loaded.notices, *_unlike_pair(usable, used))
    spares = _spare_flairs(usable, frames, used, loaded.skipped, budget)
    said = (*found.set_aside, *scans.said, *loaded.strays), notices, (*found.ignored, *scans.strays)
    return _with_doubts(StudyImages(study, volumes, used, skipped, dwi_b0, diffusion, *said, spares))


def _unlike_pair(series: Sequence[Series], used: Mapping[SequenceKind, str]) -> tuple[str, ...]:
    """What a reader should know of enhancement that is measured on two kinds of T1."""
    headers = {one.header.series_instance_uid: one.header for one in series}
    pair = [headers[used[kind]] for kind in (SequenceKind.T1, SequenceKind.T1_GD) if used.get(kind) in headers]
    if len(pair) < 2 or is_alike(*pair):
        return ()
    return (f"t1_gd: acquired otherwise than the T1 before contrast ({timing(pair[1])} against {timing(pair[0])})",)


def _with_doubts(images: StudyImages) -> StudyImages:
    return replace(images, doubts=flair_doubts(images.volumes.get(SequenceKind.FLAIR)))


def _study_of(found: StudyObjects, series: tuple[Series, ...]) -> Study:
    study = study_without_series(_richest(found.kept), found.facts)
    return replace(study, series=series, stated_ages=stated_ages(one.header for one in found.kept))


def _spare_flairs(
    series: Sequence[Series],
    frames: Mapping[str, list[Frame]],
    used: Mapping[SequenceKind, str],
    failed: Sequence[SkippedSeries],
    budget: Budget,
) -> tuple[tuple[str, Callable[[], Volume]], ...]:
    """The other FLAIR series, best first, doubtful images last. They are read only when the one in use
    is refused."""
    if SequenceKind.FLAIR not in used:
        return ()
    codes = {s.series_instance_uid: s.code for s in failed}
    others = [s.header.series_instance_uid for s in rank(series, SequenceKind.FLAIR)]
    wanted = [uid for uid in others if uid != used[SequenceKind.FLAIR] and codes.get(uid, "") in DOUBTS]
    wanted.sort(key=lambda uid: DOUBTS.index(codes.get(uid, "")))
    return tuple((uid, partial(volume_of, frames[uid], SequenceKind.FLAIR, budget)) for uid in wanted[:SPARE_FLAIRS])


def _identified(groups: Mapping[str, list[ReadObject]], frames: Mapping[str, list[Frame]]) -> tuple[Series, ...]:
    headers, counts = [], counts_of(groups)
    for uid, group in groups.items():
        header = series_header([one.header for one in group], [one.frames for one in group])
        headers.append(replace(header, instance_count=counts[uid]))
    headers = on_one_clock(headers, ([one.header for one in group] for group in groups.values()))
    of_one_uid: dict[str, list[SeriesHeader]] = defaultdict(list)
    for header in headers:
        of_one_uid[header.series_instance_uid].append(header)
    found = [
        replace(header_of_part(h, frames[uid], of_one_uid[h.series_instance_uid]), series_instance_uid=uid)
        for uid, h in zip(groups, headers, strict=True)
    ]
    kinds = identify_study(found)
    return tuple(Series(h, _said_of_part(kind, h, groups)) for h, kind in zip(found, kinds, strict=True))


def _said_of_part(
    found: Identification, header: SeriesHeader, groups: Mapping[str, list[ReadObject]]
) -> Identification:
    """With the UID that the images state, where the one by which a part is called stands in no image."""
    stated = {one.series for one in groups[header.series_instance_uid]}
    if header.series_instance_uid in stated:
        return found
    said = f"a part of the series {min(stated)}, which holds several: its images state that UID"
    return replace(found, reasons=(*found.reasons, said))


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
    """The header that says most of the study: objects made later (SR, derived maps) may leave it out."""
    return min(
        (f.header for f in files),
        key=lambda h: (
            not text(h, "StudyDate"), not text(h, "PatientID"), text(h, "Modality") != "MR", text(h, "SOPInstanceUID"),
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class _Loaded:
    """volumes, used: of each kind. skipped: why series were not taken. notices: what was left out of those taken.
    strays: the same of what seems to be of another head. maps: series that are ADC maps by their values, by UID."""

    volumes: dict[SequenceKind, Volume] = field(default_factory=dict)
    used: dict[SequenceKind, str] = field(default_factory=dict)
    skipped: list[SkippedSeries] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    maps: dict[str, Series] = field(default_factory=dict)


def _load(
    series: Sequence[Series], frames: dict[str, list[Frame]], kinds: Collection[SequenceKind], budget: Budget
) -> _Loaded:
    found = _Loaded()
    for kind in MEASURED:
        if kind in kinds:
            _load_kind(kind, series, frames, budget, found)
    return found


def _load_kind(
    kind: SequenceKind, series: Sequence[Series], frames: dict[str, list[Frame]], budget: Budget, found: _Loaded
) -> None:
    doubted: list[SkippedSeries] = []
    least, alone = 0, sum(one.identification.kind is kind for one in series) == 1
    for candidate in _candidates(kind, series, frames, budget, found):
        uid = candidate.header.series_instance_uid
        left_out = LeftOut()
        try:
            volume = volume_of(frames[uid], kind, budget, left_out)
            check_shown(candidate, volume)
            as_map = map_instead(candidate, volume) if kind is SequenceKind.DWI else None
        except NotAssessable as error:
            found.skipped.append(SkippedSeries(uid, error.code, error.message))
            continue
        if as_map is not None:
            found.maps[uid] = as_map
            continue
        doubt, why = doubts_about(volume, alone=alone, diffusion=kind in DIFFUSION_KINDS)
        if kind not in found.volumes or doubt < least:
            found.volumes[kind], found.used[kind], least = volume, uid, doubt
            _replace(found.notices, kind, left_out.said)
            _replace(found.strays, kind, left_out.strays)
        if not doubt:
            break
        doubted.append(SkippedSeries(uid, DOUBTS[doubt], f"passed over: {'; '.join(why)}"))
    found.skipped.extend(one for one in doubted if found.used[kind] != one.series_instance_uid)


def _replace(said: list[str], kind: SequenceKind, now: Sequence[str]) -> None:
    """What is said about the series of a kind, for what was said about the one before."""
    said[:] = [one for one in said if not one.startswith(f"{kind.value}: ")]
    said.extend(f"{kind.value}: {one}" for one in dict.fromkeys(now))


def _candidates(
    kind: SequenceKind, series: Sequence[Series], frames: dict[str, list[Frame]], budget: Budget, found: _Loaded
) -> Iterator[Series]:
    """The series of a kind, best first; after the ADC maps those that are maps by their values alone."""
    if kind is not SequenceKind.ADC:
        yield from weighted_first(series) if kind is SequenceKind.DWI else rank(series, kind)
        return
    yield from rank(series, kind)
    yield from tuple(found.maps.values())
    known = {*found.maps, *found.used.values(), *(skipped.series_instance_uid for skipped in found.skipped)}
    others = maps_among([s for s in series if s.header.series_instance_uid not in known], frames, budget)
    found.maps.update({s.header.series_instance_uid: s for s in others})
    yield from others
