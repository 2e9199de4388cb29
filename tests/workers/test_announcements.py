"""Numbers from several mouths, merged."""

from __future__ import annotations

import pytest

from workers.announcements import WHOLE_STUDY, Announcement, Source, Step, count, from_counts, sentence

STUDY, A, B = "1.2", "1.2.1", "1.2.2"


def said(
    images: dict[str, int], step: Step = Step.COMPLETED, source: Source = Source.MPPS, uid: str = "1.9"
) -> Announcement:
    return Announcement(source, uid, STUDY, step, images)


@pytest.mark.parametrize(
    ("announcements", "received", "figures", "text"),
    [
        pytest.param([], {A: 3}, (0, 0, False), None, id="noop: nobody said anything"),
        pytest.param([said({A: 3, B: 2})], {A: 3, B: 2}, (5, 5, True), None, id="all there"),
        pytest.param(
            [said({A: 30, B: 10})], {A: 27, B: 10}, (37, 40, False), "processed on 37 of 40 images that were announced",
            id="some missing",
        ),
        pytest.param([said({A: 3, B: 2})], {A: 9}, (3, 5, False),
            "processed on 3 of 5 images that were announced; one announced series did not arrive",
            id="too many in one series do not replace another"),
        pytest.param([said({A: 3}, Step.IN_PROGRESS)], {A: 3}, (3, 3, False), None, id="the scanner is still at work"),
        pytest.param([said({A: 3}), said({}, Step.IN_PROGRESS, uid="1.8")], {A: 3}, (3, 3, False), None,
            id="a second step has begun"),
        pytest.param([said({A: 2}, Step.DISCONTINUED)], {A: 2}, (2, 2, True), None,
            id="given up: what there is, is all"),
        pytest.param([said({A: 3}), said({A: 4}, source=Source.AVAILABILITY)], {A: 3}, (3, 4, False),
            "processed on 3 of 4 images that were announced", id="the larger number counts"),
        pytest.param([said({A: 3}, Step.IN_PROGRESS, Source.QUERY)], {A: 3}, (3, 3, False), None,
            id="a PACS may still be receiving"),
        pytest.param([said({WHOLE_STUDY: 5}, source=Source.QUERY)], {A: 3, B: 1}, (4, 5, False),
            "processed on 4 of 5 images that were announced", id="only a number for the study"),
        pytest.param([said({A: 3}), said({WHOLE_STUDY: 2}, source=Source.QUERY)], {A: 3}, (3, 3, True), None,
            id="a smaller number for the study says nothing"),
        pytest.param([said({A: 0})], {}, (0, 0, False), None, id="a step without images"),
    ],
)  # fmt: skip
def test_count(
    announcements: list[Announcement], received: dict[str, int], figures: tuple[int, int, bool], text: str | None
) -> None:
    found = count(announcements, received)
    assert (found.received, found.announced, found.complete) == figures
    assert sentence(found) == text


def test_a_series_named_twice_adds_up() -> None:
    assert from_counts(Source.MPPS, "1", STUDY, Step.COMPLETED, [(A, 2), (B, 1), (A, 3)]).images == {A: 5, B: 1}
