"""A toy: pattern Z, the cerebellum rises on FLAIR.

All that a new pattern is: one file, and one line where patterns are listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triage.measurements import lookup
from triage.model import Finding, Measurement, Presence, Priority, ProtocolMatch, Strength
from triage.patterns.pattern import Figure, Pattern, Visit

NAME, TITLE = "Z", "cerebellar FLAIR rise"
REGION, RISE, ALONE = "cerebellum", "flair_change_percent", "flair_excess_percent"


@dataclass(frozen=True)
class CerebellarRiseLimits:
    """Percent."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    # against the baseline
    rise: float = 6.0
    # above the normal mean, without a baseline
    alone: float = 20.0


def detect(measured: tuple[Measurement, ...], _protocol: ProtocolMatch, limits: CerebellarRiseLimits) -> Finding:
    return _finding(lookup(measured, REGION, RISE), limits.rise, Strength.SUSPECTED)


def detect_alone(measured: tuple[Measurement, ...], limits: CerebellarRiseLimits) -> Finding:
    return _finding(lookup(measured, REGION, ALONE), limits.alone, Strength.POSSIBLE)


def _finding(figure: Measurement, limit: float, strength: Strength) -> Finding:
    if figure.value is None:
        return CEREBELLAR_RISE.indeterminate(f"not measured ({figure.reason})")
    present = figure.value >= limit
    return Finding(
        NAME,
        Presence.PRESENT if present else Presence.ABSENT,
        strength if present else None,
        f"{TITLE}: {figure.value:+.1f} % against a limit of {limit:g} %",
    )


def _later_loss(now: Visit, earlier: tuple[Visit, ...], _limits: CerebellarRiseLimits) -> Finding | None:
    seen = any(visit.presence.get(NAME) == Presence.PRESENT for visit in earlier)
    return Finding(NAME, Presence.INDETERMINATE, None, "later cerebellar loss: not looked for") if seen else None


CEREBELLAR_RISE = Pattern(
    NAME,
    TITLE,
    "cerebellar_rise",
    CerebellarRiseLimits,
    detect,
    detect_alone,
    later_loss=_later_loss,
    priority=lambda _finding, has_baseline: Priority.P1 if has_baseline else Priority.P3,
    figures=(Figure(REGION, RISE, 1),),
)
