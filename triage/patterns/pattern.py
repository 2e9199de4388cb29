"""What the rest of the program knows of a pattern: one value that each file of this folder makes.

A new pattern is one file here, one test, and one line in ``all.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic, NamedTuple, TypeVar

from triage.model import Finding, Measurement, Presence, Priority, ProtocolMatch, Strength

L = TypeVar("L")  # the limits of one pattern, a frozen dataclass
ALL_LESIONS = "all_lesions"  # region of the sums over the new and enlarging lesions of a study


class Figure(NamedTuple):
    """A figure that the course of a pattern follows. worse: +1 when a larger value is worse, -1 when a smaller is."""

    region: str
    quantity: str
    worse: int


class Held(NamedTuple):
    """A figure that is held against a limit. limit: field of the limits, without the class of the protocol."""

    region: str
    quantity: str
    limit: str


@dataclass(frozen=True)
class Visit:
    """What one study said. figures: (region, quantity) -> (value, uncertainty, unit). days: after infusion."""

    study_instance_uid: str
    study_date: date | None
    days: int | None
    stage: str
    protocol: str | None
    baseline_uid: str | None
    figures: Mapping[tuple[str, str], tuple[float | None, float | None, str]]
    presence: Mapping[str, str]


def is_sure(finding: Finding) -> bool:
    """Suspected or strong."""
    return finding.strength in (Strength.SUSPECTED, Strength.STRONG)


def usual_priority(finding: Finding, _has_baseline: bool) -> Priority:
    """P2 when suspected or strong, P3 when possible."""
    return Priority.P2 if is_sure(finding) else Priority.P3


def urgent_priority(finding: Finding, _has_baseline: bool) -> Priority:
    """P1 when suspected or strong, P2 when possible; a baseline is not needed."""
    return Priority.P1 if is_sure(finding) else Priority.P2


@dataclass(frozen=True)
class Pattern(Generic[L]):
    """One pattern of neurotoxicity.

    Args:
        name: as findings and documents name it, e.g. "A".
        title: its words.
        key: name of its limits in the ``triage`` section of config.yaml.
        limits: the frozen dataclass of its limits, with defaults.
        detect: a follow-up against its baseline.
        detect_alone: a study without a baseline.
        detect_in_diffusion: a study without a FLAIR; None: the pattern needs one.
        later_loss: (this study, earlier studies, limits) -> later damage at the site where an earlier study showed the
            pattern, None when there is nothing to say. The document has one place for it, so one pattern at most has
            such a rule.
        priority: (a finding that is present, whether there is a baseline) -> its priority.
        figures: what its course over the patient's studies follows.
        held: the figures that the page of a study draws against a limit.
        urgent_before_infusion: False: seen before the infusion it belongs to the baseline.
        leads: headlines name it even when it is absent.
    """

    name: str
    title: str
    key: str
    limits: type[L]
    detect: Callable[[tuple[Measurement, ...], ProtocolMatch, L], Finding]
    detect_alone: Callable[[tuple[Measurement, ...], L], Finding]
    detect_in_diffusion: Callable[[tuple[Measurement, ...], L], Finding] | None = None
    later_loss: Callable[[Visit, Sequence[Visit], L], Finding | None] | None = None
    priority: Callable[[Finding, bool], Priority] = usual_priority
    figures: tuple[Figure, ...] = ()
    held: tuple[Held, ...] = ()
    urgent_before_infusion: bool = False
    leads: bool = False

    def limits_in(self, settings: object) -> L:
        """Its limits in the triage settings."""
        found = getattr(settings, self.key)
        if not isinstance(found, self.limits):
            raise TypeError(f"triage.{self.key} is {type(found).__name__}, not {self.limits.__name__}")
        return found

    def indeterminate(self, why: str) -> Finding:
        """It could not be judged."""
        return Finding(self.name, Presence.INDETERMINATE, None, f"{self.title}: {why}")
