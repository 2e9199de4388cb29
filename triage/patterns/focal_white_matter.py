"""Pattern B: new or enlarging focal white matter lesions. Not built yet: it says so in every result instead of staying silent."""

from __future__ import annotations

from triage.model import Finding, Measurement, Presence, ProtocolMatch

PATTERN = "B"
TITLE = "new or enlarging focal white matter lesions"


def detect(_measurements: tuple[Measurement, ...], _protocol: ProtocolMatch) -> Finding:
    """Always indeterminate."""
    return Finding(PATTERN, Presence.INDETERMINATE, None, f"{TITLE}: not built")
