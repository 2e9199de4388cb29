"""Compares the images that came with those that MPPS, availability notices or a PACS announced. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

WHOLE_STUDY = ""  # in place of a series UID: the number is that of the whole study


class Source(StrEnum):
    """Who said it. A PACS that is asked counts what it has now; the others say what there will be."""

    MPPS = "mpps"
    AVAILABILITY = "ian"
    QUERY = "query"


class Step(StrEnum):
    """How far the announced work is. An availability notice is COMPLETED by its nature, a query is never."""

    IN_PROGRESS = "in progress"
    COMPLETED = "completed"
    DISCONTINUED = "discontinued"


@dataclass(frozen=True)
class Announcement:
    """One message about one study.

    uid: SOP Instance UID of the message (of a query: the study's). images: series UID -> number of images.
    """

    source: Source
    uid: str
    study_instance_uid: str
    step: Step
    images: Mapping[str, int]


@dataclass(frozen=True)
class SeriesCount:
    """Images of one series: what came, and what was announced."""

    series_instance_uid: str
    received: int
    announced: int


@dataclass(frozen=True)
class StudyCount:
    """series: those that were announced. closed: everything announced has been made, no step is in progress."""

    series: tuple[SeriesCount, ...] = ()
    closed: bool = False

    @property
    def announced(self) -> int:
        return sum(one.announced for one in self.series)

    @property
    def received(self) -> int:
        """Of the announced images; one too many in one series does not make up for one missing in another."""
        return sum(min(one.received, one.announced) for one in self.series)

    @property
    def missing(self) -> int:
        return self.announced - self.received

    @property
    def complete(self) -> bool:
        """Every image that will ever be made has come."""
        return self.closed and bool(self.series) and not self.missing


def count(announcements: Iterable[Announcement], received: Mapping[str, int]) -> StudyCount:
    """Merge what was said about one study: of several numbers for a series the largest.

    Args:
        announcements: all about one study.
        received: series UID -> number of instances that came.
    """
    said = tuple(announcements)
    images: dict[str, int] = {}
    for one in said:
        for uid, number in one.images.items():
            images[uid] = max(images.get(uid, 0), number)
    whole = images.pop(WHOLE_STUDY, 0)
    if whole > sum(images.values()):
        images = {WHOLE_STUDY: whole}
    total = sum(received.values())
    series = tuple(
        SeriesCount(uid, total if uid == WHOLE_STUDY else received.get(uid, 0), number)
        for uid, number in sorted(images.items())
        if number > 0
    )
    steps = [one.step for one in said if one.source is not Source.QUERY]
    return StudyCount(series, closed=bool(steps) and Step.IN_PROGRESS not in steps)


def sentence(found: StudyCount) -> str | None:
    """What a reader must know about missing images; None when nothing is known to be missing."""
    if not found.missing:
        return None
    never = sum(1 for one in found.series if not one.received and one.series_instance_uid != WHOLE_STUDY)
    text = f"processed on {found.received} of {found.announced} images that were announced"
    if never:
        text += f"; {never} announced series did not arrive" if never > 1 else "; one announced series did not arrive"
    return text


def from_counts(
    source: Source, uid: str, study_instance_uid: str, step: Step, series: Sequence[tuple[str, int]]
) -> Announcement:
    """An announcement whose series may be named more than once: their numbers add up."""
    images: dict[str, int] = {}
    for series_uid, number in series:
        images[series_uid] = images.get(series_uid, 0) + number
    return Announcement(source, uid, study_instance_uid, step, images)
