"""A stored document in, the patterns that it leaves open out. Needs no array, so that every process may ask. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INDETERMINATE = "indeterminate"  # as triage.model.Presence writes it


def open_patterns(document: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The patterns that a decision neither found nor excluded."""
    findings = () if document is None else document.get("findings") or ()
    return tuple(f["pattern"] for f in findings if f["presence"] == INDETERMINATE)


def left_open(document: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The patterns that the comparison of a study with its baseline could not judge. A single scan always leaves some
    open, and is not counted here."""
    judged = (document or {}).get("judged") or {}
    return open_patterns(document) if judged.get("from") == "comparison" else ()
