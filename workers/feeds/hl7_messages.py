"""Bytes of one HL7 v2 message in, the facts that it states out. Pure; the only file that knows the ``hl7`` library.

Read are ADT (A08 update, A18/A34/A36/A40 merge, A46/A47 change of ID), the infusion in ORM, OMI, RDE, RAS and SIU, and
that a study was read in ORU, ORM and OMI (hl7_readings.py).
Fields are named as in HL7 v2.5.1, chapters 3 (ADT), 4 (orders) and 10 (scheduling).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from workers.feeds.facts import (
    Fact,
    InfusionCancelled,
    InfusionReported,
    NothingToDo,
    PatientsMerged,
    PatientUpdated,
)
from workers.feeds.hl7_fields import field_components, field_repetitions, field_text
from workers.feeds.hl7_readings import NO_SIGNS, ReadingSigns, readings_in
from workers.moments import parse_date
from workers.ports import PatientKey

LONGEST_BYTES = 1 << 20
MOST_SEGMENTS = 2000
MERGES = frozenset({"A18", "A34", "A36", "A40", "A46", "A47"})
UPDATES = frozenset({"A01", "A04", "A05", "A08", "A28", "A31"})
ORDERS = frozenset({"ORM", "OMI", "OML", "OMP", "ORP", "RDE", "RAS", "RGV"})
CANCELS = frozenset({"CA", "OC", "DC", "OD", "CR"})  # ORC-1, HL7 table 0119
SCHEDULE_CANCELS = frozenset({"S15", "S16", "S17", "S26"})
DELIMITERS = "MSH|^~\\&"  # the recommended ones (v2.5.1, 2.5.4); others are not read
# where an order says what it is for, and when: segment -> fields
CODED = {"OBR": (4,), "RXO": (1,), "RXE": (2,), "RXA": (5,), "RXG": (4,), "AIS": (3,), "SCH": (7, 8)}
TIMES = (("RXA", 3), ("TQ1", 7), ("AIS", 4), ("OBR", 7), ("OBR", 36), ("RXG", 3))
QUANTITY_TIMING = (("ORC", 7), ("RXE", 1), ("SCH", 11), ("OBR", 27))  # component 4: start, HL7 v2.3 to v2.5
# HL7 table 0211 -> Python
CHARACTER_SETS = {
    "": "utf-8", "ASCII": "ascii", "8859/1": "latin-1", "8859/2": "iso8859-2", "8859/5": "iso8859-5",
    "8859/7": "iso8859-7",
    "8859/9": "iso8859-9", "8859/15": "iso8859-15", "UNICODE UTF-8": "utf-8", "UNICODE": "utf-8", "UTF-8": "utf-8",
    "GB 18030-2000": "gb18030", "ISO IR87": "iso2022_jp", "KS X 1001": "euc_kr", "BIG-5": "big5",
    "CNS 11643-1992": "euc_tw",
}  # fmt: skip


@dataclass(frozen=True)
class Header:
    """MSH of a message, as the answer needs it."""

    control_id: str
    message_type: str
    event: str
    version: str
    sending: tuple[str, str]
    receiving: tuple[str, str]


class MalformedMessageError(Exception):
    """The message is not what it says it is. The text names the field and quotes no patient.

    header: of the message, when that much of it could be read.
    """

    def __init__(self, text: str, header: Header | None = None) -> None:
        super().__init__(text)
        self.header = header


# An order of images often says why: "MR brain, day 9 after CAR-T". It is no infusion, whatever words it has.
IMAGING = re.compile(r"\b(MRI?|MRT|CT|PET|EEG|US|X-?ray|scan|imaging|radiolog\w*|post|after|follow)\b", re.IGNORECASE)


@dataclass(frozen=True)
class InfusionWords:
    """How a site's orders name a cell infusion: exact codes, and words of the text (any case)."""

    codes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def name(self, coded: Sequence[str]) -> str | None:
        """The infusion that a coded element (code, text, system, ...) names; None: another thing."""
        code, text = (coded[0] if coded else ""), " ".join(coded[1:2])
        if code and code in self.codes:
            return text or code
        if IMAGING.search(text):
            return None
        found = next((word for word in self.words if word.casefold() in f"{code} {text}".casefold()), None)
        return None if found is None else text or code


