"""A rendered ORU in, the same message as one receiver wants it out: names in its header, and the picture. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workers.outputs.alerts.hl7_text import components, escaped

PICTURE_MARK = "|ED|picture^"


@dataclass(frozen=True)
class Addressing:
    """MSH-3 to MSH-6, and what becomes of the picture.

    picture_url: for "reference"; ``{study}`` stands for the Study Instance UID.
    """

    sending: tuple[str, str]
    receiving: tuple[str, str]
    picture: Literal["none", "reference", "embedded"]
    picture_url: str = ""


def addressed(message: bytes, addressing: Addressing, study_instance_uid: str) -> bytes:
    """The message for one receiver. Its control ID stays, so that a repeat is the same message."""
    lines = message.decode().split("\r")
    msh = lines[0].split("|")
    msh[2:6] = [escaped(name) for name in (*addressing.sending, *addressing.receiving)]
    lines[0] = "|".join(msh)
    if addressing.picture == "embedded":
        return "\r".join(lines).encode()
    kept = []
    for line in lines:
        if not (line.startswith("OBX|") and PICTURE_MARK in line[:40]):
            kept.append(line)
        elif addressing.picture == "reference":
            fields = line.split("|")
            url = addressing.picture_url.replace("{study}", study_instance_uid)
            fields[2], fields[5] = "RP", components(url, "ICANSEE", "IM", "PNG")
            kept.append("|".join(fields))
    return "\r".join(kept).encode()
