"""Histories of one patient: what was found in an earlier study is never lost by comparing with it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.fakes import NOTHING, SUSPECTED, Verdict, some_images
from tests.workers.studies.deciding import Node
from triage.infusions import Infusion
from triage.model import Basis, Category, Priority
from workers.ports import ACUTE_CATEGORIES, PatientKey

INFUSION = date(2024, 3, 4)
BEFORE, DAY_5, DAY_7 = date(2024, 2, 23), date(2024, 3, 9), date(2024, 3, 11)


def decided(tmp_path: Path, days: dict[date, Verdict], *, infusion: date | None) -> Node:
    """A node that decided the patient's studies in the order of their dates, each as told."""
    images = {day: some_images(f"1.{number}", day=day) for number, day in enumerate(days, 1)}
    node = Node(tmp_path, *images.values())
    if infusion is not None:
        node.index.add_infusion(PatientKey("P1"), Infusion(infusion), now=datetime.now(UTC))
    for day, verdict in days.items():
        node.engine.first = node.engine.whole = verdict
        node.ring(images[day].study.study_instance_uid)
    return node


HISTORIES = [
    pytest.param({DAY_5: SUSPECTED, DAY_7: SUSPECTED}, INFUSION, Basis.COURSE_ONLY, DAY_5, ("A",),
        id="no scan before infusion"),
    pytest.param({DAY_5: SUSPECTED, DAY_7: SUSPECTED}, None, Basis.COURSE_ONLY, DAY_5, ("A",),
        id="no roster, no clear scan"),
    pytest.param({BEFORE: NOTHING, DAY_5: SUSPECTED, DAY_7: NOTHING}, None, Basis.DATE_UNKNOWN, BEFORE, (),
        id="no roster"),
    pytest.param({BEFORE: NOTHING, DAY_5: SUSPECTED, DAY_7: NOTHING}, INFUSION, Basis.BEFORE_INFUSION, BEFORE, (),
        id="roster"),
    pytest.param({BEFORE: SUSPECTED, DAY_7: NOTHING}, INFUSION, Basis.BEFORE_INFUSION, BEFORE, (),
        id="found before treatment"),
]  # fmt: skip


@pytest.mark.parametrize(("days", "infusion", "basis", "compared", "carried"), HISTORIES)
def test_what_the_last_study_is_compared_with(
    tmp_path: Path,
    days: dict[date, Verdict],
    infusion: date | None,
    basis: Basis,
    compared: date,
    carried: tuple[str, ...],
) -> None:
    node = decided(tmp_path, days, infusion=infusion)
    choice = node.engine.contexts[-1].baseline_choice
    found = choice.since[1] if choice.since is not None else choice.study_date
    assert (choice.basis, found, choice.carried) == (basis, compared, carried)
    last = [call for call in node.engine.calls if call[0] == "full"][-1]
    assert last[2] is not None, "what it is compared with was prepared"


def test_a_category_that_falls_between_two_studies_says_so_first(tmp_path: Path) -> None:
    node = decided(tmp_path, {BEFORE: NOTHING, DAY_5: SUSPECTED, DAY_7: NOTHING}, infusion=INFUSION)
    document = node.index.assessment("1.3")
    assert document is not None
    first = document["decision"]["reasons"][0]
    assert all(word in first for word in ("neurotoxicity_suspected", "2024-03-09", "no_pattern"))


def test_a_category_that_falls_between_two_versions_says_so_first(tmp_path: Path) -> None:
    node = decided(tmp_path, {BEFORE: NOTHING, DAY_5: SUSPECTED}, infusion=INFUSION)
    node.engine.whole = NOTHING
    node.index.requeue("1.2", now=node.clock.now())
    node.ring("1.2")
    document = node.index.assessment("1.2")
    assert document is not None
    assert "version of this study before" in document["decision"]["reasons"][0]
    assert document["decision"]["priority"] == "P1", "never lowered"


REFUSED: Verdict = (Category.NOT_ASSESSABLE, Priority.UNCHANGED)
FALLS = "the category falls: neurotoxicity_suspected in"
VERSIONS = [
    pytest.param([SUSPECTED, SUSPECTED], None, id="noop: nothing falls"),
    pytest.param([NOTHING, SUSPECTED], None, id="noop: it rises"),
    pytest.param([SUSPECTED, NOTHING], f"{FALLS} the version of this study before, no_pattern now", id="at once"),
    pytest.param([SUSPECTED, REFUSED, NOTHING], f"{FALLS} an earlier version of this study, no_pattern now",
        id="one in between was not assessable"),
    pytest.param([REFUSED, SUSPECTED, REFUSED, REFUSED],
        f"{FALLS} an earlier version of this study, not_assessable now", id="still not assessable"),
]  # fmt: skip


@pytest.mark.parametrize(("verdicts", "first"), VERSIONS)
def test_a_fall_is_said_as_long_as_it_lasts(tmp_path: Path, verdicts: list[Verdict], first: str | None) -> None:
    node = Node(tmp_path, some_images("1.2", day=DAY_5))
    for verdict in verdicts:
        node.engine.first = node.engine.whole = verdict
        node.ring("1.2")
        node.index.requeue("1.2", now=node.clock.now())
    document = node.index.assessment("1.2")
    assert document is not None
    said = document["decision"]["reasons"][0]
    assert said == first if first else "falls" not in said


def test_a_full_assessment_below_its_first_look_says_so_and_compares_with_both(tmp_path: Path) -> None:
    node = Node(tmp_path, some_images("1.2", day=DAY_5))
    node.engine.first = SUSPECTED
    node.ring("1.2")
    document = node.index.assessment("1.2")
    assert document is not None
    assert document["decision"]["reasons"][0].startswith(f"{FALLS} the first look of this version")


def test_a_fall_against_a_study_with_one_in_between_that_was_not_assessable(tmp_path: Path) -> None:
    node = decided(tmp_path, {BEFORE: SUSPECTED, DAY_5: REFUSED, DAY_7: NOTHING}, infusion=None)
    for uid in ("1.2", "1.3"):
        document = node.index.assessment(uid)
        assert document is not None
        assert f"{FALLS} the study of 2024-02-23" in document["decision"]["reasons"][0]


@pytest.mark.parametrize("verdict", [REFUSED, NOTHING])
def test_what_changed_is_said_in_the_first_look_and_in_the_full_version(tmp_path: Path, verdict: Verdict) -> None:
    """Also when all earlier versions were not assessable, so that the first look runs again, and after a retry."""
    node = decided(tmp_path, {DAY_7: verdict}, infusion=None)
    node.index.add_infusion(PatientKey("P1"), Infusion(INFUSION), now=node.clock.now())
    node.index.requeue("1.1", now=node.clock.now())
    failures = [OSError("the disk")]

    def before(stage: str) -> None:
        if stage == "full" and failures:
            raise failures.pop()

    node.engine.before = before
    node.ring("1.1")
    node.clock.advance(400)
    node.ring("1.1")
    again = [one for one in node.index.assessments("1.1") if one["revision"] == 2]
    assert [one["stage"] for one in again] == (["first_look", "full"] if verdict is REFUSED else ["full"])
    for one in again:
        said = one["document"]["decision"]["reasons"][0]
        assert said == "assessed again: infusion of 2024-03-04 became known"


def test_the_categories_of_findings_are_those_of_the_core() -> None:
    assert set(ACUTE_CATEGORIES) == {Category.POSSIBLE.value, Category.NEUROTOXICITY_SUSPECTED.value}
