"""Facts in, what the index is told out: order numbers are remembered, a moved order is one infusion."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.fakes import FakePatientFacts
from workers.feeds.apply import Applier, NotJudgedError, OtherNumberError, StatedByPersonError, UnknownOrderError
from workers.feeds.facts import (
    Fact,
    InfusionCancelled,
    InfusionReported,
    NoInfusion,
    NothingToDo,
    PatientsMerged,
    PatientUpdated,
)
from workers.feeds.orders import KnownOrders
from workers.ports import PatientKey

P, Q = PatientKey("P", "HOSP"), PatientKey("Q", "HOSP")
SPELLED, ELSEWHERE = PatientKey("p "), PatientKey("P", "ELSEWHERE")
WITHOUT, REF = PatientKey("P"), "Procedure/12"
MARCH, APRIL, MAY = date(2024, 3, 4), date(2024, 4, 1), date(2024, 5, 20)
GIVEN = InfusionReported(P, MARCH, "axicabtagene", "1", given=True)


def given(day: date, order: str = "", patient: PatientKey = P) -> InfusionReported:
    return InfusionReported(patient, day, "axicabtagene", order)


def left(tmp_path: Path, *facts: Fact | tuple[Fact, ...], index: FakePatientFacts | None = None) -> FakePatientFacts:
    """The index after these facts, each in a message of its own and in a process of its own."""
    index = index or FakePatientFacts()
    for fact in facts:
        said = fact if isinstance(fact, tuple) else (fact,)
        Applier(index, KnownOrders(tmp_path / "feeds" / "orders.json"))(said, "HL7")
    return index


@pytest.mark.parametrize(
    ("facts", "days"),
    [
        pytest.param((NothingToDo("noop"),), set(), id="noop"),
        pytest.param((given(MARCH),), {(P, MARCH)}, id="reported"),
        pytest.param((given(MARCH, "1"), given(MARCH, "1")), {(P, MARCH)}, id="twice"),
        pytest.param((given(MARCH, "1"), given(APRIL, "1")), {(P, APRIL)}, id="an order that is moved"),
        pytest.param((given(MARCH, "1"), given(APRIL, "2")), {(P, MARCH), (P, APRIL)}, id="two orders"),
        pytest.param((given(MARCH, "1"), InfusionCancelled(P, None, "1")), set(), id="cancelled by number"),
        pytest.param((given(MARCH), InfusionCancelled(P, MARCH)), set(), id="cancelled by date"),
        pytest.param(
            (given(MARCH, "1"), given(MARCH, "2"), InfusionCancelled(P, None, "1")),
            {(P, MARCH)},
            id="another order stands for the day",
        ),
        pytest.param(
            (given(MARCH, "1"), PatientsMerged(Q, P), InfusionCancelled(Q, None, "1")),
            set(),
            id="cancelled under the ID of a merge",
        ),
        pytest.param(
            (given(MARCH, "1", SPELLED), given(MAY, "1")), {(P, MAY)}, id="moved by months, under another spelling"
        ),
        pytest.param(
            (given(MARCH, "1"), InfusionCancelled(SPELLED, None, "1")), set(), id="cancelled under another spelling"
        ),
        pytest.param(
            (given(MARCH, "1", ELSEWHERE), given(MAY, "1")), {(ELSEWHERE, MARCH), (P, MAY)}, id="of another issuer"
        ),
        pytest.param(
            (given(MARCH, "1"), given(MARCH, "1", Q), InfusionCancelled(P, None, "1")),
            {(Q, MARCH)},
            id="a number of two patients",
        ),
        pytest.param(
            (given(MARCH, "1", WITHOUT), PatientsMerged(Q, P), InfusionCancelled(Q, None, "1")),
            set(),
            id="ordered without the issuer, cancelled under the ID of a merge",
        ),
        pytest.param((given(MARCH, REF), given(MARCH, REF, Q)), {(Q, MARCH)}, id="a resource of another patient"),
        pytest.param((given(MARCH, REF), given(MAY, REF, Q)), {(Q, MAY)}, id="of another patient on another day"),
        pytest.param((given(MARCH, REF), given(MARCH, REF)), {(P, MARCH)}, id="a resource, twice"),
        pytest.param(
            (replace(given(MARCH, REF), also=(Q,)), given(MARCH, REF)), {(P, MARCH)}, id="a resource of one of two IDs"
        ),
        pytest.param((given(MARCH, REF), NoInfusion("", REF)), set(), id="a resource that is no infusion any more"),
        pytest.param((given(MARCH, "1"), NoInfusion("", REF)), {(P, MARCH)}, id="noop: a resource that never was one"),
        pytest.param(
            (given(MARCH, REF), InfusionCancelled(Q, None, REF)), set(), id="a resource, cancelled under another ID"
        ),
    ],
)
def test_infusions(tmp_path: Path, facts: tuple[Fact, ...], days: set[tuple[PatientKey, date]]) -> None:
    index = left(tmp_path, *facts)
    assert set(index.infusions) == days


def test_a_cancellation_of_an_unknown_order_needs_a_human(tmp_path: Path) -> None:
    with pytest.raises(UnknownOrderError):
        left(tmp_path, InfusionCancelled(P, None, "1"))


@pytest.mark.parametrize(
    ("facts", "days"),
    [
        pytest.param((given(MARCH, "1"), InfusionCancelled(P, None, "1")), {(P, MARCH)}, id="its order is cancelled"),
        pytest.param((given(MARCH), InfusionCancelled(P, MARCH)), {(P, MARCH)}, id="cancelled by date"),
        pytest.param((given(MARCH), InfusionCancelled(P, MARCH, "9")), {(P, MARCH)}, id="an order that is not known"),
        pytest.param((given(MARCH, "1"), given(MAY, "1")), {(P, MARCH), (P, MAY)}, id="its order is moved by months"),
        pytest.param((given(MARCH, REF), given(MARCH, REF, Q)), {(P, MARCH), (Q, MARCH)}, id="of somebody else"),
    ],
)
def test_a_day_that_a_person_states_is_removed_by_a_person(
    tmp_path: Path, facts: tuple[Fact, ...], days: set[tuple[PatientKey, date]]
) -> None:
    index = FakePatientFacts()
    index.of_persons = {(P, MARCH)}
    left(tmp_path, *facts[:-1], index=index)
    with pytest.raises(StatedByPersonError):
        left(tmp_path, facts[-1], index=index)
    assert set(index.infusions) == days
    index.of_persons.clear()
    left(tmp_path, given(APRIL, "2"), index=index)
    assert (P, APRIL) in index.infusions, "what comes afterwards is applied"


def test_noop_a_day_near_the_one_that_a_person_states_replaces_it(tmp_path: Path) -> None:
    index = FakePatientFacts()
    index.of_persons = {(P, MARCH)}
    left(tmp_path, given(MARCH, "1"), given(APRIL, "1"), index=index)


@pytest.mark.parametrize(
    ("facts", "said_again"),
    [
        pytest.param((given(MARCH, "1"), given(APRIL, "2")), [], id="noop: both are planned"),
        pytest.param((GIVEN, given(MAY, "2")), [], id="noop: planned for months later"),
        pytest.param((GIVEN, given(MARCH, "2")), [], id="noop: planned for that day"),
        pytest.param((GIVEN, given(APRIL, "2", Q)), [], id="noop: of somebody else"),
        pytest.param((GIVEN, replace(GIVEN, day=APRIL, order="2")), [], id="noop: given on both days"),
        pytest.param((GIVEN, given(APRIL, "2")), [(P, MARCH)], id="another order, planned"),
        pytest.param((GIVEN, given(APRIL)), [(P, MARCH)], id="not measured: a plan without a number"),
        pytest.param((GIVEN, given(APRIL, "2"), given(APRIL, "2")), [(P, MARCH)], id="the same plan twice"),
        pytest.param((given(APRIL, "2"), GIVEN, given(APRIL, "2")), [], id="noop: the plan of what was given, again"),
    ],
)
def test_what_was_given_is_not_moved_by_a_plan(
    tmp_path: Path, facts: tuple[Fact, ...], said_again: list[tuple[PatientKey, date]]
) -> None:
    """Within four weeks of it a later word would replace the date."""
    assert left(tmp_path, *facts).said_again == said_again


@pytest.mark.parametrize(
    ("facts", "times"),
    [
        pytest.param((given(MARCH, "1"),), 1, id="noop: once"),
        pytest.param((given(MARCH, "1"), given(MARCH, "1")), 1, id="the same again"),
        pytest.param((given(MARCH, "1", SPELLED), given(MARCH, "1", SPELLED)), 1, id="the same spelling again"),
        pytest.param((GIVEN, given(MARCH, "1")), 1, id="the plan of what was given"),
        pytest.param((given(MARCH, "1"), GIVEN), 2, id="given after it was planned: that is news"),
        pytest.param((given(MARCH, "1"), given(APRIL, "1"), given(MARCH, "1")), 2, id="moved and moved back"),
        pytest.param(
            (given(MARCH, "1"), InfusionCancelled(P, None, "1"), given(MARCH, "1")), 2, id="cancelled and ordered again"
        ),
        pytest.param((given(MARCH), given(MARCH)), 2, id="not measured: without a number"),
    ],
)
def test_who_says_the_same_again_says_nothing_new(tmp_path: Path, facts: tuple[Fact, ...], times: int) -> None:
    """A person may have corrected or removed it since."""
    assert [day for _, day in left(tmp_path, *facts).heard].count(MARCH) == times


def test_what_the_index_never_heard_of_is_said_again(tmp_path: Path) -> None:
    """An index that was put back from a copy may know less than the list of orders."""
    left(tmp_path, given(MARCH, "1"))
    assert set(left(tmp_path, given(MARCH, "1"), index=FakePatientFacts()).infusions) == {(P, MARCH)}


def test_a_merge_that_is_refused_costs_only_itself(tmp_path: Path) -> None:
    index = FakePatientFacts()
    index.refused = {P}
    with pytest.raises(NotJudgedError) as error:
        left(tmp_path, (PatientsMerged(Q, P), PatientsMerged(Q, ELSEWHERE)), index=index)
    assert index.merged == [(ELSEWHERE, Q, "HL7")]
    assert not any(one in str(error.value) for one in ("P ", "Q ", "HOSP")), "no patient is named"


@pytest.mark.parametrize("order", ["FILLER-1", ""], ids=["another number", "not measured: no number"])
def test_a_cancellation_that_may_be_of_another_order_needs_a_human(tmp_path: Path, order: str) -> None:
    """An order is reported by the number of its placer, and cancelled by that of its filler."""
    index = left(tmp_path, given(MARCH, "1"))
    with pytest.raises(OtherNumberError):
        left(tmp_path, InfusionCancelled(P, MARCH, order), index=index)
    assert set(index.infusions) == {(P, MARCH)}


def test_identity_goes_to_the_index_with_its_source(tmp_path: Path) -> None:
    index = left(tmp_path, PatientsMerged(Q, P), PatientUpdated(P, MARCH, "F"))
    assert index.merged == [(P, Q, "HL7")]
    assert index.corrected == [(P, MARCH, "F", "HL7")]


def test_only_the_owner_reads_the_orders(tmp_path: Path) -> None:
    left(tmp_path, given(MARCH, "1"))
    assert (tmp_path / "feeds" / "orders.json").stat().st_mode & 0o077 == 0
