"""A study whose FLAIR was refused in; the same study with its next FLAIR out, and the better of the assessments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from triage.errors import NotAssessable
from triage.model import SequenceKind, SkippedSeries, StudyImages, Volume
from triage.report.contents import Assessment, JudgedFrom
from triage.sequences.identify import is_after_contrast
from triage.sequences.image import DOUBTS, doubts_about, flair_doubts

# Refusals that another FLAIR of the same session may not meet: they are about the images, not about the study
_OF_THE_IMAGES = (
    "atlas_failed", "coverage", "registration_failed", "geometry", "contrast", "no_reference_tissue",
)  # fmt: skip
# What an assessment rests on, the least first
_RANK = (JudgedFrom.NOTHING, JudgedFrom.DIFFUSION, JudgedFrom.SINGLE_SCAN, JudgedFrom.COURSE, JudgedFrom.COMPARISON)


def with_next_flair(images: StudyImages, refusal: str | None) -> StudyImages | None:
    """The study measured by its next FLAIR; None: there is no other, or another would not help.

    The next one without a fault in its image is taken, else the least doubtful. The refused one is listed among
    ``skipped`` with the reason, and so are those that cannot be read or are passed over.

    Args:
        refusal: reason code and sentence.
    """
    code, _, message = (refusal or "").partition(": ")
    if code not in _OF_THE_IMAGES or SequenceKind.FLAIR not in images.used:
        return None
    tried = _tried(images.spare_flairs)
    usable = [(one, one.flair) for one in tried if one.flair is not None]
    if not usable:
        return None
    best, flair = min(usable, key=lambda one: one[0].doubt)  # of equals the first
    said = {one.uid: SkippedSeries(one.uid, one.code, one.why) for one in tried if one is not best and one.code}
    known = tuple(one for one in images.skipped if one.series_instance_uid not in (best.uid, *said))
    gone = {best.uid, *(one.uid for one in tried if one.flair is None)}
    return replace(
        images,
        volumes={**images.volumes, SequenceKind.FLAIR: flair},
        used={**images.used, SequenceKind.FLAIR: best.uid},
        skipped=(*known, _passed_over(images.used[SequenceKind.FLAIR], code, message), *said.values()),
        spare_flairs=tuple(one for one in images.spare_flairs if one[0] not in gone),
        doubts=flair_doubts(flair),
    )


@dataclass(frozen=True)
class _Tried:
    """A FLAIR that was looked at. flair: None when it cannot be read. code, why: of what is wrong with it, or empty."""

    uid: str
    flair: Volume | None
    doubt: int
    code: str
    why: str


def _tried(spares: Sequence[tuple[str, Callable[[], Volume]]]) -> list[_Tried]:
    """The spare FLAIRs in their order, until one has no fault."""
    found = []
    for uid, read in spares:
        found.append(_try(uid, read))
        if found[-1].flair is not None and not found[-1].doubt:
            break
    return found


def _try(uid: str, read: Callable[[], Volume]) -> _Tried:
    try:
        flair = read()
    except NotAssessable as unreadable:
        return _Tried(uid, None, len(DOUBTS), unreadable.code, unreadable.message)
    doubt, why = doubts_about(flair, alone=False)
    return _Tried(uid, flair, doubt, DOUBTS[doubt], f"passed over: {'; '.join(why)}" if doubt else "")


def is_flair_after_contrast(images: StudyImages) -> bool:
    """Whether the FLAIR in use was acquired after a contrast agent, as far as the headers tell."""
    return images.used.get(SequenceKind.FLAIR) in _after_contrast(images)


def _after_contrast(images: StudyImages) -> set[str]:
    return {s.header.series_instance_uid for s in images.study.series if is_after_contrast(s.identification)}


def like_baseline(images: StudyImages, after_contrast: bool | None) -> StudyImages:
    """The study measured by a FLAIR of the same side of the injection as the baseline's; as it is without one.

    An image with a fault, or poor, is worse than the other contrast: it is not taken, and listed among ``skipped``.
    What is listed there already is not read.

    Args:
        after_contrast: of the baseline's FLAIR; None: there is no baseline.
    """
    if after_contrast is None or SequenceKind.FLAIR not in images.used:
        return images
    if is_flair_after_contrast(images) == after_contrast:
        return images
    own = images.used[SequenceKind.FLAIR]
    volume = images.volumes[SequenceKind.FLAIR]
    after, known = _after_contrast(images), {one.series_instance_uid for one in images.skipped}
    skipped = list(images.skipped)
    for uid, read in images.spare_flairs:
        if (uid in after) != after_contrast or uid in known:
            continue
        looked_at = _try(uid, read)
        flair = looked_at.flair
        if flair is None or looked_at.doubt:
            skipped.append(SkippedSeries(uid, looked_at.code, looked_at.why))
            continue
        return replace(
            images,
            volumes={**images.volumes, SequenceKind.FLAIR: flair},
            doubts=flair_doubts(flair),
            used={**images.used, SequenceKind.FLAIR: uid},
            skipped=tuple(skipped),
            spare_flairs=((own, lambda: volume), *(one for one in images.spare_flairs if one[0] != uid)),
            notices=(*images.notices, "of two FLAIRs the one like the baseline's was taken, by contrast agent"),
        )
    return replace(images, skipped=tuple(skipped))


def _passed_over(uid: str, code: str, message: str) -> SkippedSeries:
    return SkippedSeries(uid, code, f"{message}; the next FLAIR was taken")


class _Outcome(Protocol):
    """What an assessment gives: itself, and what shows it."""

    @property
    def assessment(self) -> Assessment: ...


OutcomeT = TypeVar("OutcomeT", bound=_Outcome)


def in_turn(images: StudyImages, assess: Callable[[StudyImages], OutcomeT]) -> OutcomeT:
    """The assessment by the FLAIR in use; when it is refused, by the next one. Of two the one that judges more is kept,
    else the first."""
    best = tried = assess(images)
    following = with_next_flair(images, tried.assessment.judged.refusal)
    while following is not None:
        tried = assess(following)
        best = tried if _rank(tried) > _rank(best) else best
        following = with_next_flair(following, tried.assessment.judged.refusal)
    return best


def _rank(outcome: _Outcome) -> int:
    return _RANK.index(outcome.assessment.judged.source)
