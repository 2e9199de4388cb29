"""What readers say about decisions, as values, and the port that keeps it. A fake of Acts stands in
tests/fakes_acts.py."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from workers.delivery_ports import Decided

LONGEST_NOTE = 2000  # characters


class ActKind(StrEnum):
    """ACKNOWLEDGED: somebody takes care of the study. AGREED to OTHER_CAUSE: the verdict about the whole decision;
    OTHER_CAUSE: the signs are there, and are no neurotoxicity. ACCEPTED, REJECTED: the assessment of a single finding,
    as IHE AIRA has it."""

    ACKNOWLEDGED = "acknowledge"
    AGREED = "agree"
    DISAGREED = "disagree"
    NOT_ASSESSABLE = "not_assessable"
    OTHER_CAUSE = "other_cause"
    ACCEPTED = "accept"
    REJECTED = "reject"


VERDICTS = (ActKind.AGREED, ActKind.DISAGREED, ActKind.NOT_ASSESSABLE, ActKind.OTHER_CAUSE)
OF_A_FINDING = (ActKind.ACCEPTED, ActKind.REJECTED)


@dataclass(frozen=True)
class Act:
    """One thing that a reader said. Nothing changes or removes it; who changes his mind says so in another one.

    revision, stage: the decision that the reader saw. patterns: what it is about: the present patterns of the decision,
    none when it found none; of ACCEPTED and REJECTED the one pattern. number: its place in time, 0 before it is stored.
    """

    study_instance_uid: str
    revision: int
    stage: str
    kind: ActKind
    by: str
    at: datetime
    patterns: tuple[str, ...] = ()
    note: str = ""
    number: int = 0


def act_facts(one: Act) -> dict[str, Any]:
    """An act as JSON has it; the time is still a time."""
    return {**asdict(one), "kind": one.kind.value, "patterns": list(one.patterns)}


class Acts(Protocol):
    """Every method is one transaction and may raise errors.Transient."""

    def add_act(self, act: Act) -> None: ...

    def acts_of(self, study_instance_uid: str) -> list[Act]:
        """Oldest first."""

    def all_acts(self) -> list[Act]:
        """Oldest first."""

    def not_assessed(self) -> set[Decided]:
        """Decisions that name no pattern, since they could not be assessed, and about which somebody said something."""
