"""Messages about imaging orders in, the studies that were read out: what counts, and what does not."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.feeds.test_hl7_messages import PID, REPORTED, WORDS, message
from workers.config import parse as settings_of
from workers.feeds.facts import Fact, NothingToDo, ReadingReported
from workers.feeds.folders import signs_of
from workers.feeds.hl7_fields import MalformedMessageError
from workers.feeds.hl7_messages import facts_of, parse
from workers.feeds.hl7_readings import NO_SIGNS, ReadingSigns
from workers.ports import PatientKey

SIGNS = ReadingSigns(results=("F", "C"), orders=("SC/CM", "IP"))
WHO = (PatientKey("P7", "HOSP"),)
OBR_FINAL = "OBR|1|PL1|FI1|24590-2^Brain MRI^LN||||||||||||||ACC1|||||||F"


def read(raw: bytes, signs: ReadingSigns = SIGNS) -> tuple[Fact, ...]:
    header, parsed = parse(raw)
    return facts_of(header, parsed, WORDS, signs)


def reading(*numbers: str, uid: str = "", sign: str) -> ReadingReported:
    return ReadingReported(uid, numbers, WHO, sign)


TABLE = [
    pytest.param(
        message("ORU^R01", PID, "ORC|RE|PL1|FI1", OBR_FINAL),
        (reading("ACC1", "FI1", "PL1", sign="ORU, OBR-25 F"),),
        id="final report",
    ),
    pytest.param(
        message("ORU^R01", PID, OBR_FINAL[:-1] + "C", "OBX|1|HD|113014^DICOM Study^DCM||1.2.3^APP^DICOM||||||F"),
        (reading("ACC1", "FI1", "PL1", uid="1.2.3", sign="ORU, OBR-25 C"),),
        id="corrected report with the study's UID",
    ),
    pytest.param(
        message("ORU^R01", PID, OBR_FINAL, "OBR|2||FI2|X||||||||||||||ACC2|||||||P"),
        (reading("ACC1", "FI1", "PL1", sign="ORU, OBR-25 F"),),
        id="two results, one of them final",
    ),
    pytest.param(
        message("OMI^O23", PID, "ORC|SC|PL1|FI1||CM", "OBR|1|PL1|FI1|X", "IPC|ACC1|RP1|1.2.3|SPS1"),
        (
            reading("FI1", "PL1", "ACC1", uid="1.2.3", sign="ORM, ORC-5 CM".replace("ORM", "OMI")),
            NothingToDo("it orders no cell infusion"),
        ),
        id="complete, with the accession number in IPC",
    ),
    pytest.param(
        message("ORM^O01", PID, "ORC|XO|PL1|||IP", "OBR|1|PL1||X", "ZDS|1.2.3^APP^Application^DICOM"),
        (
            reading("PL1", uid="1.2.3", sign="ORM, ORC-5 IP"),
            NothingToDo("it orders no cell infusion"),
        ),
        id="opened, whatever ORC-1 says",
    ),
    pytest.param(
        message("ORM^O01", PID, "ORC|SC|77|||IP||^^^20240304", "OBR|1|77||CART1^CAR-T infusion"),
        (reading("77", sign="ORM, ORC-5 IP"), REPORTED),
        id="an infusion stays an infusion",
    ),
]


@pytest.mark.parametrize(("raw", "expected"), TABLE)
def test_what_says_that_a_study_was_read(raw: bytes, expected: tuple[Fact, ...]) -> None:
    assert read(raw) == expected


NOOP = [
    pytest.param(message("ORU^R01", PID, OBR_FINAL[:-1] + "P"), SIGNS, id="preliminary, as ours are"),
    pytest.param(message("ORU^R01", PID, OBR_FINAL[:-1]), SIGNS, id="no status"),
    pytest.param(message("ORM^O01", PID, "ORC|NW|PL1|FI1||CM", "OBR|1|PL1"), SIGNS, id="complete, but no change"),
    pytest.param(message("ORM^O01", PID, "ORC|SC|PL1|FI1||SC", "OBR|1|PL1"), SIGNS, id="scheduled"),
    pytest.param(message("ORM^O01", PID, "ORC|SC|PL1|FI1||CM", "OBR|1|PL1"), ReadingSigns(("F",)), id="not configured"),
    pytest.param(message("ORU^R01", PID, OBR_FINAL), NO_SIGNS, id="nothing is configured"),
    pytest.param(message("ADT^A08", PID, OBR_FINAL), SIGNS, id="another message"),
]


@pytest.mark.parametrize(("raw", "signs"), NOOP)
def test_noop_what_says_nothing_about_reading(raw: bytes, signs: ReadingSigns) -> None:
    assert not [one for one in read(raw, signs) if isinstance(one, ReadingReported)]


def test_a_study_without_a_number_is_read_all_the_same() -> None:
    assert read(message("ORU^R01", "OBR|1" + "|" * 24 + "F")) == (ReadingReported("", (), (), "ORU, OBR-25 F"),)


def test_reports_are_kept_only_where_an_escalation_waits_for_them() -> None:
    one = {"name": "call", "kind": "folder", "path": "/x", "outputs": ["document"]}
    assert signs_of(settings_of({"results": {"destinations": [one]}})) == NO_SIGNS
    waits = settings_of({"results": {"destinations": [one | {"escalate_after_s": 60}]}})
    assert signs_of(waits) == ReadingSigns(results=("F", "C"), orders=())


FIELD = st.text(alphabet="AF1^~&|", max_size=12)


@given(segments=st.lists(st.tuples(st.sampled_from(["ORC", "OBR", "IPC", "ZDS", "OBX", "PID"]), FIELD), max_size=6))
def test_any_segments_are_read_or_refused_by_name(segments: list[tuple[str, str]]) -> None:
    raw = message("ORU^R01", *(f"{name}|{rest}" for name, rest in segments))
    with suppress(MalformedMessageError):
        assert read(raw)
