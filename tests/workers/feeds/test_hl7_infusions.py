"""Orders and appointments in, which infusion on which day is said, taken back, or left to a human."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.workers.feeds.test_apply import left
from tests.workers.feeds.test_hl7_messages import DAY, GIVEN, PATIENT, PID, REPORTED, message, read
from workers.feeds.apply import NotJudgedError
from workers.feeds.facts import Cancellation, Fact, InfusionCancelled, NeedsPerson, NothingToDo
from workers.ports import PatientKey

OBR = "OBR|1|77||CART1^CAR-T infusion|||20240304"
AIS = "AIS|1||CART1^CAR-T infusion|20240304"
NOTHING = NothingToDo("it orders no cell infusion")
E9 = PatientKey("E9", "EPI")


def rxa(completion: str = "", entry: str = "", day: str = "20240304", text: str = "CART1^CAR-T infusion") -> str:
    return f"RXA|0|1|{day}||{text}|1||||||||||||||{completion}|{entry}"


def given(*segments: str) -> bytes:
    return message("RAS^O17", PID, "ORC|RE|77", *segments)


def ordered(orc: str, *segments: str) -> bytes:
    return message("ORM^O01", PID, orc, *(segments or (OBR,)))


def cancelled(why: Cancellation = Cancellation.CANCELLED) -> InfusionCancelled:
    return InfusionCancelled(PATIENT, DAY, "77", why)


NOT_GIVEN, DELETED = cancelled(Cancellation.NOT_GIVEN), cancelled(Cancellation.DELETED)
DISCONTINUED = cancelled(Cancellation.DISCONTINUED)


@pytest.mark.parametrize(
    ("raw", "fact"),
    [
        pytest.param(ordered("ORC|SC|77|||IP"), REPORTED, id="noop: a status that takes nothing back"),
        pytest.param(ordered("ORC|SC|77"), REPORTED, id="not measured: no status"),
        pytest.param(given(rxa()), GIVEN, id="given, no completion stated"),
        pytest.param(given(rxa("CP", "A")), GIVEN, id="given"),
        pytest.param(given(rxa("PA")), GIVEN, id="part of it"),
        pytest.param(given(rxa("NA")), NOT_GIVEN, id="not administered"),
        pytest.param(given(rxa("RE")), NOT_GIVEN, id="refused"),
        pytest.param(given(rxa("CP", "D")), DELETED, id="the entry is deleted"),
        pytest.param(given(rxa("NA", "U")), DELETED, id="the entry is corrected to not administered"),
        pytest.param(given(rxa("CP"), rxa("NA", day="20240305")), GIVEN, id="one of two bags"),
        pytest.param(given(rxa("CP", "D", "20240301"), rxa("CP", "A")), GIVEN, id="deleted and entered anew"),
        pytest.param(given(rxa("", "RE")), NeedsPerson, id="a code that is not known"),
        pytest.param(message("RAS^O17", PID, "ORC|CA|77", rxa("CP")), NeedsPerson, id="given, and cancelled"),
        pytest.param(message("RAS^O17", PID, "ORC|OD|77", rxa("CP")), GIVEN, id="given, and discontinued"),
        pytest.param(ordered("ORC|SC|77|||CA"), cancelled(), id="ORC-5 cancelled"),
        pytest.param(ordered("ORC|SC|77|||DC"), DISCONTINUED, id="ORC-5 discontinued"),
        pytest.param(ordered("ORC|SC|77|||HD"), NeedsPerson, id="ORC-5 on hold"),
        pytest.param(ordered("ORC|UA|77"), cancelled(), id="not accepted"),
        pytest.param(ordered("ORC|RP|77"), cancelled(), id="replaced by another order"),
        pytest.param(ordered("ORC|RU|77"), cancelled(), id="replaced, unsolicited"),
        pytest.param(ordered("ORC|CR|77"), cancelled(), id="cancelled as requested"),
        pytest.param(ordered("ORC|OD|77"), DISCONTINUED, id="discontinued"),
        pytest.param(ordered("ORC|HD|77"), NeedsPerson, id="on hold"),
        pytest.param(ordered("ORC|RE|77", OBR + 18 * "|" + "X"), cancelled(), id="OBR-25: no result, cancelled"),
        pytest.param(message("SIU^S14", "SCH|77" + 24 * "|" + "Booked", PID, AIS), REPORTED, id="booked"),
        pytest.param(message("SIU^S14", "SCH|77" + 24 * "|" + "Cancelled", PID, AIS), cancelled(), id="SCH-25"),
        pytest.param(message("SIU^S14", "SCH|77" + 24 * "|" + "N^No Show", PID, AIS), cancelled(), id="SCH-25, text"),
        pytest.param(message("SIU^S14", "SCH|77" + 24 * "|" + "Dc", PID, AIS), DISCONTINUED, id="SCH-25 Dc"),
        pytest.param(message("SIU^S14", "SCH|77", PID, AIS + 6 * "|" + "Deleted"), cancelled(), id="AIS-10"),
        pytest.param(message("SIU^S14", "SCH|77", PID, AIS.replace("1||", "1|D|")), cancelled(), id="AIS-2"),
        pytest.param(
            message("SIU^S14", "SCH|77", PID, "AIS|1||L^Lymphodepletion|20240227||||||Cancelled", AIS),
            REPORTED,
            id="another service is cancelled",
        ),
    ],
)
def test_what_becomes_of_an_infusion(raw: bytes, fact: Fact | type[NeedsPerson]) -> None:
    (found,) = read(raw)
    assert isinstance(found, fact) if isinstance(fact, type) else found == fact


LYMPHODEPLETION = "AIS|1||LD^Lymphodepletion chemotherapy|20240227"


@pytest.mark.parametrize(
    ("raw", "days"),
    [
        pytest.param(message("SIU^S12", "SCH|77", PID, AIS), [4], id="noop: one service"),
        pytest.param(message("SIU^S12", "SCH|77", PID, LYMPHODEPLETION, AIS), [4], id="lymphodepletion first"),
        pytest.param(message("SIU^S12", "SCH|77", PID, AIS, LYMPHODEPLETION), [4], id="lymphodepletion second"),
        pytest.param(
            message("SIU^S12", "SCH|77", PID, "AIS|1||MR1^MRI brain|20240310", AIS), [4], id="images before it"
        ),
        pytest.param(
            message("SIU^S12", "SCH|77||||||||||^^^20240304", PID, LYMPHODEPLETION, "AIS|2||CART1"), [4],
            id="a service without a time: that of the appointment",
        ),
        pytest.param(
            message("SIU^S12", "SCH|77||||||X1^CAR-T infusion", PID, "AIS|1||R^Room 4|20240304"), [4],
            id="named by the appointment",
        ),
        pytest.param(
            ordered("ORC|NW|77", "OBR|1|77||LD^fludarabine|||20240227", OBR.replace("1|", "2|", 1)), [4],
            id="two OBR of an order",
        ),
        pytest.param(
            ordered("ORC|NW|77|||||^^^20240304", "OBR|1|77||LD^fludarabine|||20240227", "OBR|2|77||CART1"), [4],
            id="an OBR without a time: that of the order",
        ),
        pytest.param(
            message("RDE^O11", PID, "ORC|NW|77", "RXE|^^^20240227|D1^fludarabine", "RXE|^^^20240304|X1^CAR-T"), [4],
            id="two drugs of an order",
        ),
        pytest.param(
            message("RAS^O17", PID, "ORC|RE|77", rxa("CP", day="20240227", text="D1^fludarabine"), rxa("CP")), [4],
            id="another drug was given first",
        ),
        pytest.param(
            message("RAS^O17", PID, "ORC|RE|77", rxa("NA", day="20240227", text="D1^fludarabine"), rxa("CP")), [4],
            id="another drug was not given",
        ),
    ],
)  # fmt: skip
def test_the_day_is_that_of_the_service(raw: bytes, days: list[int]) -> None:
    assert [getattr(one, "day", None) for one in read(raw)] == [date(2024, 3, day) for day in days]


@pytest.mark.parametrize(
    ("raw", "fact"),
    [
        pytest.param(message("OML^O21", PID, "ORC|NW|88", OBR), NothingToDo, id="a laboratory orders no infusion"),
        pytest.param(message("OMG^O19", PID, "ORC|NW|77", OBR), REPORTED, id="a general order"),
        pytest.param(
            ordered("ORC|NW|88", "OBR|1|||A^Leukapheresis for axicabtagene|||20240110"), NOTHING, id="collection"
        ),
        pytest.param(
            message("SIU^S12", "SCH|9||||||X^CAR-T", PID, "AIS|1||V^Clinic|20240318"), NeedsPerson,
            id="the reason of another appointment",
        ),
        pytest.param(
            message("SIU^S12", "SCH|9||||||X^CAR-T infusion", PID, "AIS|1||V^MRI brain|20240318"), NeedsPerson,
            id="the reason of images",
        ),
        pytest.param(
            ordered("ORC|NW|88", "OBR|1|||X^CAR-T programme|||20240304"), NeedsPerson, id="it does not say what is done"
        ),
        pytest.param(
            ordered("ORC|CA|88", "OBR|1|||X^CAR-T programme|||20240304"), InfusionCancelled(PATIENT, None, "88"),
            id="the same, cancelled: by its number only",
        ),
    ],
)  # fmt: skip
def test_what_is_no_infusion_or_cannot_be_told(raw: bytes, fact: Fact | type[Fact]) -> None:
    (found,) = read(raw)
    assert isinstance(found, fact) if isinstance(fact, type) else found == fact


def test_every_record_number_of_the_patient() -> None:
    raw = ordered("ORC|NW|77").replace(b"||P7^^^HOSP^MR", b"||E9^^^EPI^MR~X^^^^SS~P7^^^HOSP^MR")
    assert read(raw) == (replace(REPORTED, patient=E9, also=(PATIENT,)),)


BOOKED, OFF = "AIS|1||CART1^CAR-T infusion|20240311", AIS + 6 * "|" + "Cancelled"
MOVED = ordered("ORC|XO|77", OBR.replace("0304", "0311"))
LATER = "OBR|1|88||CART1^CAR-T infusion|||20240415"
PLAN, ENDED = ordered("ORC|NW|77"), ordered("ORC|DC|77", "OBR|1|77||CART1")


@pytest.mark.parametrize(
    ("messages", "days"),
    [
        pytest.param([PLAN], [4], id="noop: planned"),
        pytest.param([PLAN, ENDED], [], id="discontinued before it was given"),
        pytest.param([PLAN, given(rxa("CP")), ENDED], [4], id="given, and its order ends"),
        pytest.param([given(rxa()), ENDED], [4], id="not measured: no completion stated, and its order ends"),
        pytest.param([PLAN, given(rxa("CP", day="20240305")), PLAN, ENDED], [5], id="given on another day"),
        pytest.param([PLAN, given(rxa("CP")), given(rxa("CP", "D"))], [], id="the entry was wrong"),
        pytest.param([PLAN, given(rxa("CP", "A", "20240301")), given(rxa("CP")), given(rxa("CP", "D", "20240301"))],
            [4], id="an older entry was wrong"),
        pytest.param([PLAN, given(rxa("NA"))], [], id="not given"),
        pytest.param([PLAN, given(rxa("NA")), PLAN, given(rxa("CP"))], [4], id="not given at first"),
        pytest.param([PLAN, ordered("ORC|CA|77", "OBR|1|77||CART1"), given(rxa("CP"))], [4], id="given after all"),
        pytest.param([PLAN, MOVED], [11], id="moved"),
        pytest.param([PLAN, message("ORM^O01", PID, "ORC|RP|77", OBR, "ORC|RO|88", LATER)], [15],
            id="an order replaces another one"),
        pytest.param([PLAN, message("SIU^S14", "SCH|77", PID, OFF, BOOKED)], [11], id="one service for another"),
        pytest.param([PLAN, message("SIU^S14", "SCH|77", PID, BOOKED, OFF)], [11], id="the same, the new one first"),
    ],
)  # fmt: skip
def test_a_course_of_messages(tmp_path: Path, messages: list[bytes], days: list[int]) -> None:
    index = left(tmp_path, *(fact for raw in messages for fact in read(raw)))
    assert sorted(day.day for _, day in index.infusions) == days


@pytest.mark.parametrize(
    ("messages", "days"),
    [
        pytest.param([ENDED], [], id="the end of an order that is not known"),
        pytest.param([given(rxa("CP")), ordered("ORC|CA|77")], [4], id="what was given is cancelled"),
        pytest.param([given(rxa("CP")), given(rxa("NA"))], [4], id="one entry says given, another not given"),
        pytest.param([PLAN, given(rxa("RE", day="20240301"))], [4], id="not given on another day than planned"),
        pytest.param([PLAN, ordered("ORC|HD|77")], [4], id="on hold"),
    ],
)
def test_what_a_human_must_judge(tmp_path: Path, messages: list[bytes], days: list[int]) -> None:
    """Nothing is taken away meanwhile."""
    facts = [fact for raw in messages for fact in read(raw)]
    with pytest.raises(NotJudgedError) as error:
        left(tmp_path, *facts)
    assert "P7" not in str(error.value)
    index = left(tmp_path / "again", *facts[:-1])
    with pytest.raises(NotJudgedError):
        left(tmp_path / "again", facts[-1], index=index)
    assert sorted(day.day for _, day in index.infusions) == days


def test_the_rest_of_a_message_holds(tmp_path: Path) -> None:
    unknown = InfusionCancelled(PATIENT, None, "66")
    index = left(tmp_path)
    with pytest.raises(NotJudgedError):
        left(tmp_path, (unknown, REPORTED), index=index)
    assert [day for _, day in index.infusions] == [DAY]


def test_an_order_under_two_ids_is_cancelled_under_both(tmp_path: Path) -> None:
    both, later = replace(REPORTED, patient=E9, also=(PATIENT,)), DAY + timedelta(days=7)
    moved = replace(REPORTED, day=later)
    assert set(left(tmp_path, both).infusions) == {(E9, DAY), (PATIENT, DAY)}
    assert set(left(tmp_path / "moved", both, moved).infusions) == {(E9, later), (PATIENT, later)}
    assert not left(tmp_path / "cancelled", both, cancelled()).infusions
