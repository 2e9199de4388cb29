"""Pattern D: global cerebral oedema. Not built yet: it says so in every result instead of staying silent."""

from __future__ import annotations

from triage.model import Finding, Measurement, Presence, ProtocolMatch

PATTERN = "D"
TITLE = "global cerebral oedema"


def detect(_measurements: tuple[Measurement, ...], _protocol: ProtocolMatch) -> Finding:
    """Always indeterminate."""
    return Finding(PATTERN, Presence.INDETERMINATE, None, f"{TITLE}: not built")
