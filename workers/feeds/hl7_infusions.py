"""A parsed message about orders or appointments in, the cell infusions that it orders, reports or takes back out.

One order (ORC) or appointment (SCH) may hold several services (OBR, AIS): the date is that of the service that is the
infusion. What may be an infusion and cannot be told is a fact for a human.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto
from typing import Any

from workers.feeds.facts import Cancellation, Fact, InfusionCancelled, InfusionReported, NeedsPerson, NothingToDo
from workers.feeds.hl7_fields import (
    Header,
    MalformedMessageError,
    day_in,
    field_components,
    field_text,
    record_numbers,
)
from workers.feeds.infusion_words import InfusionWords, NamedService, Naming, is_another_service
from workers.ports import PatientKey

ORDERS = frozenset({"ORM", "OMI", "OMG", "OMP", "ORP", "RDE", "RAS", "RGV"})
APPOINTMENTS = "SIU"
SCHEDULE_CANCELS = frozenset({"S15", "S16", "S17", "S26"})
# ORC-1, HL7 table 0119; UA: the filler does not accept it; RP, RQ, RU: of the order that another one (RO) replaces
CANCELS = frozenset({"CA", "OC", "CR", "UA", "RP", "RQ", "RU"})
DISCONTINUES = frozenset({"DC", "OD", "DR"})
HOLDS = frozenset({"HD", "OH", "HR", "DE"})  # on hold, or an error in its data
HOLDING_STATUSES = frozenset({"HD", "ER"})  # ORC-5, table 0038
NOT_GIVEN = frozenset({"NA", "RE"})  # RXA-20, table 0322: not administered, refused
COMPLETIONS = NOT_GIVEN | {"", "CP", "PA"}
ENTRIES = frozenset({"", "A", "D", "U", "X"})  # RXA-21, table 0206
CANCELLED_STATUSES = frozenset({"cancelled", "canceled", "deleted", "noshow"})  # SCH-25 and AIS-10, table 0278
# where an order says what is given, and where it names a service: segment -> fields
DRUGS = {"RXO": (1,), "RXE": (2,), "RXA": (5,), "RXG": (4,)}
REPEATED = ("OBR", "RXO", "RXE", "RXG")  # each begins a service, where one order holds several of them
SERVICES = {"OBR": (4,), "AIS": (3,), "SCH": (7, 8)}
TIMES = (("RXA", 3), ("TQ1", 7), ("AIS", 4), ("OBR", 7), ("OBR", 36), ("RXG", 3))
QUANTITY_TIMING = (("ORC", 7), ("RXE", 1), ("SCH", 11), ("OBR", 27))  # component 4: start, HL7 v2.3 to v2.5
NUMBERS = (("ORC", 2), ("ORC", 3), ("SCH", 1), ("SCH", 2), ("OBR", 2), ("OBR", 3))


class _State(Enum):
    PLANNED = auto()
    GIVEN = auto()
    NOT_GIVEN = auto()
    DELETED = auto()
    CANCELLED = auto()
    DISCONTINUED = auto()
    CONTRADICTS = auto()
    UNKNOWN = auto()
    HELD = auto()


WHY = {
    _State.CANCELLED: Cancellation.CANCELLED,
    _State.DISCONTINUED: Cancellation.DISCONTINUED,
    _State.NOT_GIVEN: Cancellation.NOT_GIVEN,
    _State.DELETED: Cancellation.DELETED,
}

UNJUDGED = {
    _State.HELD: "an order of an infusion is on hold or in error",
    _State.CONTRADICTS: "it says that an infusion was given, and cancels it",
    _State.UNKNOWN: "RXA-20 or RXA-21 of an infusion holds a code that is not known",
}


@dataclass(frozen=True)
class _Service:
    """What is ordered once. shared: the segments of the order around it; own: its segments."""

    shared: tuple[Any, ...]
    own: tuple[Any, ...]

    def all(self, name: str) -> list[Any]:
        return [one for one in (*self.own, *self.shared) if str(one[0]) == name]

    def first(self, name: str, number: int) -> str:
        """Of the service itself before that of the order around it."""
        return next((text for one in self.all(name) if (text := field_text(one, number))), "")


def infusions_in(header: Header, message: Any, words: InfusionWords) -> tuple[Fact, ...]:
    """What the message says about cell infusions.

    Raises:
        MalformedMessageError: an infusion without a date or a patient.
    """
    groups = [named for group in _groups(header, message) if (named := _named(group, words))]
    if not groups:
        return (NothingToDo("it orders no cell infusion"),)
    pid = next((segment for segment in message if str(segment[0]) == "PID"), None)
    if pid is None:
        raise MalformedMessageError("no PID segment")
    patients = record_numbers(pid, 3, "PID-3")
    facts: list[Fact] = []
    for named in groups:
        said = [_infusion(header, service, found, patients) for service, found in named]
        # they have one number: a service that is cancelled must not take the one that replaces it along
        facts += sorted(said, key=lambda fact: not isinstance(fact, InfusionCancelled))
    return tuple(facts)


def _groups(header: Header, message: Any) -> Iterator[list[_Service]]:
    """The services of each order or appointment."""
    appointment = header.message_type == APPOINTMENTS
    groups: list[list[Any]] = [[]]
    for segment in message:
        if str(segment[0]) == ("SCH" if appointment else "ORC"):
            groups.append([])
        groups[-1].append(segment)
    for group in groups:
        names = [str(segment[0]) for segment in group]
        repeated = next((name for name in names if name in REPEATED and names.count(name) > 1), "")
        begins = "AIS" if appointment else repeated
        at = [number for number, name in enumerate(names) if name == begins]
        if at:
            ends = [*at[1:], len(group)]
            shared = tuple(group[: at[0]])
            yield [_Service(shared, tuple(group[start:end])) for start, end in zip(at, ends, strict=True)]
        else:  # one service: the order and it are one
            yield [_Service((), tuple(group))]


def _named(group: Sequence[_Service], words: InfusionWords) -> list[tuple[_Service, NamedService]]:
    """The services that are or may be an infusion; when none is, the order around them as a whole."""
    found = [(_of_the_infusion(one, words), named) for one in group if (named := _best(one.own, words)) is not None]
    around = _best(group[0].shared, words)
    if found or around is None:
        return found
    own = tuple(segment for one in group for segment in one.own)
    texts = [text for segment in own for text in _texts(segment)]
    if any(is_another_service(text) for text in texts) or (texts and words.is_only_a_name(around.text)):
        around = NamedService(Naming.UNCLEAR, around.text)
    return [(_Service(own, group[0].shared), around)]


def _of_the_infusion(service: _Service, words: InfusionWords) -> _Service:
    """Without administrations (RXA) of another drug, when one names the infusion."""
    given = [one for one in service.own if str(one[0]) == "RXA" and _best([one], words) is not None]
    own = tuple(one for one in service.own if not given or str(one[0]) != "RXA" or one in given)
    return _Service(service.shared, own)


def _texts(segment: Any) -> Iterator[str]:
    for number in SERVICES.get(str(segment[0]), ()):
        text = " ".join(field_components(segment, number)[1:2])
        if text:
            yield text


def _best(segments: Sequence[Any], words: InfusionWords) -> NamedService | None:
    found = []
    for segment in segments:
        name = str(segment[0])
        for number in (*DRUGS.get(name, ()), *SERVICES.get(name, ())):
            named = words.named_in(field_components(segment, number), drug=name in DRUGS)
            if named is not None and named.naming is not Naming.OTHER:
                found.append(named)
    return min(found, key=lambda one: one.naming is not Naming.INFUSION, default=None)


def _infusion(header: Header, service: _Service, named: NamedService, patients: Sequence[PatientKey]) -> Fact:
    order = next((text for name, number in NUMBERS if (text := service.first(name, number))), "")
    state = _state(header, service)
    who, also = patients[0], tuple(patients[1:])
    if state in UNJUDGED:
        return NeedsPerson(UNJUDGED[state])
    if named.naming is Naming.UNCLEAR and (state not in WHY or not order):
        return NeedsPerson("it names a product of cells and does not say whether these are given")
    day = _day(service)
    if state in WHY:
        if day is None and not order:
            raise MalformedMessageError("a cancellation without an order number and without a date")
        return InfusionCancelled(who, day if named.naming is Naming.INFUSION else None, order, WHY[state], also)
    if day is None:
        raise MalformedMessageError(
            "an infusion without a date (TQ1-7, ORC-7.4, RXE-1.4, RXA-3, AIS-4, SCH-11.4 or OBR-7)"
        )
    return InfusionReported(who, day, named.text, order, state is _State.GIVEN, also)


def _state(header: Header, service: _Service) -> _State:
    """What becomes of the infusion. An administration (RXA) counts before the order: it is not undone by its end."""
    control, status = service.first("ORC", 1).upper(), service.first("ORC", 5).upper()
    cancelled = header.event in SCHEDULE_CANCELS or control in CANCELS or status == "CA" or _is_cancelled(service)
    if any(_is_given(one) for one in service.all("RXA")):
        return _State.CONTRADICTS if cancelled else _State.GIVEN
    if any(not _is_known(one) for one in service.all("RXA")):
        return _State.UNKNOWN
    entries = [field_text(one, 21).upper() for one in service.all("RXA")]
    if entries:
        return _State.DELETED if {"D", "U"} & set(entries) else _State.NOT_GIVEN
    if cancelled:
        return _State.CANCELLED
    if control in DISCONTINUES or status == "DC" or "dc" in _statuses(service):
        return _State.DISCONTINUED
    return _State.HELD if control in HOLDS or status in HOLDING_STATUSES else _State.PLANNED


def _is_given(rxa: Any) -> bool:
    return _is_known(rxa) and field_text(rxa, 20).upper() not in NOT_GIVEN and field_text(rxa, 21).upper() != "D"


def _is_known(rxa: Any) -> bool:
    return field_text(rxa, 20).upper() in COMPLETIONS and field_text(rxa, 21).upper() in ENTRIES


def _is_cancelled(service: _Service) -> bool:
    deleted = any(field_text(one, 2).upper() == "D" for one in service.own if str(one[0]) == "AIS")
    no_result = any(field_text(one, 25).upper() == "X" for one in service.own if str(one[0]) == "OBR")
    return deleted or no_result or bool(_statuses(service) & CANCELLED_STATUSES)


def _statuses(service: _Service) -> set[str]:
    """SCH-25 and AIS-10, by code and by text."""
    fields = [field_components(one, 25) for one in service.all("SCH")]
    fields += [field_components(one, 10) for one in service.own if str(one[0]) == "AIS"]
    return {part.casefold().replace(" ", "") for parts in fields for part in parts[:2]}


def _day(service: _Service) -> date | None:
    """Of the service itself; else of the order around it."""
    for segments in (service.own, service.shared):
        for name, number in TIMES:
            some = [one for one in segments if str(one[0]) == name]
            some.sort(key=lambda one: name == "RXA" and not _is_given(one))
            texts = [text for one in some if (text := field_text(one, number))]
            if name == "AIS" and len({text[:8] for text in texts}) > 1:
                continue  # whichever of them is the infusion
            if texts:
                return day_in(texts[0], f"{name}-{number}")
        for name, number in QUANTITY_TIMING:
            for one in segments:
                if str(one[0]) == name and len(parts := field_components(one, number)) > 3 and parts[3]:
                    return day_in(parts[3], f"{name}-{number}.4")
    return None
