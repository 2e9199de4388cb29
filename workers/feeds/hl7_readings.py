"""A message about an imaging order in, that somebody has read its study out.

A final report is an ORU whose OBR-25 says so. That a study was opened or is complete is an order message (ORM, OMI)
with a status in ORC-5. What those statuses mean differs between sites: at many of them the scanner room sends IP and
CM, long before a reader opens anything. So no status of an order counts unless the site names it.

The study is named by its UID (IPC-3, ZDS-1, or an OBX of the study UID), or by an accession number (OBR-18, IPC-1) or
an order number that is used as one (OBR-2, OBR-3, ORC-2, ORC-3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from workers.feeds.facts import ReadingReported
from workers.feeds.hl7_fields import field_text, patient_ids
from workers.ports import PatientKey

RESULT_MESSAGES = frozenset({"ORU"})
ORDER_MESSAGES = frozenset({"ORM", "OMI", "OMG"})
NUMBERS = {"OBR": (18, 3, 2), "ORC": (3, 2), "IPC": (1,)}  # where an accession number stands; OBR-18 first
UIDS = {"IPC": 3, "ZDS": 1}  # ZDS is the segment of IHE Radiology, TF-2 4.4
UID_CODES = frozenset({"113014", "110180"})  # OBX-3: DICOM Study (IHE), Study Instance UID (DCM)


@dataclass(frozen=True)
class ReadingSigns:
    """What of a site's messages says that a study was read.

    results: codes of OBR-25 (HL7 table 0123). orders: codes of ORC-5 (HL7 table 0038), or ORC-1 and ORC-5 as ``SC/CM``.
    """

    results: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()


NO_SIGNS = ReadingSigns()


def readings_in(message_type: str, message: Any, signs: ReadingSigns) -> tuple[ReadingReported, ...]:
    """The studies that the message says were read; empty: it says that of none."""
    if message_type not in RESULT_MESSAGES | ORDER_MESSAGES:
        return ()
    of_results = message_type in RESULT_MESSAGES
    begins = "OBR" if of_results else "ORC"
    patients = tuple(_patients(message))
    found = []
    for group in _groups(message, begins):
        sign = _result_sign(group, signs) if of_results else _order_sign(group, signs)
        if sign:
            numbers, uid = tuple(dict.fromkeys(_numbers(group))), _uid(group)
            found.append(ReadingReported(uid, numbers, patients, f"{message_type}, {sign}"))
    return tuple(found)


def _result_sign(group: Sequence[Any], signs: ReadingSigns) -> str:
    status = next((field_text(one, 25).upper() for one in group if str(one[0]) == "OBR"), "")
    return f"OBR-25 {status}" if status and status in signs.results else ""


def _order_sign(group: Sequence[Any], signs: ReadingSigns) -> str:
    orc = next((one for one in group if str(one[0]) == "ORC"), None)
    if orc is None:
        return ""
    control, status = field_text(orc, 1).upper(), field_text(orc, 5).upper()
    said = status if status in signs.orders else f"{control}/{status}"
    return f"ORC-5 {status}" if status and said in signs.orders else ""


def _groups(message: Any, begins: str) -> list[list[Any]]:
    """The segments of each result or order: the one that begins it, an ORC before it, and what follows."""
    groups: list[list[Any]] = []
    before: list[Any] = []
    for segment in message:
        name = str(segment[0])
        if name == begins:
            groups.append([*before, segment])
            before = []
        elif name == "ORC":
            before = [segment]
        elif groups:
            groups[-1].append(segment)
    return groups


def _numbers(group: Sequence[Any]) -> Iterable[str]:
    for name, fields in NUMBERS.items():
        for segment in group:
            if str(segment[0]) == name:
                yield from (text for number in fields if (text := field_text(segment, number)))


def _uid(group: Sequence[Any]) -> str:
    for segment in group:
        name = str(segment[0])
        if name in UIDS and (uid := field_text(segment, UIDS[name])):
            return uid
        if name == "OBX" and field_text(segment, 3) in UID_CODES:
            return field_text(segment, 5)
    return ""


def _patients(message: Any) -> Iterable[PatientKey]:
    for segment in message:
        if str(segment[0]) == "PID":
            yield from patient_ids(segment, 3)
