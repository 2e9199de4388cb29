"""Text in, fields and segments of HL7 v2.5.1 out, with the escapes of chapter 2.7. Pure."""

from __future__ import annotations

from workers.identities import printable

ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})


def escaped(text: str) -> str:
    """One component: delimiters escaped; line ends become spaces; control and bidirectional characters are removed."""
    return printable(" ".join(text.split())).translate(ESCAPES)


def components(*parts: str) -> str:
    """One field of several components; empty ones at its end are left out."""
    return "^".join(escaped(part) for part in parts).rstrip("^")


def segment(name: str, **fields: str) -> str:
    """A segment. fields: ``f3="text"`` is field 3, ready made (``escaped`` or ``components``)."""
    numbered = {int(key.removeprefix("f")): value for key, value in fields.items()}
    last = max((number for number, value in numbered.items() if value), default=0)
    return "|".join([name, *(numbered.get(number, "") for number in range(1, last + 1))])


def person_name(value: str) -> str:
    """A DICOM person name (PS3.5, 6.2.1.1) as XPN repetitions: alphabetic, ideographic and phonetic (XPN-8 A, I, P).

    DICOM orders family, given, middle, prefix, suffix; XPN orders family, given, middle, suffix, prefix.
    """
    repetitions = []
    for group, representation in zip(value.split("="), "AIP", strict=False):
        family, given, middle, prefix, suffix = (*(part.strip() for part in group.split("^")), *[""] * 5)[:5]
        if family or given:
            repetitions.append(components(family, given, middle, suffix, prefix, "", "L", representation))
    return "~".join(repetitions)
