"""Merges, splits and corrections in, the identity in force out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.identity import SameId
from workers.identities import PatientKey, StudyFacts
from workers.identity_events import (
    Change,
    IdentityEvent,
    IdentityRefusedError,
    Persons,
    connected_ids,
    events_in_turn,
    from_json,
    persons_among,
    to_json,
)

NOW = datetime(2026, 11, 29, 8, tzinfo=UTC)


def key(written: str) -> PatientKey:
    """P1 or P1/ISSUER."""
    patient_id, _, issuer = written.partition("/")
    return PatientKey(patient_id, issuer)


def merge(old: str, new: str) -> IdentityEvent:
    return IdentityEvent(Change.MERGE, key(old), key(new), "test", NOW)


def split(old: str, new: str) -> IdentityEvent:
    return IdentityEvent(Change.SPLIT, key(old), key(new), "test", NOW + timedelta(days=1))


A_B, B_C = merge("A", "B"), merge("B", "C")


@pytest.mark.parametrize(
    ("events", "shared", "asked", "in_force"),
    [
        pytest.param([], [], "A", "A", id="noop: nothing was said"),
        pytest.param([A_B], [], "X", "X", id="noop: of somebody else"),
        pytest.param([A_B], [], "", "", id="not measured: no ID is nobody"),
        pytest.param([A_B], [], "A", "B", id="merged"),
        pytest.param([A_B], [], "B", "B", id="the one that stays"),
        pytest.param([A_B, B_C], [], "A", "C", id="a chain"),
        pytest.param([B_C, A_B], [], "A", "C", id="a chain, stated the other way round"),
        pytest.param([A_B, split("A", "B")], [], "A", "A", id="split"),
        pytest.param([A_B, B_C, split("B", "C")], [], "A", "B", id="a chain whose end was split"),
        pytest.param([A_B, split("A", "B"), A_B], [], "A", "B", id="merged again"),
        pytest.param([A_B], [], "A/X", "B/X", id="the images state an issuer, the merge does not"),
        pytest.param([merge("A/X", "B/X")], [], "A", "B/X", id="the merge states an issuer, the images do not"),
        pytest.param([merge("A/X", "B/X")], [], "A/Y", "A/Y", id="another issuer is another person"),
        pytest.param([merge("A/X", "B/Y")], [], "A/X", "B/Y", id="from one issuer to another"),
        pytest.param([merge("A/X", "B"), merge("A/Y", "C")], [], "A", "A", id="two people had the ID"),
        pytest.param([A_B], ["A"], "A/X", "A/X", id="two issuers gave the ID: a merge without issuer is nobody's"),
        pytest.param([merge("A/X", "B")], ["A"], "A", "A", id="two issuers gave the ID: images without issuer"),
        pytest.param([merge("A/X", "B")], ["A"], "A/X", "B/X", id="two issuers gave the ID: exactly this one"),
    ],
)
def test_who_is_in_force(events: list[IdentityEvent], shared: list[str], asked: str, in_force: str) -> None:
    assert Persons(events, shared).in_force(key(asked)) == key(in_force)


@pytest.mark.parametrize(
    ("known", "event", "refused"),
    [
        pytest.param([], A_B, None, id="new"),
        pytest.param([A_B], merge("A", "B"), None, id="noop: the same again"),
        pytest.param([A_B], merge("B", "A"), None, id="in the other direction"),
        pytest.param([A_B], merge("B", "A/X"), "circle: patient A merged into B on 2026-11-29", id="a circle of two"),
        pytest.param([A_B, B_C], merge("C", "A"), "circle", id="a circle of three"),
        pytest.param([A_B, B_C], merge("C/X", "A"), "circle", id="a circle, an issuer stated"),
        pytest.param([A_B], merge("A", "C"), "merged into B on 2026-11-29: split that first", id="a second target"),
        pytest.param([], merge("A", "A"), "the same", id="into itself"),
        pytest.param([], merge("", "A"), "nobody", id="not measured: no old ID"),
        pytest.param([], merge("UNKNOWN", "A"), "placeholder", id="everybody's ID into somebody's"),
        pytest.param([], merge("A", "anon"), "placeholder", id="somebody's ID into everybody's"),
        pytest.param([], split("A", "B"), "not merged", id="a split of nothing"),
        pytest.param([A_B], split("A", "C"), "not merged", id="a split of another merge"),
        pytest.param([A_B], split("A", "B"), None, id="split"),
    ],
)
def test_what_contradicts_is_refused(known: list[IdentityEvent], event: IdentityEvent, refused: str | None) -> None:
    if refused is None:
        assert Persons(known).known_as(event) == (event if event in known else None)
        return
    with pytest.raises(IdentityRefusedError, match=refused):
        Persons(known).known_as(event)


def at(event: IdentityEvent, minutes: int) -> IdentityEvent:
    return replace(event, at=NOW + timedelta(minutes=minutes))


M0, M10, M60 = at(A_B, 0), at(A_B, 10), at(A_B, 60)
S30, EARLY = at(split("A", "B"), 30), at(split("A", "B"), -30)
FIRST = IdentityEvent(Change.CORRECT, key("A"), key("B"), "test", NOW, "1.1")
AGAIN, REJECTED = at(FIRST, 10), at(replace(FIRST, change=Change.REJECT), 30)


@pytest.mark.parametrize(
    ("recorded", "kept", "whole"),
    [
        pytest.param([], [], [], id="not measured: nothing was said"),
        pytest.param([M0, S30], [], [M0, S30], id="noop: every event has its row"),
        pytest.param([], [M60, S30, M0], [M0, S30, M60], id="all lost: by time"),
        pytest.param([M0, S30], [M10], [M0, S30], id="a repeated merge is no news where it was said"),
        pytest.param([M0], [S30], [M0, S30], id="the end is lost"),
        pytest.param([M0, M60], [S30], [M0, S30, M60], id="one in the middle is lost"),
        pytest.param([S30], [M0], [M0, S30], id="the begin is lost"),
        pytest.param([], [EARLY, M0], [M0, EARLY], id="a clock was set back: a split is of a merge before it"),
        pytest.param([M0, EARLY], [], [M0, EARLY], id="rows keep their order"),
        pytest.param([], [EARLY], [], id="a split of nothing"),
        pytest.param([], [M0, at(merge("A", "C"), 10)], [M0], id="a second target"),
        pytest.param([], [REJECTED, AGAIN, FIRST], [FIRST, REJECTED], id="a correction, repeated, then rejected"),
        pytest.param([FIRST, REJECTED], [AGAIN], [FIRST, REJECTED], id="a repeated correction is no news either"),
    ],
)
def test_kept_events_come_where_they_were_said(
    recorded: list[IdentityEvent], kept: list[IdentityEvent], whole: list[IdentityEvent]
) -> None:
    assert events_in_turn(recorded, kept) == whole


def test_an_id_of_two_issuers_is_merged_by_issuer_only() -> None:
    with pytest.raises(IdentityRefusedError, match="name the issuer"):
        Persons([], ["A"]).known_as(A_B)


IDS = st.sampled_from(["A", "B", "C", "D", "A/X", "B/X", "B/Y"])
CHANGES = st.lists(st.tuples(st.sampled_from([Change.MERGE, Change.SPLIT]), IDS, IDS), max_size=12)


@pytest.mark.parametrize(
    ("events", "asked", "in_force"),
    [
        pytest.param([A_B, merge("B", "A")], "B", "A", id="the last direction counts"),
        pytest.param([A_B, merge("B", "A")], "A", "A", id="and the first one no more"),
        pytest.param([A_B, merge("B", "A"), A_B], "A", "B", id="to and fro"),
        pytest.param([merge("C", "A"), A_B, merge("B", "A")], "C", "A", id="what was merged before stays"),
        pytest.param([A_B, merge("B", "A"), split("B", "A")], "B", "B", id="and can be split"),
    ],
)
def test_a_merge_that_is_turned_round(events: list[IdentityEvent], asked: str, in_force: str) -> None:
    assert Persons(events).in_force(key(asked)) == key(in_force)


@given(CHANGES)
def test_whatever_is_accepted_never_runs_in_a_circle(changes: list[tuple[Change, str, str]]) -> None:
    events: list[IdentityEvent] = []
    for change, old, new in changes:
        event = IdentityEvent(change, key(old), key(new), "test", NOW)
        try:
            if Persons(events).known_as(event) is None:
                events.append(event)
        except IdentityRefusedError:
            continue
    who = Persons(events)
    for one in connected_ids(events, {"A", "B", "C", "D"}):
        for issuer in ("", "X", "Y"):
            found = who.in_force(PatientKey(one, issuer))
            assert who.in_force(found) == found, "the end of a chain stands for itself"
    undone = events + [IdentityEvent(Change.SPLIT, one.old, one.new, "test", NOW) for one in events]
    assert all(Persons(undone).in_force(event.old) == event.old for event in events), "splits undo every merge"


B_1970 = StudyFacts("B", birth_date=date(1970, 1, 2), sex="F")
OF_B = [
    pytest.param([], "1900-01-01 O", "1900-01-01 O", id="noop: nothing is known of who stays"),
    pytest.param([B_1970], "1970-01-02 F", "1970-01-02 F", id="noop: the same"),
    pytest.param([StudyFacts("B")], "1900-01-01 M", "1900-01-01 M", id="noop: who stays states neither"),
    pytest.param([B_1970], "1900-01-01 M", "1970-01-02 F", id="of an emergency"),
    pytest.param([B_1970], "None O", "1970-01-02 F", id="not stated"),
    pytest.param([B_1970, replace(B_1970, birth_date=date(1980, 3, 4))], "1900-01-01 F", "None F", id="two people"),
    pytest.param([replace(B_1970, issuer="X")], "1900-01-01 M", "1970-01-02 F", id="an issuer on one side"),
]


@pytest.mark.parametrize(("stated", "images", "in_force"), OF_B)
def test_a_merge_outranks_the_birth_date_and_sex_of_the_old_id(
    stated: list[StudyFacts], images: str, in_force: str
) -> None:
    born, sex = images.split()
    of_a = StudyFacts("A", birth_date=None if born == "None" else date.fromisoformat(born), sex=sex)
    found = persons_among([A_B], [of_a, *stated], SameId.CONFIRMED).facts_in_force("1.2", of_a)
    assert (found.patient_id, f"{found.birth_date} {found.sex}") == ("B", in_force)


def test_a_correction_of_one_study_changes_that_study_only() -> None:
    correct = IdentityEvent(Change.CORRECT, key("A"), key("B"), "test", NOW, "1.2", date(1980, 2, 29), "F")
    who = Persons([correct, B_C])
    stated = StudyFacts("A", "", date(1970, 1, 1), "M", date(2026, 1, 1))
    assert who.facts_in_force("1.3", stated) == stated
    assert who.facts_in_force("1.2", stated) == StudyFacts("C", "", date(1980, 2, 29), "F", date(2026, 1, 1))
    rejected = IdentityEvent(Change.REJECT, key("A"), key("B"), "test", NOW, "1.2")
    assert Persons([correct, rejected]).facts_in_force("1.2", stated) == stated


@pytest.mark.parametrize(
    "event", [A_B, IdentityEvent(Change.CORRECT, key("A/X"), key("B"), "test", NOW, "1.2", date(1980, 2, 29), "F")]
)
def test_json(event: IdentityEvent) -> None:
    assert from_json(to_json(event)) == event
