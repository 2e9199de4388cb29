"""One scan before treatment in, the report of what is already abnormal in it out: lesion load and sites, atrophy, prior injury."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triage.model import Found, Volume


@dataclass(frozen=True)
class BurdenLimits:
    """What counts as abnormal on a single scan."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


def burden(_flair: Volume, _labels: Volume, _brain: Volume, _limits: BurdenLimits) -> Found:
    """Chronic change of one FLAIR. labels, brain: uint8, any grid in the same space (LPS mm).

    The mask ``chronic_lesions`` (uint8) is kept with the prepared baseline: new lesions are judged against it.
    """
    return Found()
