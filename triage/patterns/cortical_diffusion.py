"""Pattern C: cortical diffusion restriction. Not built yet: it says so in every result instead of staying silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triage.model import Finding, Measurement, Presence, ProtocolMatch

PATTERN = "C"
TITLE = "cortical diffusion restriction"


@dataclass(frozen=True)
class CorticalDiffusionLimits:
    """Limits of pattern C."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


def detect(
    _measurements: tuple[Measurement, ...], _protocol: ProtocolMatch, _limits: CorticalDiffusionLimits
) -> Finding:
    """Always indeterminate."""
    return Finding(PATTERN, Presence.INDETERMINATE, None, f"{TITLE}: not built")


def detect_alone(_measurements: tuple[Measurement, ...], _limits: CorticalDiffusionLimits) -> Finding:
    """Without a baseline: always indeterminate."""
    return Finding(PATTERN, Presence.INDETERMINATE, None, f"{TITLE}: no baseline to compare with")
