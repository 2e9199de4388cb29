"""One scan and its regions in, what can be said without a baseline out: ratios to reference tissue and to the mirror side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from triage.measurement import flair_ratios, volumes
from triage.model import Found, Volume
from triage.session import Session


@dataclass(frozen=True)
class SingleScanLimits:
    """Published normal ratios and how far from them a region must be."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


def measure_alone(session: Session, labels: Volume, names: Mapping[int, str], _limits: SingleScanLimits) -> Found:
    """Figures of a single scan. labels: on the FLAIR's own grid."""
    flair = session.volumes[session.anchor]
    return Found(
        (*flair_ratios(flair.voxels, labels.voxels, names), *volumes(labels.voxels, names, labels.voxel_volume_ml))
    )
