"""A parsed segment in, its fields as texts out."""

from __future__ import annotations

from typing import Any


def field_repetitions(segment: Any, number: int) -> list[list[str]]:
    """The repetitions of a field, each as its components; sub-components stay joined by ``&``."""
    if number >= len(segment):
        return []
    repetitions = str(segment[number]).split("~")
    return [[part.strip() for part in one.split("^")] for one in repetitions]


def field_components(segment: Any, number: int) -> list[str]:
    found = field_repetitions(segment, number)
    return found[0] if found else []


def field_text(segment: Any, number: int) -> str:
    """The first component of a field; HL7's explicit null ``""`` counts as empty."""
    parts = field_components(segment, number)
    return "" if not parts or parts[0] == '""' else parts[0]