def parse(raw: bytes) -> tuple[Header, Any]:
    """The header and the parsed message.

    Raises:
        MalformedMessageError: too long, no MSH, unreadable characters, no control ID or type.
    """
    import hl7

    if len(raw) > LONGEST_BYTES:
        raise MalformedMessageError(f"{len(raw)} bytes, more than the {LONGEST_BYTES} allowed")
    text = _text(raw)
    if text.count("\r") > MOST_SEGMENTS:
        raise MalformedMessageError(f"more than {MOST_SEGMENTS} segments")
    if not text.startswith("MSH") or len(text) < len("MSH|^~\\&|"):
        raise MalformedMessageError("it does not begin with an MSH segment")
    if not text.startswith(DELIMITERS):
        raise MalformedMessageError("MSH-1 and MSH-2 are not |^~\\&")
    try:
        message = hl7.parse(text)
    except Exception as error:  # the library lets what it stumbles over through
        raise MalformedMessageError(f"it cannot be parsed ({type(error).__name__})") from None
    msh = message.segments("MSH")[0]
    kind = field_components(msh, 9)
    header = Header(
        control_id=field_text(msh, 10),
        message_type=kind[0] if kind else "",
        event=kind[1] if len(kind) > 1 else "",
        version=field_text(msh, 12) or "2.3",
        sending=(field_text(msh, 3), field_text(msh, 4)),
        receiving=(field_text(msh, 5), field_text(msh, 6)),
    )
    if not header.message_type:
        raise MalformedMessageError("MSH-9 (message type) is empty")
    if not header.control_id:
        raise MalformedMessageError("MSH-10 (message control ID) is empty")
    return header, message


def facts_of(header: Header, message: Any, words: InfusionWords, signs: ReadingSigns = NO_SIGNS) -> tuple[Fact, ...]:
    """What the message states.

    Args:
        signs: what counts as the reading of a study.

    Raises:
        MalformedMessageError: a field that its event needs is missing or wrong.
    """
    stated: tuple[Fact, ...] = readings_in(header.message_type, message, signs)
    if header.message_type == "ADT":
        stated += _adt(header, message)
    elif header.message_type in ORDERS or header.message_type == "SIU":
        stated += _infusions(header, message, words)
    return stated or (NothingToDo(f"{header.message_type} messages are not read"),)


def _adt(header: Header, message: Any) -> tuple[Fact, ...]:
    if header.event in MERGES:
        merged = tuple(_merge(pid, mrg) for pid, mrg in _pairs(message))
        if not merged:
            raise MalformedMessageError(f"ADT^{header.event} without a PID and MRG segment")
        return merged
    if header.event in UPDATES:
        pid = _only(message, "PID")
        return (
            PatientUpdated(_patient(pid, 3, "PID-3"), _day(field_text(pid, 7), "PID-7"), field_text(pid, 8).upper()),
        )
    return (NothingToDo(f"ADT^{header.event} is not read"),)


def _pairs(message: Any) -> list[tuple[Any, Any]]:
    """Each MRG with the PID before it."""
    pairs, pid = [], None
    for segment in message:
        name = str(segment[0])
        if name == "PID":
            pid = segment
        elif name == "MRG" and pid is not None:
            pairs.append((pid, segment))
    return pairs


def _merge(pid: Any, mrg: Any) -> Fact:
    new, old = _patient(pid, 3, "PID-3"), _patient(mrg, 1, "MRG-1")
    if new == old:
        return NothingToDo("PID-3 and MRG-1 are the same ID")
    return PatientsMerged(new, old)


def _infusions(header: Header, message: Any, words: InfusionWords) -> tuple[Fact, ...]:
    groups = _orders(message) if header.message_type != "SIU" else [list(message)]
    named = [(group, name) for group in groups if (name := _infusion_name(group, words)) is not None]
    if not named:
        return (NothingToDo("it orders no cell infusion"),)
    patient = _patient(_only(message, "PID"), 3, "PID-3")
    return tuple(_infusion(header, group, name, patient) for group, name in named)


