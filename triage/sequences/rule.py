"""The shape of a rule: one series header in; what the series shows out, or None when the rule does not recognise it."""

from __future__ import annotations

from collections.abc import Callable

from triage.model import Identification, SequenceKind, SeriesHeader

Rule = Callable[[SeriesHeader], Identification | None]


def known(kind: SequenceKind, confidence: float, *reasons: str) -> Identification:
    """What a rule answers. confidence: 0..1, a rank. reasons: sentences with the figures that were read."""
    return Identification(kind, confidence, reasons)
