"""The search for series that make a result worse: what counts as worse, and what the series added are read as."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

import atlas as package
from bench.combinations import CATEGORIES, Head, assessed, prepared, the_head, worse, write_study
from tests.builders import a_finding
from triage.assessment import Assessed, first_look
from triage.model import Atlas, Category, Decision, Finding, Presence, Priority, StudyImages
from triage.preparation import PreparedBaseline
from triage.report.contents import Assessment, JudgedFrom

World = tuple[Atlas, Head, PreparedBaseline]


@pytest.fixture(scope="module")
def world() -> World:
    atlas = package.load()
    head = the_head(atlas)
    return atlas, head, prepared(head)


@dataclass
class Said:
    decision: Decision
    findings: tuple[Finding, ...]


def an_assessment(category: Category, priority: Priority, *judged: str) -> Assessment:
    findings = tuple(
        a_finding(pattern, presence=Presence.ABSENT if pattern in judged else Presence.INDETERMINATE)
        for pattern in "ABCD"
    )
    return cast("Assessment", Said(Decision(category, priority, ()), findings))


NOTHING = an_assessment(Category.NO_PATTERN, Priority.UNCHANGED, "A", "B")


@pytest.mark.parametrize(
    ("after", "says"),
    [
        pytest.param(NOTHING, [], id="noop"),
        pytest.param(an_assessment(Category.POSSIBLE, Priority.P3, "A", "B", "C"), [], id="more is not worse"),
        pytest.param(an_assessment(Category.NOT_ASSESSABLE, Priority.UNCHANGED, "A", "B"), ["category"], id="category"),
        pytest.param(
            an_assessment(Category.NO_PATTERN, Priority.UNCHANGED, "A"), ["no longer judged: B"], id="a pattern"
        ),
    ],
)
def test_what_counts_as_worse(after: Assessment, says: list[str]) -> None:
    found = worse(NOTHING, after)
    assert len(found) == len(says)
    assert all(said.startswith(begin) for said, begin in zip(found, says, strict=True))


def test_a_lower_priority_is_worse() -> None:
    found = worse(*(an_assessment(Category.POSSIBLE, p) for p in (Priority.P2, Priority.P3)))
    assert found == ["priority P2 became P3"]
    assert set(CATEGORIES) == set(Category)


def test_hostile_series_take_nothing_away(tmp_path: Path, world: World) -> None:
    """The FLAIR of another head comes last, as a repeat would, and is taken first."""
    atlas, head, baseline = world
    paths = write_study(tmp_path, head, "swollen thalami", ["a copy with blank slices", "a FLAIR of another head"])
    after = assessed(paths, baseline, atlas, look=first_look)
    assert after.decision.category is Category.NEUROTOXICITY_SUSPECTED, after.decision
    assert any("the next FLAIR was taken" in one.message for one in after.skipped)


def test_an_equal_choice_is_measured_once(tmp_path: Path, world: World) -> None:
    """A localizer is no part of what is measured; a T1 is."""
    (atlas, head, baseline), looked = world, []

    def look(images: StudyImages, *_: object) -> Assessed:
        looked.append(sorted(images.volumes))
        judged = SimpleNamespace(refusal=None, source=JudgedFrom.COMPARISON)
        return cast("Assessed", SimpleNamespace(assessment=SimpleNamespace(judged=judged)))

    known: dict[bytes, Assessed] = {}
    for added in ([], ["a localizer"], ["its T1"], ["a localizer", "its T1"]):
        assessed(write_study(tmp_path, head, "unchanged", added), baseline, atlas, look=look, known=known)
    assert looked == [["flair"], ["flair", "t1"]]
