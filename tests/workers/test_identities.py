"""Which facts of its objects are those of a study, which objects are not its own, and which characters are shown."""

from __future__ import annotations

from datetime import date
from itertools import permutations

import pytest

from workers.identities import StudyFacts, Votes, may_change, merge_facts, printable, sort_out

BORN, DAY = date(1980, 2, 29), date(2026, 3, 10)
OWN = StudyFacts("P1", "CLINIC", BORN, "F", DAY, "101500", "A1")
NAMELESS = StudyFacts()
STRANGER = StudyFacts("P2", "OTHER", date(1950, 1, 1), "M", date(2020, 1, 1), "080000", "B9")


@pytest.mark.parametrize(
    ("objects", "patient_id", "clear", "strays"),
    [
        pytest.param([], "", True, {}, id="noop: nothing"),
        pytest.param([NAMELESS], "", True, {}, id="nobody"),
        pytest.param([OWN], "P1", True, {}, id="one"),
        pytest.param([NAMELESS, OWN], "P1", True, {}, id="S1: a nameless object first"),
        pytest.param([NAMELESS] * 5 + [OWN], "P1", True, {}, id="most objects are nameless"),
        pytest.param([STRANGER, OWN, OWN], "P1", True, {0: "another patient ID"}, id="S3: two of three decide"),
        pytest.param([OWN, STRANGER], "P1", False, {1: "another patient ID"}, id="one against one"),
        pytest.param(
            [OWN, OWN, StudyFacts("P1", "CLINIC", date(1981, 2, 28))],
            "P1",
            True,
            {2: "another birth date"},
            id="another birth date",
        ),
        pytest.param(
            [OWN, OWN, StudyFacts("P1"), NAMELESS], "P1", True, {}, id="what is not stated contradicts nothing"
        ),
    ],
)
def test_who_belongs_to_a_study(
    objects: list[StudyFacts], patient_id: str, strays: dict[int, str], *, clear: bool
) -> None:
    found = sort_out([Votes(one) for one in objects])
    assert (found.facts.patient_id, found.clear, found.strays) == (patient_id, clear, strays)


@pytest.mark.parametrize(
    ("own", "strangers", "patient_id", "clear"),
    [
        pytest.param([1] * 60, [], "P1", True, id="noop: nobody else"),
        pytest.param([1, 1], [1], "P1", True, id="two of three"),
        pytest.param([150], [1], "P1", True, id="one enhanced object against one slice"),
        pytest.param([150], [1] * 5, "P1", True, id="one enhanced object against five slices"),
        pytest.param([1] * 60, [150], "P1", True, id="sixty slices against one enhanced object"),
        pytest.param([150, 150], [150], "P1", True, id="enhanced objects: two of three"),
        pytest.param([1] * 30, [1] * 30, "P1", False, id="half and half"),
        pytest.param([150], [150], "P1", False, id="one enhanced object against another"),
        pytest.param([1] * 3, [1] * 2, "P1", False, id="three against two"),
    ],
)
def test_objects_and_images_count(own: list[int], strangers: list[int], patient_id: str, *, clear: bool) -> None:
    objects = [*(Votes(OWN, 1, n) for n in own), *(Votes(STRANGER, 1, n) for n in strangers)]
    found = sort_out(objects)
    assert (found.facts.patient_id, found.clear) == (patient_id, clear)
    assert len(found.strays) == len(strangers)
    turned = sort_out(objects[::-1])
    assert (turned.facts, turned.clear) == (found.facts, found.clear), "no order matters"


@pytest.mark.parametrize(
    ("vouched", "patient_id", "clear", "strays"),
    [
        pytest.param([], "P1", False, {2, 3}, id="noop: nobody said anything"),
        pytest.param([2, 3], "P1", True, set(), id="the strangers' objects are restored"),
        pytest.param([0, 1], "P2", True, set(), id="the others are"),
        pytest.param([2], "P1", True, {3}, id="one of them is"),
        pytest.param([0, 1, 2, 3], "P1", True, set(), id="all are: then all have a vote"),
    ],
)
def test_restored_objects(vouched: list[int], patient_id: str, strays: set[int], *, clear: bool) -> None:
    found = sort_out([Votes(OWN), Votes(OWN), Votes(STRANGER), Votes(STRANGER)], vouched)
    assert (found.facts.patient_id, found.clear, set(found.strays)) == (patient_id, clear, strays)


def test_two_strangers_are_two_people_and_both_set_aside() -> None:
    other = StudyFacts("P3", "", date(1960, 5, 5))
    found = sort_out([*[Votes(OWN)] * 6, Votes(STRANGER), Votes(other)])
    assert (found.facts, found.clear, set(found.strays)) == (OWN, True, {6, 7})


def test_no_order_of_arrival_matters() -> None:
    objects = [OWN, OWN, NAMELESS, STRANGER, StudyFacts("P1", study_date=date(2026, 3, 9), study_time="235900")]
    assert {merge_facts(map(Votes, order)) for order in permutations(objects)} == {OWN}


def test_equal_numbers_are_no_matter_of_order() -> None:
    assert merge_facts([Votes(OWN), Votes(STRANGER)]) == merge_facts([Votes(STRANGER), Votes(OWN)])


def test_a_stranger_has_no_vote_about_the_rest() -> None:
    assert merge_facts([Votes(STRANGER, 3, 3), Votes(StudyFacts("P1"), 4, 4)]) == StudyFacts("P1")


@pytest.mark.parametrize(
    ("counts", "day", "accession"),
    [
        pytest.param((40, 0), 10, "A1", id="noop: one visit"),
        pytest.param((40, 5), 12, "A2", id="a later visit"),
        pytest.param((40, 4), 10, "A1", id="few later images are reports"),
        pytest.param((1, 2), 12, "A2", id="most of few"),
    ],
)
def test_of_two_visits_the_later_is_the_study(counts: tuple[int, int], day: int, accession: str) -> None:
    visits = (OWN, StudyFacts("P1", "CLINIC", BORN, "F", date(2026, 3, 12), "091500", "A2"))
    found = merge_facts([Votes(one, count, count) for one, count in zip(visits, counts, strict=True) if count])
    assert (found.study_date, found.accession_number) == (date(2026, 3, day), accession)


@pytest.mark.parametrize(
    ("said", "changes"), [(OWN, False), (NAMELESS, False), (StudyFacts("P1", sex="M"), True), (STRANGER, True)]
)
def test_more_votes_for_the_same_change_nothing(said: StudyFacts, *, changes: bool) -> None:
    assert may_change(said, OWN) is changes


def test_disagreements_are_named() -> None:
    found = sort_out(
        [*map(Votes, (OWN, OWN, StudyFacts("P1", "WARD", BORN, "M", DAY, "101501", "A2"))), Votes(STRANGER)]
    )
    assert found.disagreements == ("issuer of the patient ID", "sex", "accession number")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("P-1", "P-1"),
        ("größer 王 الله", "größer 王 الله"),
        ("<script>alert(1)</script>\u202egnp.exe\x07", "<script>alert(1)</script>gnp.exe"),
        ("a\r\nMSH|^~\\&|b\x00\x1b[2J\x85\u2066c\udcff", "aMSH|^~\\&|b[2Jc"),
        ("", ""),
    ],
)
def test_characters_that_reorder_or_control(text: str, shown: str) -> None:
    assert printable(text) == shown
