"""The files of one study in, the objects that are its own out, and a word about every other.

No message carries a name, an identifier or a date of birth.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread

from triage.errors import Misconfigured, NotAssessable
from triage.model import SkippedSeries
from workers.identities import StudyFacts, Votes, sort_out
from workers.reading.frames import Frame, frames_of
from workers.reading.limits import LIMIT_CODES, Budget
from workers.reading.patient import stated_facts
from workers.reading.pixels import open_header
from workers.reading.values import text
from workers.reading.visits import OTHER_VISIT, facts_of_latest, visits_of

MOST_REASONS = 3  # are told


@dataclass(frozen=True, eq=False)
class ReadObject:
    """One readable object."""

    path: Path
    header: Any
    frames: list[Frame]

    @property
    def series(self) -> str:
        return str(self.header.SeriesInstanceUID)


@dataclass(frozen=True, eq=False)
class StudyObjects:
    """kept: the objects of the study's patient and latest visit, one for each SOP Instance UID.

    skipped: files and series that cannot be measured as they are. conflicting: series among them of which one
    instance UID has two contents. ignored: all objects that are not in ``kept``, counted by their reason.
    """

    kept: list[ReadObject]
    facts: StudyFacts
    skipped: list[SkippedSeries]
    conflicting: frozenset[str]
    ignored: tuple[SkippedSeries, ...]
    set_aside: tuple[str, ...]
    notices: tuple[str, ...]


def objects_of(
    paths: Iterable[Path], on_file: Callable[[Path], None] | None, vouched: Collection[Path], budget: Budget
) -> StudyObjects:
    """Read the headers, and leave out what is not of the study.

    Raises:
        NotAssessable: no_images, a code of the limits, mixed_patients.
        Misconfigured: the files belong to more than one study.
    """
    files, unread = _read_headers(paths, on_file, budget)
    if not files:
        raise _nothing_read(unread)
    _check_one_study(files)
    own, facts, strays, notices = _of_one_patient(files, vouched)
    single, twice, conflicting = _without_duplicates(own)
    visits = visits_of([file.header for file in single])
    latest = [single[n] for n in visits.latest]
    others: list[SkippedSeries] = []
    if visits.began is not None:
        began = visits.began.date()
        counts = Counter((single[n].series, day) for n, day in visits.earlier.items())
        said = "objects are of the visit of"
        others = [
            SkippedSeries(uid, OTHER_VISIT, f"{count} {said} {day}, before that of {began}", count)
            for (uid, day), count in counts.items()
        ]
        _, of_latest, _, notices = _of_one_patient(latest, vouched)
        facts = facts_of_latest(facts, of_latest, visits.began)
        days = ", ".join(map(str, visits.days))
        what = f"the study holds {len(visits.days) + 1} visits, of {days} and {began}"
        left = f"{len(visits.earlier)} of {len(single)} objects are not used"
        notices = (f"{what}: the latest is assessed, {left}", *notices)
    return StudyObjects(
        kept=latest,
        facts=facts,
        skipped=[*unread, *conflicting, *others],
        conflicting=frozenset(one.series_instance_uid for one in conflicting),
        ignored=(*unread, *_ignored_strays(strays), *twice, *others),
        set_aside=tuple(
            f"{count} of {len(files)} objects carry {why} than the rest of the study; the rest is assessed"
            for why, count in sorted(strays.items())
        ),
        notices=notices,
    )


def _ignored_strays(strays: Counter[str]) -> list[SkippedSeries]:
    return [
        SkippedSeries("", "other_patient", f"{count} objects carry {why}", count)
        for why, count in sorted(strays.items())
    ]


def _read_headers(
    paths: Iterable[Path], on_file: Callable[[Path], None] | None, budget: Budget
) -> tuple[list[ReadObject], list[SkippedSeries]]:
    files: list[ReadObject] = []
    problems: Counter[tuple[str, str]] = Counter()
    for path in paths:
        try:
            files.append(read_object(path, budget))
        except NotAssessable as error:
            problems[error.code, error.message] += 1
        if on_file is not None:
            on_file(path)
    return files, [
        SkippedSeries("", code, f"{count} files: {message}", count) for (code, message), count in problems.items()
    ]


def read_object(path: Path, budget: Budget | None = None) -> ReadObject:
    """One file.

    Raises:
        NotAssessable, Transient: see workers.reading.pixels.open_header; incomplete_header.
    """
    header, pixels = open_header(path, budget)
    if not all(text(header, k) for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")):
        raise NotAssessable("incomplete_header", "a study, series or instance UID is missing")
    try:
        frames = frames_of(header, pixels) if header.get("Rows") is not None else []
    except Exception as error:  # the last resort: one malformed file must not lose the study
        raise NotAssessable("incomplete_header", f"the header is malformed ({type(error).__name__})") from None
    return ReadObject(path, header, frames)


def _nothing_read(skipped: Sequence[SkippedSeries]) -> NotAssessable:
    for one in skipped:
        if one.code in LIMIT_CODES:
            return NotAssessable(one.code, one.message)
    said = "; ".join(one.message for one in skipped[:MOST_REASONS]) or "there is no file"
    return NotAssessable("no_images", f"none of the files is a readable DICOM object: {said}")


def _check_one_study(files: Sequence[ReadObject]) -> None:
    counts = Counter(str(f.header.StudyInstanceUID) for f in files)
    if len(counts) > 1:
        listed = " and ".join(f"{count} files" for count in sorted(counts.values(), reverse=True))
        raise Misconfigured(f"the files belong to {len(counts)} studies ({listed}); give one study at a time")


def _of_one_patient(
    files: Sequence[ReadObject], vouched: Collection[Path]
) -> tuple[list[ReadObject], StudyFacts, Counter[str], tuple[str, ...]]:
    """The files of the study's patient, what they say together, how many are not theirs and why, and what they
    disagree on."""
    said = [stated_facts(f.header) for f in files]
    votes = [Votes(one, 1, max(1, len(f.frames))) for one, f in zip(said, files, strict=True)]
    found = sort_out(votes, {number for number, f in enumerate(files) if f.path in vouched})
    if not found.clear:
        ids = {one.patient_id for one in said if one.patient_id}
        births = {one.birth_date for one in said if one.birth_date}
        what = f"{len(ids)} patient IDs" if len(ids) > 1 else f"{len(births)} birth dates"
        raise NotAssessable("mixed_patients", f"one study carries {what}")
    notices = tuple(f"the objects of the study disagree on the {name}" for name in found.disagreements)
    own = [f for number, f in enumerate(files) if number not in found.strays]
    return own, found.facts, Counter(found.strays.values()), notices


def _without_duplicates(
    files: Sequence[ReadObject],
) -> tuple[list[ReadObject], list[SkippedSeries], list[SkippedSeries]]:
    """One file per SOP Instance UID, and the others; a UID with two different contents refuses its series."""
    kept: dict[str, ReadObject] = {}
    conflicts: Counter[str] = Counter()
    for file in files:
        uid = str(file.header.SOPInstanceUID)
        if uid not in kept:
            kept[uid] = file
        elif not _same_content(kept[uid].path, file.path):
            conflicts.update({kept[uid].series, file.series})
    count = len(files) - len(kept)
    said = "objects have the instance UID of another object"
    twice = [SkippedSeries("", "duplicate", f"{count} {said}", count)] if count else []
    message = "instance UIDs are used twice with different content"
    return (
        list(kept.values()),
        twice,
        [SkippedSeries(uid, "duplicate_sop_instance_uids", f"{n} {message}") for uid, n in conflicts.items()],
    )


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
