"""Pattern D: global cerebral oedema. Not built yet: it says so in every result instead of staying silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triage.model import Finding, Measurement, Presence, ProtocolMatch

PATTERN = "D"
TITLE = "global cerebral oedema"


@dataclass(frozen=True)
class GlobalOedemaLimits:
    """Limits of pattern D."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


def detect(_measurements: tuple[Measurement, ...], _protocol: ProtocolMatch, _limits: GlobalOedemaLimits) -> Finding:
    """Always indeterminate."""
    return Finding(PATTERN, Presence.INDETERMINATE, None, f"{TITLE}: not built")


def detect_alone(_measurements: tuple[Measurement, ...], _limits: GlobalOedemaLimits) -> Finding:
    """Without a baseline: always indeterminate."""
    return Finding(PATTERN, Presence.INDETERMINATE, None, f"{TITLE}: no baseline to compare with")
