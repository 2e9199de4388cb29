"""A FLAIR that is refused gives way to the next one of its study, and never to one that shows less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pytest

from tests.builders import an_ellipsoid, some_images
from triage import preparation
from triage.errors import NotAssessable
from triage.model import Atlas, Identification, SequenceKind, Series, SeriesHeader, SkippedSeries, StudyImages, Volume
from triage.next_flair import in_turn, is_flair_after_contrast, like_baseline, with_next_flair
from triage.preparation import PreparedBaseline, prepare_baseline
from triage.report.contents import Assessment, Judged, JudgedFrom
from triage.settings import TriageSettings

FLAIR = SequenceKind.FLAIR
FIRST, SECOND, THIRD = (Volume(np.full((2, 2, 2), n, np.float32), np.eye(4)) for n in (1, 2, 3))
REFUSED = "atlas_failed: no human head?"


def unreadable() -> Volume:
    raise NotAssessable("missing_slices", "2 gaps")


def study(*spares: Callable[[], Volume]) -> StudyImages:
    named = tuple((f"9.{n}", read) for n, read in enumerate(spares, start=2))
    return replace(some_images(FIRST), used={FLAIR: "9.1"}, spare_flairs=named)


@pytest.mark.parametrize(
    ("images", "refusal", "used"),
    [
        pytest.param(study(lambda: SECOND), REFUSED, "9.2", id="the next one"),
        pytest.param(study(unreadable, lambda: THIRD), REFUSED, "9.3", id="the next one cannot be read"),
        pytest.param(study(lambda: SECOND), "registration_failed: heavy motion", "9.2", id="not registered"),
        pytest.param(study(lambda: SECOND), None, None, id="noop: not refused"),
        pytest.param(study(lambda: SECOND), "no_baseline: none", None, id="a refusal that is not about the images"),
        pytest.param(study(), REFUSED, None, id="no other FLAIR"),
        pytest.param(study(unreadable), REFUSED, None, id="no other that can be read"),
        pytest.param(replace(some_images(None), spare_flairs=()), "no_flair: none", None, id="not measured: no FLAIR"),
    ],
)
def test_the_next_flair(images: StudyImages, refusal: str | None, used: str | None) -> None:
    following = with_next_flair(images, refusal)
    assert (following.used[FLAIR] if following else None) == used


def test_what_was_passed_over_says_why() -> None:
    following = with_next_flair(study(unreadable, lambda: THIRD), REFUSED)
    assert following is not None
    assert following.volumes[FLAIR] is THIRD
    assert following.skipped == (
        SkippedSeries("9.1", "atlas_failed", "no human head?; the next FLAIR was taken"),
        SkippedSeries("9.2", "missing_slices", "2 gaps"),
    )


@dataclass
class Outcome:
    assessment: Assessment


@dataclass
class Said:
    judged: Judged


NOTHING, ALONE, COMPARED = JudgedFrom.NOTHING, JudgedFrom.SINGLE_SCAN, JudgedFrom.COMPARISON


@pytest.mark.parametrize(
    ("sources", "kept", "calls"),
    [
        pytest.param({"9.1": COMPARED}, "9.1", 1, id="noop"),
        pytest.param({"9.1": NOTHING, "9.2": COMPARED}, "9.2", 2, id="the second is compared"),
        pytest.param({"9.1": ALONE, "9.2": ALONE, "9.3": COMPARED}, "9.3", 3, id="the third is compared"),
        pytest.param({"9.1": ALONE, "9.2": NOTHING, "9.3": NOTHING}, "9.1", 3, id="none is better"),
        pytest.param({"9.1": NOTHING, "9.2": ALONE, "9.3": NOTHING}, "9.2", 3, id="the best of all"),
    ],
)
def test_the_assessment_that_rests_on_most_is_kept(sources: dict[str, JudgedFrom], kept: str, calls: int) -> None:
    seen: list[str] = []

    def assess(images: StudyImages) -> Outcome:
        seen.append(images.used[FLAIR])
        source = sources[seen[-1]]
        judged = Judged(source, None, None if source is COMPARED else REFUSED)
        return Outcome(cast("Assessment", Said(judged)))

    outcome = in_turn(study(lambda: SECOND, lambda: THIRD), assess)
    assert outcome.assessment.judged.source is sources[kept]
    assert (len(seen), kept in seen) == (calls, True)


@pytest.mark.parametrize("placed", ["9.2", None])
def test_a_baseline_is_prepared_by_its_next_flair(placed: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def prepared(images: StudyImages, *_: object) -> PreparedBaseline:
        uid = images.used[FLAIR]
        if uid != placed:
            raise NotAssessable("atlas_failed", f"{uid} does not fit")
        return cast("PreparedBaseline", uid)

    monkeypatch.setattr(preparation, "_prepared", prepared)
    arguments = study(lambda: SECOND), cast("Atlas", None), TriageSettings().preparation
    if placed is None:
        with pytest.raises(NotAssessable, match=r"9\.1 does not fit"):
            prepare_baseline(*arguments)
    else:
        assert cast("str", prepare_baseline(*arguments)) == placed


HEAD = an_ellipsoid()
EMPTY = Volume(np.zeros_like(HEAD.voxels), HEAD.affine)
HALF_EMPTY = Volume(HEAD.voxels * (np.arange(25) % 2)[:, None, None].astype(np.float32), HEAD.affine)
NOISY = an_ellipsoid(noise=60.0)


def of_two(*, used_after: bool, spare_after: bool, spare: Callable[[], Volume] = lambda: HEAD) -> StudyImages:
    """A study with two FLAIRs, before or after contrast."""
    after = {"9.1": used_after, "9.2": spare_after}
    reasons = {
        uid: ("TI 2500 ms", *(["after contrast: a contrast agent is stated"] * late)) for uid, late in after.items()
    }
    series = tuple(Series(SeriesHeader(uid), Identification(FLAIR, 1.0, why)) for uid, why in reasons.items())
    images = study(spare)
    return replace(images, study=replace(images.study, series=series))


@pytest.mark.parametrize(
    ("images", "baseline", "used"),
    [
        pytest.param(of_two(used_after=False, spare_after=True), True, "9.2", id="the baseline is after contrast"),
        pytest.param(of_two(used_after=True, spare_after=False), False, "9.2", id="the baseline is before contrast"),
        pytest.param(of_two(used_after=False, spare_after=True), False, "9.1", id="noop: like with like"),
        pytest.param(of_two(used_after=False, spare_after=False), True, "9.1", id="no other like it"),
        pytest.param(of_two(used_after=False, spare_after=True, spare=unreadable), True, "9.1", id="not measured"),
        pytest.param(of_two(used_after=False, spare_after=True), None, "9.1", id="no baseline"),
        pytest.param(some_images(None), True, None, id="no FLAIR"),
    ],
)
def test_like_is_compared_with_like(images: StudyImages, baseline: bool | None, used: str | None) -> None:
    found = like_baseline(images, baseline)
    assert found.used.get(FLAIR) == used
    if used == "9.2":
        assert is_flair_after_contrast(found) is baseline
        assert [uid for uid, _ in found.spare_flairs] == ["9.1"]
        assert found.spare_flairs[0][1]() is FIRST


def of_three(second: Callable[[], Volume], *skipped: SkippedSeries) -> StudyImages:
    """The FLAIR in use is before contrast, both others are after it."""
    images = of_two(used_after=False, spare_after=True)
    late = Identification(FLAIR, 1.0, ("after contrast: a contrast agent is stated",))
    series = (*images.study.series, Series(SeriesHeader("9.3"), late))
    spares = (("9.2", second), ("9.3", lambda: HEAD))
    return replace(images, study=replace(images.study, series=series), spare_flairs=spares, skipped=skipped)


@pytest.mark.parametrize(
    ("images", "used", "skipped"),
    [
        pytest.param(of_three(lambda: HEAD), "9.2", (), id="noop: a whole image"),
        pytest.param(of_three(lambda: EMPTY), "9.3", (("9.2", "image"),), id="all slices are empty"),
        pytest.param(of_three(lambda: HALF_EMPTY), "9.3", (("9.2", "image"),), id="every other slice is empty"),
        pytest.param(of_three(lambda: NOISY), "9.3", (("9.2", "poor_image"),), id="noisy"),
        pytest.param(of_three(unreadable), "9.3", (("9.2", "missing_slices"),), id="not measured: unreadable"),
        pytest.param(
            of_three(lambda: HEAD, SkippedSeries("9.2", "image", "")), "9.3", (("9.2", "image"),), id="skipped before"
        ),
        pytest.param(
            of_two(used_after=False, spare_after=True, spare=lambda: EMPTY), "9.1", (("9.2", "image"),), id="no other"
        ),
    ],
)
def test_a_flair_like_the_baselines_is_looked_at(
    images: StudyImages, used: str, skipped: tuple[tuple[str, str], ...]
) -> None:
    found = like_baseline(images, after_contrast=True)
    assert found.used[FLAIR] == used
    assert tuple((one.series_instance_uid, one.code) for one in found.skipped) == skipped
    again = like_baseline(found, after_contrast=True)
    assert again.skipped == found.skipped, "nothing is listed twice"
    following = with_next_flair(found, REFUSED)
    uids = [one.series_instance_uid for one in following.skipped] if following else []
    assert len(uids) == len(set(uids)), "nor by the next FLAIR"


@pytest.mark.parametrize(
    ("spares", "used", "passed_over"),
    [
        pytest.param((HEAD, NOISY), "9.2", {}, id="noop: the next one is good"),
        pytest.param((NOISY, HEAD), "9.3", {"9.2": "poor_image"}, id="the next one is noisy"),
        pytest.param((HALF_EMPTY, HEAD), "9.3", {"9.2": "image"}, id="the next one has empty slices"),
        pytest.param((HALF_EMPTY, NOISY), "9.3", {"9.2": "image"}, id="the least doubtful"),
        pytest.param((EMPTY,), "9.2", {}, id="there is no better one"),
    ],
)
def test_the_next_flair_is_looked_at(spares: tuple[Volume, ...], used: str, passed_over: dict[str, str]) -> None:
    following = with_next_flair(study(*((lambda volume=volume: volume) for volume in spares)), REFUSED)
    assert following is not None
    assert following.used[FLAIR] == used
    assert {s.series_instance_uid: s.code for s in following.skipped} == {"9.1": "atlas_failed", **passed_over}
    assert [uid for uid, _ in following.spare_flairs] == [u for u in ("9.2", "9.3")[: len(spares)] if u != used]
