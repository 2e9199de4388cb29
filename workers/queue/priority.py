"""The share of the processor that assessments leave to the rest of the node."""

from __future__ import annotations

import os

# As `nice` counts. Node and browser on the two cores of one machine, an assessment beside them (bench.viewer --beside):
# first picture of a study after 0.70 s and 45 slices a second without it, after 0.32 s and 60 with it. An assessment is
# slower only while something else computes; those of urgent studies never stand back.
BEHIND_OTHERS = 5


def stand_back() -> None:
    """Let this process, and those that it starts, have less of the processor than the others of the node."""
    os.nice(BEHIND_OTHERS)
