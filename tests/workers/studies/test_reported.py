"""What feeds report in, infusions of patients out; the decisions that they concern are made again."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.fake_index import InMemoryIndex
from tests.fakes import FakeClock
from triage.infusions import CORRECTION_DAYS, Infusion
from workers.identity_events import IdentityRefusedError
from workers.ports import PatientKey
from workers.studies.reported import ReportedFacts

DAY, PATIENT = date(2024, 3, 4), PatientKey("P1", "CLINIC")


@pytest.mark.parametrize(
    ("days_later", "known", "left"),
    [
        pytest.param(0, [DAY], [], id="noop: the same again"),
        pytest.param(
            CORRECTION_DAYS,
            [DAY + timedelta(days=CORRECTION_DAYS)],
            [DAY],
            id="a correction that is taken back leaves the first",
        ),
        pytest.param(
            CORRECTION_DAYS + 1,
            [DAY, DAY + timedelta(days=CORRECTION_DAYS + 1)],
            [DAY + timedelta(days=CORRECTION_DAYS + 1)],
            id="a further infusion keeps the first",
        ),
    ],
)
def test_infusions_are_stored_and_mark_the_patient(days_later: int, known: list[date], left: list[date]) -> None:
    index, clock = InMemoryIndex(), FakeClock()
    facts = ReportedFacts(index, now=clock.now)
    facts.add_infusion(PATIENT, Infusion(DAY, source="HL7"))
    facts.add_infusion(PATIENT, Infusion(DAY + timedelta(days=days_later), source="HL7"))
    assert [one.day for one in index.infusions_of(PATIENT)] == known
    assert index.infusions_of(PatientKey("P1")) == (), "of another issuer nothing is known"
    assert set(index.marked_patients()) == {"P1"}
    facts.remove_infusion(PATIENT, known[0])
    assert [one.day for one in index.infusions_of(PATIENT)] == left


def test_a_merge_of_a_clinical_system_is_applied_once_and_a_contradiction_is_refused() -> None:
    index, clock = InMemoryIndex(), FakeClock()
    facts = ReportedFacts(index, now=clock.now)
    facts.add_infusion(PatientKey("P1"), Infusion(DAY))
    for _ in range(2):  # a feed may state the same twice
        facts.merge_patients(old=PatientKey("P1"), new=PatientKey("P2"), source="HL7 ADT^A40")
    assert [one.source for one in index.identity_events("P2")] == ["HL7 ADT^A40"]
    assert [one.day for one in index.infusions_of(PatientKey("P2"))] == [DAY], "infusions follow"
    with pytest.raises(IdentityRefusedError, match="split that first"):
        facts.merge_patients(old=PatientKey("P1"), new=PatientKey("P3"), source="HL7")
