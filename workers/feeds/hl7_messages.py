"""Bytes of one HL7 v2 message in, the facts that it states out. Pure; the only file that knows the ``hl7`` library.

Read are ADT (A08 update, A18/A30/A34/A36/A40 merge, A46/A47 change of ID), the infusion in orders and appointments
(hl7_infusions.py), and that a study was read in ORU, ORM and OMI (hl7_readings.py).
Fields are named as in HL7 v2.5.1, chapters 3 (ADT), 4 (orders) and 10 (scheduling).
"""

from __future__ import annotations

from typing import Any

from workers.feeds.facts import Fact, NeedsPerson, NothingToDo, PatientsMerged, PatientUpdated
from workers.feeds.hl7_fields import (
    Header,
    MalformedMessageError,
    birth_day_in,
    field_components,
    field_text,
    pairs_of_ids,
    record_numbers,
    unescaped,
)
from workers.feeds.hl7_infusions import APPOINTMENTS, ORDERS, infusions_in
from workers.feeds.hl7_readings import NO_SIGNS, ReadingSigns, readings_in
from workers.feeds.infusion_words import InfusionWords

LONGEST_BYTES = 1 << 20
MOST_SEGMENTS = 2000
LONGEST_HEADER_BYTES = 4096
FIELDS = 21  # of MSH
MERGES = frozenset({"A18", "A30", "A34", "A36", "A40", "A46", "A47"})
# whether these say that two IDs are one person depends on the sender: a newborn is linked to its mother, too
LINKS = {
    "A24": "patients are linked", "A37": "patients are unlinked", "A39": "a person is merged by another ID than PID-3",
    "A43": "an ID is moved to another patient",
}  # fmt: skip
UPDATES = frozenset({"A01", "A04", "A05", "A08", "A28", "A31"})
DELIMITERS = "MSH|^~\\&"  # the recommended ones (v2.5.1, 2.5.4); others are not read
# HL7 table 0211 -> Python
CHARACTER_SETS = {
    "": "utf-8", "ASCII": "ascii", "8859/1": "latin-1", "8859/2": "iso8859-2", "8859/5": "iso8859-5",
    "8859/7": "iso8859-7",
    "8859/9": "iso8859-9", "8859/15": "iso8859-15", "UNICODE UTF-8": "utf-8", "UNICODE": "utf-8", "UTF-8": "utf-8",
    "GB 18030-2000": "gb18030", "ISO IR87": "iso2022_jp", "KS X 1001": "euc_kr", "BIG-5": "big5",
    "CNS 11643-1992": "euc_tw",
}  # fmt: skip


def parse(raw: bytes) -> tuple[Header, Any]:
    """The header and the parsed message.

    Raises:
        MalformedMessageError: too long, no MSH, unreadable characters, no control ID or type.
    """
    try:
        return _parsed(raw)
    except MalformedMessageError as error:  # the sender must know which of its messages is meant
        raise MalformedMessageError(str(error), msh_of(raw)) from None


def msh_of(raw: bytes) -> Header | None:
    """The header of a message that cannot be read, or of its beginning; None: it has none with a control ID."""
    if not raw.startswith(DELIMITERS.encode()):
        return None
    fields = raw[:LONGEST_HEADER_BYTES].split(b"\r")[0].split(b"\n")[0].decode("latin-1").split("|")
    values = [one.split("~")[0].split("^") for one in fields] + [[""]] * FIELDS
    texts = ["", *(unescaped(parts[0].strip()) for parts in values)]  # MSH-1 is the separator: texts[n] is MSH-n
    kind = values[8]
    sending, receiving = (texts[3], texts[4]), (texts[5], texts[6])
    event = kind[1].strip() if len(kind) > 1 else ""
    return Header(texts[10], texts[9], event, texts[12] or "2.3", sending, receiving) if texts[10] else None


def _parsed(raw: bytes) -> tuple[Header, Any]:
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
    elif header.message_type in ORDERS or header.message_type == APPOINTMENTS:
        stated += infusions_in(header, message, words)
    return stated or (NothingToDo(f"{header.message_type} messages are not read"),)


def _adt(header: Header, message: Any) -> tuple[Fact, ...]:
    if header.event in MERGES:
        merged = tuple(fact for pid, mrg in _pairs(message) for fact in _merges(pid, mrg))
        if not merged:
            raise MalformedMessageError(f"ADT^{header.event} without a PID and MRG segment")
        return merged
    if header.event in UPDATES:
        pid = _only(message, "PID")
        born, sex = birth_day_in(field_text(pid, 7), "PID-7"), field_text(pid, 8).upper()
        return tuple(PatientUpdated(one, born, sex) for one in record_numbers(pid, 3, "PID-3"))
    if header.event in LINKS:
        return (NeedsPerson(f"ADT^{header.event}: {LINKS[header.event]}"),)
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


def _merges(pid: Any, mrg: Any) -> tuple[Fact, ...]:
    """Both lists are IDs of one person: each old one belongs to a new one."""
    pairs = pairs_of_ids(record_numbers(pid, 3, "PID-3"), record_numbers(mrg, 1, "MRG-1"))
    merged = tuple(PatientsMerged(new, old) for new, old in pairs)
    return merged or (NothingToDo("PID-3 and MRG-1 are the same ID"),)


def _only(message: Any, name: str) -> Any:
    found = [segment for segment in message if str(segment[0]) == name]
    if not found:
        raise MalformedMessageError(f"no {name} segment")
    return found[0]


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
