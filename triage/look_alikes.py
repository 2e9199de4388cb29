"""Measurements in, plain sentences about what else could look like this out. None of them lowers a priority."""

from __future__ import annotations

from collections.abc import Sequence

from triage.model import Finding, Measurement


def sentences(_measurements: Sequence[Measurement], _findings: Sequence[Finding]) -> tuple[str, ...]:
    """One sentence per look-alike whose sign was measured (clinical.md, look-alikes)."""
    return ()
