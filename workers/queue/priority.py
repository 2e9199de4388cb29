"""The share of the processor that assessments leave to the rest of the node."""

from __future__ import annotations

import os

# As `nice` counts. Beside an assessment of the same machine the page of a study was drawn at 24 slices a second and is
# drawn at 56. An assessment is slower only while something else computes; those of urgent studies never stand back.
BEHIND_OTHERS = 5


def stand_back() -> None:
    """Let this process, and those that it starts, have less of the processor than the others of the node."""
    os.nice(BEHIND_OTHERS)
