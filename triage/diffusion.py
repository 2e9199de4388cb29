"""Diffusion images of a session (and of the baseline's) in, restricted cortex by lobe and side out. Needs no FLAIR and no baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from triage.model import Affine, Found, Volume
from triage.session import Session


@dataclass(frozen=True)
class DiffusionLimits:
    """How restricted tissue is found."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Atlas regions in some space. labels: uint8 Volume. from_followup: (4, 4), anchor points of the follow-up -> points of that space, LPS mm."""

    labels: Volume
    label_names: Mapping[int, str]
    from_followup: Affine


def restricted(_session: Session, _anatomy: Anatomy, _baseline: Session | None, _limits: DiffusionLimits) -> Found:
    """Restricted tissue of the session on its DWI grid.

    Args:
        session: the study under assessment; what it has of DWI, ADC and b = 0 decides what can be measured.
        anatomy: regions; those of the baseline carried over when there is one, else placed on this study.
        baseline: the baseline's session: what was restricted (or bright) before is not new.
    """
    return Found()
