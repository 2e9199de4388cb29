"""A parsed segment in, its fields as texts, days and patient IDs out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from triage.identity import issuer_form
from workers.moments import parse_date
from workers.ports import PatientKey

NULL = '""'  # HL7's explicit null
ESCAPES = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}  # HL7 v2.5.1, 2.7.1
_ESCAPED = re.compile(r"\\([FSTRE])\\")
RECORD_NUMBERS = frozenset({"MR", "MRT"})  # CX-5, HL7 table 0203: medical record number, and a temporary one
OTHER_NUMBERS = frozenset({"", "PI", "PT"})  # no type is stated, or that of an ID within a hospital


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


def field_repetitions(segment: Any, number: int) -> list[list[str]]:
    """The repetitions of a field, each as its components; sub-components stay joined by ``&``, and escapes stay."""
    if number >= len(segment):
        return []
    repetitions = str(segment[number]).split("~")
    return [[part.strip() for part in one.split("^")] for one in repetitions]


def field_components(segment: Any, number: int) -> list[str]:
    found = field_repetitions(segment, number)
    return [unescaped(part) for part in found[0]] if found else []


def field_text(segment: Any, number: int) -> str:
    """The first component of a field; HL7's explicit null ``""`` counts as empty."""
    parts = field_components(segment, number)
    return "" if not parts or parts[0] == NULL else parts[0]


def unescaped(text: str) -> str:
    """The text that is meant where delimiters of HL7 are escaped: ``\\T\\`` is ``&``."""
    return _ESCAPED.sub(lambda found: ESCAPES[found[1]], text)


def birth_day_in(text: str, where: str) -> date | None:
    """As ``day_in``; None also for a year or a month, which HL7 allows."""
    return None if re.fullmatch(r"\d{4}(\d{2})?", text) else day_in(text, where)


def day_in(text: str, where: str) -> date | None:
    """The date of an HL7 DT or TS; None when empty."""
    if not text:
        return None
    if not re.fullmatch(r"\d{8}(\d{2,6}(\.\d{1,4})?)?([+-]\d{4})?", text):
        raise MalformedMessageError(f"{where} is no date written YYYYMMDD[HHMM[SS]]")
    day = parse_date(text[:8])
    if day is None:
        raise MalformedMessageError(f"{where} is no date of the calendar")
    return day


def patient_ids(segment: Any, number: int) -> list[PatientKey]:
    """Every ID of a list of CX, of whatever type."""
    return [_key(parts) for parts in _identifiers(segment, number)]


def record_numbers(segment: Any, number: int, where: str) -> list[PatientKey]:
    """The IDs of a list of CX under which images may come: the medical record numbers; without one of them the IDs
    without a type or of the hospital; else the first of all."""
    ids = _identifiers(segment, number)
    if not ids:
        raise MalformedMessageError(f"{where} (patient ID) is empty")
    for types in (RECORD_NUMBERS, OTHER_NUMBERS):
        found = [_key(parts) for parts in ids if (parts[4].upper() if len(parts) > 4 else "") in types]
        if found:
            return list(dict.fromkeys(found))
    return [_key(ids[0])]


def pairs_of_ids(new: Sequence[PatientKey], old: Sequence[PatientKey]) -> list[tuple[PatientKey, PatientKey]]:
    """Each old ID with the new one of the same assigning authority, else with the first new one. One that both lists
    have stays, unless its authority gave another one."""
    fresh = [one for one in new if one not in old]
    found = []
    for one in old if fresh else ():
        same = [key for key in fresh if one.issuer and issuer_form(key.issuer) == issuer_form(one.issuer)]
        stays = one in new and (one.issuer or one == new[0])
        if same or not stays:
            found.append(((same or fresh)[0], one))
    return found


def _identifiers(segment: Any, number: int) -> list[list[str]]:
    return [parts for parts in field_repetitions(segment, number) if parts and parts[0] not in ("", NULL)]


def _key(parts: Sequence[str]) -> PatientKey:
    issuer = parts[3].split("&")[0] if len(parts) > 3 else ""
    return PatientKey(unescaped(parts[0]), unescaped(issuer))
