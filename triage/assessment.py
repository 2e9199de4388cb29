"""The straight line: images of a study (and its prepared baseline) in, an Assessment out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

FORBID_EXTRA: dict[str, str] = {"extra": "forbid"}


@dataclass(frozen=True)
class TriageSettings:
    """Everything that can change a result; the ``triage`` section of config.yaml."""

    __pydantic_config__: ClassVar[dict[str, str]] = FORBID_EXTRA
    threads: int = field(default=2)
