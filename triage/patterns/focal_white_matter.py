"""Pattern B: new or enlarging focal white matter lesions. Not built yet: it says so in every result instead of staying silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triage.model import Finding, Measurement, Presence, ProtocolMatch

PATTERN = "B"
TITLE = "new or enlarging focal white matter lesions"


@dataclass(frozen=True)
class FocalWhiteMatterLimits:
    """Limits of pattern B."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


def detect(
    _measurements: tuple[Measurement, ...], _protocol: ProtocolMatch, _limits: FocalWhiteMatterLimits
) -> Finding:
    """Always indeterminate."""
    return Finding(PATTERN, Presence.INDETERMINATE, None, f"{TITLE}: not built")


def detect_alone(_measurements: tuple[Measurement, ...], _limits: FocalWhiteMatterLimits) -> Finding:
    """Without a baseline: always indeterminate."""
    return Finding(PATTERN, Presence.INDETERMINATE, None, f"{TITLE}: no baseline to compare with")
