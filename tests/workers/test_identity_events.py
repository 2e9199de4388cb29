"""Merges, splits and corrections in, the identity in force out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.identities import PatientKey, StudyFacts
from workers.identity_events import (
    Change,
    IdentityEvent,
    IdentityRefusedError,
    Persons,
    connected_ids,
    from_json,
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
        assert Persons(known).is_known(event) is (event in known)
        return
    with pytest.raises(IdentityRefusedError, match=refused):
        Persons(known).is_known(event)


def test_an_id_of_two_issuers_is_merged_by_issuer_only() -> None:
    with pytest.raises(IdentityRefusedError, match="name the issuer"):
        Persons([], ["A"]).is_known(A_B)


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
            if not Persons(events).is_known(event):
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
