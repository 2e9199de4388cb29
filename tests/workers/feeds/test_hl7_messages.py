"""HL7 v2 messages in, facts out: a table of what is read, of what is none of our business, and of what is malformed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.feeds.facts import (
    Fact,
    InfusionCancelled,
    InfusionReported,
    NeedsPerson,
    NothingToDo,
    PatientsMerged,
    PatientUpdated,
)
from workers.feeds.hl7_fields import MalformedMessageError
from workers.feeds.hl7_messages import LONGEST_BYTES, facts_of, parse
from workers.feeds.infusion_words import InfusionWords
from workers.ports import PatientKey

WORDS = InfusionWords(codes=("CART1",), words=("CAR-T", "axicabtagene"))
DAY = date(2024, 3, 4)
PATIENT = PatientKey("P7", "HOSP")
PID = "PID|1||P7^^^HOSP^MR"


def message(kind: str, *segments: str, character_set: str = "", version: str = "2.5.1") -> bytes:
    head = f"MSH|^~\\&|RIS|HOSP|ICANSEE|RAD|20240301||{kind}|42|P|{version}||||||{character_set}"
    return "\r".join((head, *segments, "")).encode("utf-8")


def read(raw: bytes) -> tuple[Fact, ...]:
    header, parsed = parse(raw)
    return facts_of(header, parsed, WORDS)


REPORTED = InfusionReported(PATIENT, DAY, "CAR-T infusion", "77")
GIVEN = replace(REPORTED, given=True)
READ = [
    pytest.param(
        message("ADT^A40^ADT_A39", "EVN|A40", "PID|1||NEW^^^HOSP^MR", "MRG|OLD^^^HOSP"),
        (PatientsMerged(PatientKey("NEW", "HOSP"), PatientKey("OLD", "HOSP")),),
        id="merge",
    ),
    pytest.param(
        message("ADT^A40", "PID|1||A", "MRG|B", "PID|1||C", "MRG|D"),
        (PatientsMerged(PatientKey("A"), PatientKey("B")), PatientsMerged(PatientKey("C"), PatientKey("D"))),
        id="two merges in one message",
    ),
    pytest.param(
        message("ADT^A34", "PID|1||NEW", "MRG|OLD"),
        (PatientsMerged(PatientKey("NEW"), PatientKey("OLD")),),
        id="merge, old event",
    ),
    pytest.param(
        message("ADT^A47", "PID|1||NEW", "MRG|OLD"),
        (PatientsMerged(PatientKey("NEW"), PatientKey("OLD")),),
        id="change of ID",
    ),
    pytest.param(
        message("ADT^A40", "PID|1||SAME", "MRG|SAME"), (NothingToDo("PID-3 and MRG-1 are the same ID"),), id="no-op"
    ),
    pytest.param(
        message("ADT^A08", "EVN|A08", "PID|1||X^^^^PI~P7^^^HOSP&1.2.3&ISO^MR||Doe^Jane||19700131|f"),
        (PatientUpdated(PATIENT, date(1970, 1, 31), "F"),),
        id="update; a record number goes before another ID; the namespace is the issuer",
    ),
    pytest.param(message("ADT^A08", PID), (PatientUpdated(PATIENT),), id="update, nothing stated"),
    pytest.param(
        message("ADT^A08", PID + "||||1970|M"), (PatientUpdated(PATIENT, None, "M"),), id="a birth date of a year"
    ),
    pytest.param(
        message("ADT^A08", "PID|1||A\\T\\7^^^H\\F\\1&1.2&ISO^MR"),
        (PatientUpdated(PatientKey("A&7", "H|1")),),
        id="escaped delimiters",
    ),
    pytest.param(message("ADT^A02", PID), (NothingToDo("ADT^A02 is not read"),), id="transfer"),
    pytest.param(
        message("ORM^O01", PID, "ORC|NW|77^EPIC", "OBR|1|||X1^CAR-T infusion^L|||202403041030"), (REPORTED,), id="ORM"
    ),
    pytest.param(
        message("OMI^O23", PID, "ORC|NW|77", "TQ1|1||||||20240304", "OBR|1|||X1^CAR-T infusion"), (REPORTED,), id="OMI"
    ),
    pytest.param(
        message("RDE^O11", PID, "ORC|NW|77", "RXE|1^^^202403041000+0100|X1^CAR-T infusion"), (REPORTED,), id="RDE"
    ),
    pytest.param(message("RAS^O17", PID, "ORC|RE|77", "RXA|0|1|202403041000||X1^CAR-T infusion"), (GIVEN,),
        id="RAS"),
    pytest.param(
        message("SIU^S12", "SCH|77||||||X1^CAR-T infusion||||^^^20240304", PID), (REPORTED,), id="SIU, timing in SCH"
    ),
    pytest.param(
        message("SIU^S12", "SCH|77", PID, "AIS|1||X1^CAR-T infusion|20240304"), (REPORTED,),
        id="SIU, service and time in AIS"
    ),
    pytest.param(
        message("ORM^O01", PID, "ORC|NW|77", "OBR|1|||CART1^^L|||20240304"),
        (InfusionReported(PATIENT, DAY, "CART1", "77"),),
        id="by the code alone",
    ),
    pytest.param(
        message("RDE^O11", PID, "ORC|NW|1", "RXE|^^^20240301|D1^fludarabine", "ORC|NW|77",
            "RXE|^^^20240304|X1^CAR-T infusion"),
        (REPORTED,),
        id="the infusion among other orders",
    ),
    pytest.param(message("ORM^O01", PID, "ORC|CA|77", "OBR|1|||CART1"), (InfusionCancelled(PATIENT, None, "77"),),
        id="cancelled"),
    pytest.param(
        message("SIU^S15", "SCH|77||||||X1^CAR-T||||^^^20240304", PID), (InfusionCancelled(PATIENT, DAY, "77"),),
        id="unscheduled"
    ),
    pytest.param(
        message("ORM^O01", PID, "ORC|NW|77", "OBR|1|||MRB^Brain MRI"), (NothingToDo("it orders no cell infusion"),),
        id="other order"
    ),
    pytest.param(message("ORU^R01", PID), (NothingToDo("ORU messages are not read"),), id="other message"),
    pytest.param(
        message("ADT^A08", "PID|1||P7||Müller||19700131").replace("ü".encode(), b"\xfc"),
        (PatientUpdated(PatientKey("P7"), date(1970, 1, 31)),),
        id="Latin 1 that is not stated",
    ),
    pytest.param(
        message("ADT^A08", "PID|1||P7||陈", character_set="GB 18030-2000").decode().encode("gb18030"),
        (PatientUpdated(PatientKey("P7")),),
        id="GB 18030",
    ),
    pytest.param(message("ADT^A08", PID).replace(b"\r", b"\r\n"), (PatientUpdated(PATIENT),), id="line feeds"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "facts"), READ)
def test_what_a_message_states(raw: bytes, facts: tuple[Fact, ...]) -> None:
    assert read(raw) == facts


@pytest.mark.parametrize(
    ("new", "old", "merges"),
    [
        pytest.param("200^^^H1", "100^^^H1", ["100>200"], id="noop: one each"),
        pytest.param("200", "100^^^H1", ["100>200"], id="not measured: no authority"),
        pytest.param("200^^^H1^MR~201^^^H2^MR", "100^^^H1^MR~101^^^H2^MR", ["100>200", "101>201"], id="two each"),
        pytest.param("200^^^H1^MR~201^^^H2^MR", "101^^^H2^MR~100^^^H1^MR", ["101>201", "100>200"], id="in any order"),
        pytest.param("200^^^H1^MR~201^^^H2^MR", "101^^^H2^MR", ["101>201"], id="the second authority alone"),
        pytest.param("E2^^^EPI~200^^^H1", "100^^^H1", ["100>200"], id="without types"),
        pytest.param("200^^^H1~100^^^H1", "100^^^H1", ["100>200"], id="the old ID among the new ones"),
        pytest.param("200^^^H1~E1^^^EPI", "100^^^H1~E1^^^EPI", ["100>200"], id="one of two stays"),
        pytest.param("200^^^H1", "100^^^H1~101^^^H2", ["100>200", "101>200"], id="two of one authority less"),
        pytest.param('""~200^^^H1', "100^^^H1", ["100>200"], id="an explicit null is no ID"),
    ],
)
def test_lists_of_ids_are_paired_by_their_authority(new: str, old: str, merges: list[str]) -> None:
    found = read(message("ADT^A40", f"PID|1||{new}", f"MRG|{old}"))
    said = [f"{one.old.patient_id}>{one.new.patient_id}" for one in found if isinstance(one, PatientsMerged)]
    assert said == merges


@pytest.mark.parametrize("event", ["A24", "A37", "A39", "A43"])
def test_a_link_is_for_a_human(event: str) -> None:
    (found,) = read(message(f"ADT^{event}", "PID|1||200", "PID|2||100", "MRG|100"))
    assert isinstance(found, NeedsPerson)


MALFORMED = [
    pytest.param(message("ADT^A40", 'PID|1||""', "MRG|100"), "PID-3", id="merge into an explicit null"),
    pytest.param(b"", "MSH", id="empty"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", "MSH", id="another protocol"),
    pytest.param(b"MSH|^~\\&|A\r", "MSH-9", id="cut short"),
    pytest.param(b"MSH|~^\\&|A|B|C|D|2024||ADT~A08|1|P|2.5\rPID|1||P\r", "MSH-2", id="other delimiters"),
    pytest.param(message("ADT^A08", PID).replace(b"|42|", b"||"), "MSH-10", id="no control ID"),
    pytest.param(message("ADT^A08"), "PID", id="no patient"),
    pytest.param(message("ADT^A40", "PID|1||P7"), "MRG", id="merge without the old ID"),
    pytest.param(message("ADT^A40", "PID|1||", "MRG|OLD"), "PID-3", id="merge without the new ID"),
    pytest.param(message("ADT^A08", "PID|1||P7||||31.01.1970"), "PID-7", id="date in another form"),
    pytest.param(message("ADT^A08", "PID|1||P7||||19700231"), "PID-7", id="no such day"),
    pytest.param(message("ORM^O01", PID, "ORC|NW|77", "OBR|1|||CART1"), "without a date", id="infusion without a date"),
    pytest.param(message("SIU^S15", "SCH|||||||CART1", PID), "cancellation", id="cancels nothing in particular"),
    pytest.param(message("ADT^A08", PID, character_set="KLINGON"), "MSH-18", id="unknown character set"),
    pytest.param(message("ADT^A08", PID + "\xff", character_set="ASCII"), "ascii", id="bytes of another character set"),
    pytest.param(b"MSH|^~\\&" + b"A" * LONGEST_BYTES, "bytes", id="too long"),
    pytest.param(message("ADT^A08", *["NTE|1"] * 3000), "segments", id="too many segments"),
]


@pytest.mark.parametrize(("raw", "said"), MALFORMED)
def test_malformed(raw: bytes, said: str) -> None:
    with pytest.raises(MalformedMessageError) as error:
        read(raw)
    assert said in str(error.value)
    assert "P7" not in str(error.value)


@given(st.binary(max_size=300).map(lambda tail: message("ADT^A40", PID)[:60] + tail))
def test_any_bytes_are_read_or_malformed(raw: bytes) -> None:
    with suppress(MalformedMessageError):  # anything else fails the test
        assert read(raw)
