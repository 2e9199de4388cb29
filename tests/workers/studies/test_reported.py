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


@pytest.mark.parametrize(
    ("said", "removed", "stays"),
    [
        pytest.param([(PATIENT, "HL7 ORM^O01")], PATIENT, False, id="noop: a feed alone"),
        pytest.param([(PATIENT, "roster")], PATIENT, True, id="a roster alone"),
        pytest.param([(PATIENT, "roster"), (PATIENT, "FHIR Procedure")], PATIENT, True, id="a roster, then a feed"),
        pytest.param([(PATIENT, "HL7 RDE^O11"), (PATIENT, "command line")], PATIENT, True, id="a feed, then a command"),
        pytest.param([(PatientKey("p1"), "roster"), (PATIENT, "HL7 ORM^O01")], PATIENT, True, id="another spelling"),
        pytest.param([(PatientKey("P1", "OTHER"), "roster"), (PATIENT, "HL7")], PATIENT, False, id="another issuer"),
        pytest.param([(PATIENT, "")], PATIENT, False, id="not measured: nobody knows who said so"),
    ],
)
def test_a_day_that_a_person_states_is_removed_by_a_person(
    said: list[tuple[PatientKey, str]], removed: PatientKey, stays: bool
) -> None:
    index, clock = InMemoryIndex(), FakeClock()
    facts = ReportedFacts(index, now=clock.now)
    for patient, source in said:
        clock.advance(1)
        if source.startswith(("HL7", "FHIR")):
            facts.add_infusion(patient, Infusion(DAY, source=source))
        else:
            index.add_infusion(patient, Infusion(DAY, source=source), now=clock.now())
    assert facts.remove_infusion(removed, DAY) is not stays
    assert [one.day for one in index.infusions_of(removed)] == [DAY] * stays
    for patient, _ in said:
        index.remove_infusion(patient, DAY, now=clock.now())
    assert facts.remove_infusion(removed, DAY), "a person has removed it since"


def test_a_day_of_a_roster_stays_when_its_patient_was_merged_away() -> None:
    index, clock = InMemoryIndex(), FakeClock()
    facts = ReportedFacts(index, now=clock.now)
    index.add_infusion(PatientKey("P9"), Infusion(DAY, source="roster"), now=clock.now())
    facts.merge_patients(old=PatientKey("P9"), new=PatientKey("P1"), source="HL7 ADT^A40")
    assert not facts.remove_infusion(PatientKey("P9"), DAY)
    assert not facts.remove_infusion(PatientKey("P1"), DAY)


def test_a_day_that_is_said_again_is_the_last_word() -> None:
    index, clock = InMemoryIndex(), FakeClock()
    facts = ReportedFacts(index, now=clock.now)
    facts.say_again(PATIENT, DAY)
    assert index.infusions_of(PATIENT) == (), "no-op: nothing was said"
    facts.add_infusion(PATIENT, Infusion(DAY, source="HL7 RAS^O17"))
    facts.add_infusion(PATIENT, Infusion(DAY + timedelta(days=20), source="HL7 ORM^O01"))
    facts.say_again(PATIENT, DAY)
    assert index.infusions_of(PATIENT) == (Infusion(DAY, source="HL7 RAS^O17"),)
    facts.remove_infusion(PATIENT, DAY)
    assert [one.day for one in index.infusions_of(PATIENT)] == [DAY + timedelta(days=20)], "then the plan holds"


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