def _orders(message: Any) -> list[list[Any]]:
    """The segments of each order: ORC and what follows it."""
    groups: list[list[Any]] = []
    for segment in message:
        if str(segment[0]) == "ORC" or not groups:
            groups.append([])
        groups[-1].append(segment)
    return groups


def _infusion_name(group: Sequence[Any], words: InfusionWords) -> str | None:
    for segment in group:
        for number in CODED.get(str(segment[0]), ()):
            name = words.name(field_components(segment, number))
            if name is not None:
                return name
    return None


def _infusion(header: Header, group: Sequence[Any], name: str, patient: PatientKey) -> Fact:
    by_name: Mapping[str, Any] = {str(segment[0]): segment for segment in reversed(group)}
    orc, sch = by_name.get("ORC"), by_name.get("SCH")
    order = next(
        (n for s, f in ((orc, 2), (orc, 3), (sch, 1), (sch, 2)) if s is not None and (n := field_text(s, f))), ""
    )
    day = _start(by_name)
    cancelled = header.event in SCHEDULE_CANCELS or (orc is not None and field_text(orc, 1).upper() in CANCELS)
    if cancelled:
        if day is None and not order:
            raise MalformedMessageError("a cancellation without an order number and without a date")
        return InfusionCancelled(patient, day, order)
    if day is None:
        raise MalformedMessageError(
            "an infusion without a date (TQ1-7, ORC-7.4, RXE-1.4, RXA-3, AIS-4, SCH-11.4 or OBR-7)"
        )
    return InfusionReported(patient, day, name, order)


def _start(by_name: Mapping[str, Any]) -> date | None:
    for name, number in TIMES:
        if name in by_name and (text := field_text(by_name[name], number)):
            return _day(text, f"{name}-{number}")
    for name, number in QUANTITY_TIMING:
        if name in by_name and len(parts := field_components(by_name[name], number)) > 3 and parts[3]:
            return _day(parts[3], f"{name}-{number}.4")
    return None


def _patient(segment: Any, number: int, where: str) -> PatientKey:
    """The first ID of a list of CX, a medical record number before others (CX-5, HL7 table 0203)."""
    ids = [parts for parts in field_repetitions(segment, number) if parts and parts[0]]
    if not ids:
        raise MalformedMessageError(f"{where} (patient ID) is empty")
    best = next((parts for parts in ids if len(parts) > 4 and parts[4] == "MR"), ids[0])
    return PatientKey(best[0], best[3].split("&")[0] if len(best) > 3 else "")


def _only(message: Any, name: str) -> Any:
    found = [segment for segment in message if str(segment[0]) == name]
    if not found:
        raise MalformedMessageError(f"no {name} segment")
    return found[0]


def _day(text: str, where: str) -> date | None:
    """The date of an HL7 DT or TS; None when empty."""
    if not text:
        return None
    if not re.fullmatch(r"\d{8}(\d{2,6}(\.\d{1,4})?)?([+-]\d{4})?", text):
        raise MalformedMessageError(f"{where} is no date written YYYYMMDD[HHMM[SS]]")
    day = parse_date(text[:8])
    if day is None:
        raise MalformedMessageError(f"{where} is no date of the calendar")
    return day


def _text(raw: bytes) -> str:
    """The message as text, segments ended by carriage returns, in the character set of MSH-18."""
    head = raw[:512].split(b"\r")[0].split(b"\n")[0].decode("latin-1")
    fields = head.split(head[3]) if len(head) > 3 and head.startswith("MSH") else []
    named = fields[17].split("~")[0].strip() if len(fields) > 17 else ""
    codec = CHARACTER_SETS.get(named.upper().replace("ISO 8859-", "8859/"))
    if codec is None:
        raise MalformedMessageError("MSH-18 names a character set that is not known")
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError:
        if named:
            raise MalformedMessageError(f"its bytes are not {codec}, which MSH-18 states") from None
        text = raw.decode("latin-1")  # no character set is stated: old senders write Latin 1
    return text.replace("\r\n", "\r").replace("\n", "\r").strip("\r ") + "\r"
