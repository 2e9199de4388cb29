"""Facts in, what the index is told out: order numbers are remembered, a moved order is one infusion."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.fakes import FakePatientFacts
from workers.feeds.apply import Applier, UnknownOrderError
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


def test_identity_goes_to_the_index_with_its_source(tmp_path: Path) -> None:
    index = left(tmp_path, PatientsMerged(Q, P), PatientUpdated(P, MARCH, "F"))
    assert index.merged == [(P, Q, "HL7")]
    assert index.corrected == [(P, MARCH, "F", "HL7")]


def test_only_the_owner_reads_the_orders(tmp_path: Path) -> None:
    left(tmp_path, given(MARCH, "1"))
    assert (tmp_path / "feeds" / "orders.json").stat().st_mode & 0o077 == 0
