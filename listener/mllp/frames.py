"""HL7 acknowledgements, framed for MLLP. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from workers.feeds.hl7_fields import Header
from workers.remote.mllp import framed

LONGEST_TEXT = 200
_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\", "\r": " ", "\n": " "})


class AckCode(StrEnum):
    """MSA-1, HL7 table 0008: accepted, an error in this message, rejected (try again later)."""

    AA = "AA"
    AE = "AE"
    AR = "AR"


def acknowledgement(
    header: Header | None, code: AckCode, text: str, *, now: datetime, number: str, name: tuple[str, str]
) -> bytes:
    """The answer to one message. It quotes nothing of the message but what MSH holds.

    Args:
        header: of the message; None when it could not be read.
        text: for MSA-3 and, unless accepted, ERR-8: what is wrong.
        number: our own message control ID.
        name: our application and facility (MSH-3, MSH-4).
    """
    said = text[:LONGEST_TEXT].translate(_ESCAPES)
    event = f"ACK^{header.event.translate(_ESCAPES)}^ACK" if header is not None and header.event else "ACK"
    sender = header.sending if header is not None else ("", "")
    version = header.version if header is not None else "2.5.1"
    names = "|".join(part.translate(_ESCAPES) for part in (*name, *sender))
    control_id = "" if header is None else header.control_id.translate(_ESCAPES)
    lines = [
        f"MSH|^~\\&|{names}|{now:%Y%m%d%H%M%S}||{event}|{number}|P|{version.translate(_ESCAPES)}||||||UNICODE UTF-8",
        f"MSA|{code}|{control_id}|{said}",
    ]
    if code is not AckCode.AA:
        # 207: application internal error, 102: data type error (HL7 table 0357)
        error = "102^Data type error^HL70357" if code is AckCode.AE else "207^Application internal error^HL70357"
        lines.append(f"ERR|||{error}|E||||{said}")
    return framed("".join(f"{line}\r" for line in lines).encode())
