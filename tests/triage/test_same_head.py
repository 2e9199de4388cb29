"""Of several FLAIR series that is measured which shows the head of the study's other series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.builders import some_images
from tests.triage.alignment.test_session import dark_for_bright, head, stretched
from triage.alignment.session import align
from triage.errors import NotAssessable
from triage.model import SequenceKind, StudyImages, Volume
from triage.preparation import aligned
from triage.same_head import OTHER_HEAD, with_flair_of_this_head

FLAIR, T1, T2 = SequenceKind.FLAIR, SequenceKind.T1, SequenceKind.T2
OWN, ANOTHER, THIRD = head(), stretched(head(whose=8)), stretched(head(whose=9))
OWN_T1 = dark_for_bright(OWN)


def unreadable() -> Volume:
    raise NotAssessable("missing_slices", "2 gaps")


def study(flair: Volume, *spares: Callable[[], Volume], **others: Volume) -> StudyImages:
    named = tuple((f"9.{n}", read) for n, read in enumerate(spares, start=2))
    volumes = {FLAIR: flair, **{SequenceKind(kind): volume for kind, volume in others.items()}}
    return replace(some_images(flair), volumes=volumes, used={FLAIR: "9.1"}, spare_flairs=named)


@pytest.mark.parametrize(
    ("images", "used"),
    [
        pytest.param(study(ANOTHER, lambda: OWN, t1=OWN_T1), "9.2", id="the first is of another head"),
        pytest.param(study(ANOTHER, lambda: THIRD, lambda: OWN, t1=OWN_T1), "9.3", id="the first two are"),
        pytest.param(study(ANOTHER, unreadable, lambda: OWN, t1=OWN_T1), "9.3", id="one cannot be read"),
        pytest.param(study(OWN, lambda: ANOTHER, t1=OWN_T1), "9.1", id="noop: the first is of this head"),
        pytest.param(study(OWN, lambda: ANOTHER, t1=OWN_T1, t2=THIRD), "9.1", id="noop: the T1 lies on it"),
        pytest.param(study(OWN, lambda: OWN, t1=ANOTHER), "9.1", id="noop: the T1 is of another head"),
        pytest.param(
            study(ANOTHER, lambda: OWN, t1=OWN_T1, t2=dark_for_bright(ANOTHER)), "9.1", id="noop: a T2 lies on it"
        ),
        pytest.param(study(ANOTHER, lambda: OWN), "9.1", id="not measured: no T1 and no T2"),
        pytest.param(study(ANOTHER, t1=OWN_T1), "9.1", id="not measured: no other FLAIR"),
    ],
)
def test_the_flair_of_this_head(images: StudyImages, used: str) -> None:
    found = with_flair_of_this_head(images, align(images))
    assert found.used[FLAIR] == used
    assert (found is images) == (used == "9.1")


def test_what_was_left_out_is_set_aside_and_named() -> None:
    images, session = aligned(study(ANOTHER, lambda: OWN, t1=OWN_T1))
    assert images.volumes[FLAIR] is OWN
    assert set(session.to_anchor) == {FLAIR, T1}
    (skipped,) = images.skipped
    assert (skipped.series_instance_uid, skipped.code) == ("9.1", OTHER_HEAD)
    assert "the t1 of the study show another head" in images.set_aside[0]


def test_a_study_without_a_flair() -> None:
    with pytest.raises(NotAssessable, match="no_flair"):
        aligned(some_images(None))
