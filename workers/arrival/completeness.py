"""What has arrived of a study in, whether it is ready for its first look out, with the rule that said so. Pure: how
long nothing came is a fact like the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise

from triage.model import SequenceKind
from workers.announcements import StudyCount
from workers.settings import ArrivalSettings

# A brain needs about 130 mm; fewer than this and a sender that paused in the middle would look finished.
LEAST_COVERAGE_MM = 100.0
# Fewer slices have no step to compare, so nothing in their headers can say that a series is complete.
FEWEST_SLICES = 3
# Steps between neighbouring slices may differ by this share (rounded positions); a missing slice doubles the step.
STEP_TOLERANCE = 0.5
# Fewer images of a series that is measured are not all of it.
FEWEST_MEASURED = 10
_MEASURED = frozenset(SequenceKind(kind) for kind in ("flair", "t1", "t1_gd", "t2", "dwi", "adc"))
# A silence this many times as long as the longest pause of the sender so far is no pause of it.
PACE = 4.0
# However fast a sender is, its disk or ours may pause for so long.
LEAST_SILENCE_S = 0.1


@dataclass(frozen=True)
class SeriesFacts:
    """What is known of one arriving series. Times are UTC.

    kind: None while no header of it was read.
    expected: (0020,1002) ImagesInAcquisition when all its instances agree on one number, else None.
    gap_free: slices lie at even steps; None when not measured. coverage_mm: distance of the outermost slices.
    quiet_s: since its last image, see workers.arrival.quiet; received times are not compared with a clock.
    longest_pause_s: between two of its images.
    """

    series_instance_uid: str
    kind: SequenceKind | None
    instances: int
    first_received_at: datetime
    last_received_at: datetime
    expected: int | None = None
    gap_free: bool | None = None
    coverage_mm: float | None = None
    quiet_s: float = 0.0
    longest_pause_s: float = 0.0


@dataclass(frozen=True)
class Progress:
    """How far the node already went with the study.

    seen: series UID -> number of its images when the study was last marked ready.
    taken_up: some decision is stored, or a worker holds a live lease.
    """

    seen: Mapping[str, int] = field(default_factory=dict)
    taken_up: bool = False


@dataclass(frozen=True)
class Readiness:
    """Whether a study is ready for its first look, and the rule that said so."""

    ready: bool
    rule: str
    reason: str


def decide(
    series: Sequence[SeriesFacts],
    *,
    progress: Progress,
    settings: ArrivalSettings,
    announced: StudyCount = StudyCount(),  # noqa: B008 - frozen
) -> Readiness:
    """Ready when all announced images are here, when a FLAIR series is complete that no worker has looked at, or when
    nothing came for the quiet period; for less than that when the sender never paused for long before.

    Args:
        announced: what procedure steps and availability notices said.
    """
    if not series:
        return Readiness(False, "empty", "no instance is stored")
    if announced.complete:
        return Readiness(True, "announced", f"all {announced.announced} announced images")
    series = [_with_announced(facts, announced) for facts in series]
    if min(facts.quiet_s for facts in series) >= settings.quiet_period_s:
        return Readiness(True, "quiet_period", f"no new image for {settings.quiet_period_s:g} s")
    if not announced.series and (settled := _settled(series, settings)) is not None:
        return settled
    flairs = [facts for facts in series if facts.kind is SequenceKind.FLAIR]
    found = [_flair(facts, series, settings) for facts in flairs if not _already_seen(facts, progress)]
    waiting = Readiness(False, "waiting", "no unseen FLAIR series; waiting for the quiet period")
    return next((one for one in found if one.ready), found[0] if found else waiting)


def _with_announced(facts: SeriesFacts, announced: StudyCount) -> SeriesFacts:
    """What the scanner says when it has finished is more certain than what it wrote into the images."""
    if not announced.closed:
        return facts
    said = {one.series_instance_uid: one.announced for one in announced.series}
    return replace(facts, expected=said.get(facts.series_instance_uid, facts.expected))


def _already_seen(flair: SeriesFacts, progress: Progress) -> bool:
    """Marked ready with all these images, and taken up: then what arrives since (T1, DWI) waits until it is all
    there."""
    return progress.taken_up and progress.seen.get(flair.series_instance_uid) == flair.instances


def _flair(flair: SeriesFacts, series: Sequence[SeriesFacts], settings: ArrivalSettings) -> Readiness:
    if flair.expected is not None and flair.instances <= flair.expected:
        # A number that was announced and not reached means more is coming: pauses of the sender do not count then.
        ready = flair.instances == flair.expected
        return Readiness(
            ready, "flair_count" if ready else "waiting", f"{flair.instances} of {flair.expected} FLAIR images"
        )
    if not flair.gap_free:
        return Readiness(
            False, "waiting", "FLAIR slices have gaps" if flair.gap_free is False else "FLAIR geometry unknown"
        )
    if (flair.coverage_mm or 0.0) < LEAST_COVERAGE_MM:
        return Readiness(
            False, "waiting", f"FLAIR covers {flair.coverage_mm or 0.0:.0f} mm of at least {LEAST_COVERAGE_MM:.0f} mm"
        )
    if flair.quiet_s >= settings.flair_settle_s:
        return Readiness(True, "flair_settled", f"gap-free FLAIR and none for {settings.flair_settle_s:g} s")
    if flair.quiet_s >= _enough_s(flair, series, settings):
        return Readiness(True, "flair_followed", "gap-free FLAIR and a later series has begun")
    return Readiness(False, "waiting", "FLAIR gap-free; more may come")


def _settled(series: Sequence[SeriesFacts], settings: ArrivalSettings) -> Readiness | None:
    """Several series came one right after another, and then nothing. One series alone says nothing of the pauses
    between series: a scanner sends each when it is made."""
    known = [facts for facts in series if facts.kind is not None]
    counted = all(facts.expected is None or facts.instances >= facts.expected for facts in series)
    begun = any(_has_begun(facts) for facts in known)
    flair = any(_is_whole(facts) for facts in known if facts.kind is SequenceKind.FLAIR)
    if len(known) < 2 or not counted or begun or not flair:
        return None
    pause = longest_pause_s(series)
    quiet, enough = min(facts.quiet_s for facts in series), max(settings.study_settle_s, PACE * pause)
    if quiet < enough:
        return None
    return Readiness(True, "settled", f"{len(series)} series within pauses of {pause:.1f} s, none for {enough:.1f} s")


def _has_begun(facts: SeriesFacts) -> bool:
    """Whether there is too little of a series for it to be all. A multi-frame object is a whole series."""
    return facts.kind in _MEASURED and facts.coverage_mm is None and 1 < facts.instances < FEWEST_MEASURED


def _is_whole(flair: SeriesFacts) -> bool:
    return bool(flair.gap_free) and (flair.coverage_mm or 0.0) >= LEAST_COVERAGE_MM


def longest_pause_s(series: Sequence[SeriesFacts]) -> float:
    """Between two images of a study, as they were received."""
    in_turn = sorted(series, key=lambda facts: facts.first_received_at)
    until, longest = in_turn[0].last_received_at, max(facts.longest_pause_s for facts in series)
    for facts in in_turn[1:]:
        longest = max(longest, (facts.first_received_at - until).total_seconds())
        until = max(until, facts.last_received_at)
    return longest


def _enough_s(flair: SeriesFacts, series: Sequence[SeriesFacts], settings: ArrivalSettings) -> float:
    """How long no image of a FLAIR must have come, by how far the sender went on to another series.

    It is never 0: associations may run side by side.
    """
    later = [
        other.instances
        for other in series
        if other.series_instance_uid != flair.series_instance_uid and other.first_received_at >= flair.last_received_at
    ]
    if not later:
        return settings.flair_settle_s
    half = settings.flair_settle_s / 2
    return min(half, max(LEAST_SILENCE_S, PACE * flair.longest_pause_s)) if max(later) >= FEWEST_MEASURED else half


def gap_free(positions_mm: Sequence[float]) -> bool | None:
    """Whether slices at these positions along their normal lie at even steps. None: fewer than three places, nothing
    to compare.

    Two images at one place (two echoes, a repeated slice) count once.
    """
    places = sorted(positions_mm)
    steps = [b - a for a, b in pairwise(places) if b - a > 1e-3]
    if len(steps) < FEWEST_SLICES - 1:
        return None
    typical = sorted(steps)[len(steps) // 2]
    return all(abs(step - typical) <= STEP_TOLERANCE * typical for step in steps)
