"""A message that is applied late says nothing against the words that came after it."""

from __future__ import annotations

from datetime import date

import pytest

from workers.feeds.facts import (
    Cancellation,
    Fact,
    InfusionCancelled,
    InfusionReported,
    NeedsPerson,
    NothingToDo,
    PatientsMerged,
    PatientUpdated,
)
from workers.feeds.superseded import SUPERSEDED, still_said
from workers.ports import PatientKey

P, Q, SPELLED, ELSEWHERE = PatientKey("P", "HOSP"), PatientKey("Q", "HOSP"), PatientKey("p "), PatientKey("P", "OTHER")
MARCH, NEAR, MAY, BORN = date(2024, 3, 4), date(2024, 3, 6), date(2024, 5, 20), date(1960, 1, 2)


def planned(day: date, order: str = "1", patient: PatientKey = P, kind: str = "axicabtagene") -> InfusionReported:
    return InfusionReported(patient, day, kind, order)


def given(day: date, order: str = "1") -> InfusionReported:
    return InfusionReported(P, day, "axicabtagene", order, given=True)


def cancelled(order: str = "1", day: date | None = None, why: Cancellation = Cancellation.CANCELLED) -> Fact:
    return InfusionCancelled(P, day, order, why)


HOLDS = [
    pytest.param(planned(MARCH), (), id="not measured: nothing came after it"),
    pytest.param(NothingToDo("noop"), (planned(MAY),), id="noop"),
    pytest.param(NeedsPerson("linked"), (planned(MAY),), id="what a person must judge"),
    pytest.param(planned(MARCH), (planned(NEAR, patient=Q),), id="the same number of another patient"),
    pytest.param(planned(MARCH), (planned(NEAR, patient=ELSEWHERE),), id="the same number of another issuer"),
    pytest.param(planned(MARCH), (planned(MAY, "2"),), id="another order, far away"),
    pytest.param(planned(MARCH, kind="bridging"), (planned(NEAR, "2"),), id="bridging before the cells"),
    pytest.param(planned(MARCH), (planned(MARCH, "2"),), id="another order of the same day"),
    pytest.param(planned(MARCH), (cancelled("2", MARCH),), id="another order is cancelled"),
    pytest.param(given(MARCH), (planned(MAY),), id="a plan does not move what was given"),
    pytest.param(given(MARCH), (planned(NEAR, "2"),), id="nor does another plan"),
    pytest.param(given(MARCH), (cancelled(),), id="only a deletion takes back what was given"),
    pytest.param(cancelled(), (planned(NEAR, "2"),), id="a cancellation of another order"),
    pytest.param(PatientsMerged(Q, P), (PatientsMerged(P, Q),), id="a merge"),
    pytest.param(PatientUpdated(P, BORN), (PatientUpdated(Q, date(1970, 1, 1)),), id="identity of another patient"),
]
REPLACED = [
    pytest.param(planned(MARCH), (planned(MAY),), id="the order is moved"),
    pytest.param(planned(MARCH), (planned(MARCH),), id="said again"),
    pytest.param(planned(MARCH), (planned(MAY, patient=SPELLED),), id="moved under another spelling"),
    pytest.param(planned(MARCH), (PatientsMerged(Q, P), planned(MAY, patient=Q)), id="moved under the ID of a merge"),
    pytest.param(planned(MARCH), (planned(NEAR, "2"),), id="another order corrects its day"),
    pytest.param(planned(MARCH, ""), (planned(NEAR, ""),), id="a day without a number is corrected"),
    pytest.param(planned(MARCH), (cancelled(),), id="cancelled"),
    pytest.param(planned(MARCH, ""), (cancelled("", MARCH),), id="cancelled by its day"),
    pytest.param(given(MARCH), (given(NEAR),), id="given on another day"),
    pytest.param(given(MARCH), (cancelled(why=Cancellation.DELETED),), id="the entry is deleted"),
    pytest.param(cancelled(), (planned(MARCH),), id="ordered again"),
    pytest.param(PatientUpdated(P, BORN), (PatientUpdated(P, date(1970, 1, 1)),), id="another birth date"),
]


@pytest.mark.parametrize(("fact", "later"), HOLDS)
def test_what_no_later_word_concerns_holds(fact: Fact, later: tuple[Fact, ...]) -> None:
    assert still_said((fact,), later) == (fact,)


@pytest.mark.parametrize(("fact", "later"), REPLACED)
def test_the_later_word_holds(fact: Fact, later: tuple[Fact, ...]) -> None:
    assert still_said((fact,), later) == (SUPERSEDED,)


def test_of_an_identity_what_was_not_stated_again_holds() -> None:
    late, later = PatientUpdated(P, BORN, "F"), PatientUpdated(P, None, "M")
    assert still_said((late,), (later,)) == (PatientUpdated(P, BORN),)
