"""Two registered dates in, the change of sulcal, ventricular and cisternal fluid and of the brain's volume out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triage.comparison import Pair
from triage.model import Found
from triage.session import Session
from triage.swelling import Deformation


@dataclass(frozen=True)
class FluidLimits:
    """How fluid is measured."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


def fluid_changes(
    _pair: Pair, _followup: Session, _baseline: Session, _deformation: Deformation, _limits: FluidLimits
) -> Found:
    """From T1 or T2 where both dates have it, from FLAIR otherwise (with wider uncertainty)."""
    return Found()
