"""Documents in, ORU^R01 out; hl7apy, which shares no code with the renderer, validates and reads every message."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.outputs.alerts.documents import (
    HEADER,
    PICTURE,
    RTL,
    a_document,
    evidence,
    not_assessable,
    quiet,
    stored,
)
from workers.alert_settings import MllpDestinationSettings
from workers.deliveries.stored import WithoutContent
from workers.identities import BIDI
from workers.outputs.alerts.hl7_codes import LONGEST, hl7_code
from workers.outputs.alerts.hl7_text import escaped, person_name, segment
from workers.outputs.alerts.oru import ORU
from workers.outputs.alerts.oru_for import Addressing, addressed
from workers.outputs.alerts.retraction import RETRACTIONS
from workers.outputs.beside import SITE_ZONE
from workers.outputs.dicom import codes
from workers.outputs.output import Output

UNESCAPES = {"\\F\\": "|", "\\S\\": "^", "\\T\\": "&", "\\R\\": "~", "\\E\\": "\\"}
EMBEDDED = Addressing(("ICANSEE", "KLINIK"), ("RIS", "HAUS & GARTEN"), "embedded")


def strict(message: bytes) -> Any:
    found = parse_message(message.decode(), validation_level=VALIDATION_LEVEL.STRICT)
    assert found.validate()
    return found


def rows(message: bytes, name: str) -> list[list[str]]:
    """The fields of each segment of that name, MSH counted like the others."""
    return [line.split("|") for line in message.decode().split("\r") if line.startswith(f"{name}|")]


def value_of(message: bytes, code: str) -> list[str]:
    return next(row for row in rows(message, "OBX") if row[3].startswith(f"{code}^"))


CASES = [
    pytest.param(a_document(), evidence(), id="P1"),
    pytest.param(a_document(stage="first_look"), evidence(RTL), id="first look, a right-to-left name"),
    pytest.param(quiet(), evidence(picture=False), id="noop: nothing found"),
    pytest.param(not_assessable(), evidence(), id="not assessable"),
    pytest.param(not_assessable(), {}, id="no headers stored"),
]


@pytest.mark.parametrize(("document", "files"), CASES)
@pytest.mark.parametrize("picture", ["none", "reference", "embedded"])
def test_valid_and_repeatable(document: dict[str, Any], files: dict[str, bytes], picture: Any) -> None:
    message = ORU.render(stored(document), files)
    assert message == ORU.render(stored(document), files)
    url = "https://icansee.hospital/studies/{study}"
    strict(addressed(message, Addressing(("ICANSEE", ""), ("RIS", ""), picture, url), "1.2.3"))


def test_priority_order_numbers_and_state() -> None:
    message = ORU.render(a_document(), evidence())
    (order,), (common,), (timing,) = rows(message, "OBR"), rows(message, "ORC"), rows(message, "TQ1")
    assert (common[1], common[2], common[3]) == ("RE", "P-1", "F-2")
    assert (order[2], order[3], order[5], order[18], order[25], order[27]) == (
        "P-1",
        "F-2",
        "S",
        "ACC-7",
        "P",
        "^^^^^S",
    )
    assert (order[7], order[22]) == ("20240311083015+0900", "20240311090001+0000")
    assert timing[9] == "S^STAT^HL70485"
    assert value_of(message, "category")[8] == "AA"
    assert {row[11] for row in rows(message, "OBX")} == {"P"}


@pytest.mark.parametrize(
    ("priority", "stated"),
    [("P1", "S"), ("P2", "A"), pytest.param("P3", None, id="P3"), pytest.param("unchanged", None, id="noop")],
)
def test_an_order_is_never_made_less_urgent(priority: str, stated: str | None) -> None:
    document = a_document()
    document["decision"]["priority"] = priority
    message = ORU.render(document, evidence())
    timings = [row[9][0] for row in rows(message, "TQ1")]
    assert timings == ([] if stated is None else [stated])
    assert rows(message, "OBR")[0][5] == (stated or "")


@pytest.mark.parametrize(("document", "files"), CASES)
def test_nothing_is_called_normal(document: dict[str, Any], files: dict[str, bytes]) -> None:
    flags = {row[8] for row in rows(ORU.render(stored(document), files), "OBX")}
    assert flags <= {"", "A", "AA"}


def test_the_patient_in_three_scripts() -> None:
    found = strict(ORU.render(a_document(), evidence())).oru_r01_patient_result.oru_r01_patient.pid
    assert found.pid_3.value == "A\\F\\1\\S\\2^^^KLINIK^MR"
    assert [name.value for name in found.pid_5] == [
        "Yamada^Tarou^^^^^L^A", "山田^太郎^^^^^L^I", "やまだ^たろう^^^^^L^P",
    ]  # fmt: skip


def test_a_direction_mark_in_a_name_is_removed() -> None:
    (patient,) = rows(ORU.render(a_document(), evidence(RTL)), "PID")
    assert patient[5] == "כהן^דוד^^^^^L^A"


def test_every_measurement_is_an_observation() -> None:
    document = a_document()
    why = "coverage: 31 % of the region"
    document["measurements"][3] |= {"value": None, "assessable": False, "reason": why}
    message = ORU.render(document, evidence())
    strict(message)
    places = {(hl7_code(m["region"]), hl7_code(m["quantity"])): m for m in document["measurements"]}
    found = {(row[4], row[3].split("^")[0]): row for row in rows(message, "OBX") if len(row) > 4 and row[4]}
    assert found.keys() == places.keys()
    for key, m in places.items():
        given_back = float(found[key][5]) if found[key][5] else None
        assert given_back == (None if m["value"] is None else pytest.approx(m["value"], rel=1e-5))
        assert found[key][11] == ("X" if m["value"] is None else "P")
    assert found["thalamus_left", "flair_change_percent"][8] == "A"
    assert any(row[3] == why for row in rows(message, "NTE"))


def test_each_version_is_a_message_of_its_own() -> None:
    versions = [
        ORU.render(document, evidence(revision=revision))
        for document in (a_document(), a_document(stage="first_look"))
        for revision in (1, 2)
    ]
    numbers = {rows(message, "MSH")[0][9] for message in versions}
    assert len(numbers) == len(versions)
    assert all(len(number) == 20 for number in numbers)


def test_the_picture() -> None:
    message = ORU.render(a_document(), evidence())
    embedded = addressed(message, EMBEDDED, "1.2.3")
    data = value_of(embedded, "picture")[5].split("^")
    assert base64.b64decode(data[4]) == PICTURE
    referred = addressed(message, Addressing(("I", ""), ("R", ""), "reference", "https://i/{study}?a=1&b"), "1.2.3")
    assert value_of(referred, "picture")[2:6:3] == ["RP", "https://i/1.2.3?a=1\\T\\b^ICANSEE^IM^PNG"]
    without = addressed(message, Addressing(("I", ""), ("R", ""), "none"), "1.2.3")
    assert len(rows(without, "OBX")) == len(rows(message, "OBX")) - 1
    assert rows(embedded, "MSH")[0][2:6] == ["ICANSEE", "KLINIK", "RIS", "HAUS \\T\\ GARTEN"]


@pytest.mark.parametrize("picture", ["none", "reference"])
def test_a_picture_that_is_not_passed_on_need_not_be_there_yet(picture: Any) -> None:
    addressing = Addressing(("I", ""), ("R", ""), picture, "https://i/{study}")
    settings = MllpDestinationSettings(
        name="ris", kind="mllp", host="localhost", port=1, outputs=("oru",), picture=picture, picture_url="https://i/"
    )
    without = ORU.render(a_document(), WithoutContent(evidence(), settings.never_passed_on))
    full = addressed(ORU.render(a_document(), evidence()), addressing, "1.2.3")
    assert addressed(without, addressing, "1.2.3") == full
    assert len(without) < len(ORU.render(a_document(), evidence()))
    assert settings.model_copy(update={"picture": "embedded"}).never_passed_on == ()


@given(st.text())
def test_an_escaped_text_is_one_component(text: str) -> None:
    said = escaped(text)
    assert not set(said) & set("|^&~\r\n")
    assert not set(said) & BIDI
    parts = said.split("\\")
    back = "".join(UNESCAPES[f"\\{part}\\"] if place % 2 else part for place, part in enumerate(parts))
    kept = " ".join(text.split())
    assert back == "".join(c for c in kept if c not in BIDI and (c.isprintable() or not _control(c)))


def _control(character: str) -> bool:
    import unicodedata

    return unicodedata.category(character) in ("Cc", "Cs")


@pytest.mark.parametrize(
    ("dicom", "hl7"),
    [
        pytest.param("", "", id="noop"),
        pytest.param("Doe^Jane^M^Dr^MD", "Doe^Jane^M^MD^Dr^^L^A", id="prefix and suffix change places"),
        pytest.param("=山田^太郎", "山田^太郎^^^^^L^I", id="no alphabetic group"),
        pytest.param("a^b^c^d^e^f^g=x^y=z=w", "a^b^c^e^d^^L^A~x^y^^^^^L^I~z^^^^^^L^P", id="too many parts"),
    ],
)
def test_person_name(dicom: str, hl7: str) -> None:
    assert person_name(dicom) == hl7


def test_a_segment_ends_with_its_last_field() -> None:
    assert segment("ORC", f1="RE", f3="7", f9="") == "ORC|RE||7"


def every_name() -> list[str]:
    """Of regions with their sides, and of quantities and categories."""
    regions = [f"{name}{side}" for name in codes.REGIONS for side in ("", "_left", "_right")]
    return [*regions, *codes.QUANTITIES, *codes.CATEGORIES]


def test_every_name_has_a_code_of_its_own_that_is_short_enough() -> None:
    names = every_name()
    found = {name: hl7_code(name) for name in names}
    assert len(set(found.values())) == len(set(names))
    assert not [code for code in found.values() if len(code) > LONGEST]
    assert all(code == name for name, code in found.items() if len(name) <= LONGEST), "no-op: a short name"
    assert len(hl7_code("a_name_that_nobody_shortened_left")) == LONGEST
    assert hl7_code("a_name_that_nobody_shortened_left") != hl7_code("a_name_that_nobody_shortened_right")


def test_no_identifier_is_longer_than_its_field() -> None:
    document = a_document()
    row = document["measurements"][0]
    places = [(region, quantity) for region in codes.REGIONS for quantity in codes.QUANTITIES]
    places += [(f"{region}_{side}", "volume_ml") for region in codes.REGIONS for side in codes.SIDES]
    document["measurements"] = [row | {"region": region, "quantity": quantity} for region, quantity in places]
    message = ORU.render(document, evidence())
    found = rows(message, "OBX")
    assert not [one for one in found if len(one[3].split("^")[0]) > LONGEST or len(one[4]) > LONGEST]
    assert not [one for one in found if one[2] == "CWE" and len(one[5].split("^")[0]) > LONGEST]
    assert len({(one[3].split("^")[0], one[4]) for one in found if one[4]}) == len(places)
    assert "Neurotoxicity suspected" in value_of(message, "category")[5]


@pytest.mark.parametrize(
    ("name", "sent"), [pytest.param("", "^^^^^^U", id="none"), pytest.param("Doe^Jane", "Doe^Jane^^^^^L^A", id="no-op")]
)
def test_a_name_that_is_not_known_deletes_none(name: str, sent: str) -> None:
    message = ORU.render(a_document(), evidence(HEADER | {"PatientName": name}))
    strict(message)
    assert rows(message, "PID")[0][5] == sent


@pytest.mark.parametrize(
    ("day", "clock", "offset", "site", "observed"),
    [
        pytest.param("20240311", "083015.5", "+0900", "Europe/Berlin", "20240311083015+0900", id="no-op: stated"),
        pytest.param("20240311", "083015", "", "Europe/Berlin", "20240311083015+0100", id="winter time of the site"),
        pytest.param("20240711", "0830", "", "Europe/Berlin", "202407110830+0200", id="summer time then"),
        pytest.param("20240311", "083015", "CET", "Asia/Kolkata", "20240311083015+0530", id="another form"),
        pytest.param("20240311", "083015", "", "", "20240311", id="not measured: no zone, so no time"),
        pytest.param("20240311", "", "", "Europe/Berlin", "20240311", id="a day alone"),
        pytest.param("20240311", "996099", "", "Europe/Berlin", "20240311", id="not a time"),
        pytest.param("", "083015", "", "Europe/Berlin", "20240311", id="no day: that of the decision"),
    ],
)
@pytest.mark.parametrize("output", [ORU, *(one for one in RETRACTIONS if one.kind == "retract_oru")])
def test_a_time_of_the_images_is_never_taken_for_utc(
    output: Output, day: str, clock: str, offset: str, site: str, observed: str
) -> None:
    """A time without an offset is one of the zone of MSH-7 (HL7 v2.5.1, 2.15.9.7)."""
    header = {**HEADER, "StudyDate": day, "StudyTime": clock, "TimezoneOffsetFromUTC": offset}
    message = output.render(a_document(), {**evidence(header), SITE_ZONE: site.encode()})
    assert rows(message, "OBR")[0][7] == observed
    assert rows(message, "MSH")[0][6].endswith("+0000")
    strict(message)
