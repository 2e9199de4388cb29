"""What a rule is: a condition, the hours in which it counts, and what it wants done. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # whoever plans deliveries need not load the language
    from workers.rules.expression import Condition


class Match(StrEnum):
    """Whether the first rule that fits decides, or all that fit."""

    FIRST = "first"
    ALL = "all"


@dataclass(frozen=True)
class Send:
    """These outputs of the decision to these destinations."""

    outputs: tuple[str, ...]
    to: tuple[str, ...]


@dataclass(frozen=True)
class Hours:
    """Local hours and weekdays (Monday is 0). until before since: over midnight; the day is that of the beginning."""

    since: time
    until: time
    weekdays: frozenset[int] = frozenset(range(7))

    def hold(self, now: datetime) -> bool:
        at, today = now.time(), now.weekday()
        if self.since <= self.until:
            return self.since <= at < self.until and today in self.weekdays
        if at >= self.since:
            return today in self.weekdays
        return at < self.until and (today - 1) % 7 in self.weekdays


@dataclass(frozen=True)
class Rule:
    """One rule. hours None: always. drop: nobody gets results. shadow: it is told what it would do, and not done.

    line: of the file, from 1.
    """

    name: str
    when: Condition
    sends: tuple[Send, ...] = ()
    drop: bool = False
    hours: Hours | None = None
    shadow: bool = False
    line: int = 0


@dataclass(frozen=True)
class RuleSet:
    """The rules of a site, in order. unmatched: what is sent of a decision that no rule fits; None: what each
    destination is configured for."""

    rules: Sequence[Rule] = field(default_factory=tuple)
    match: Match = Match.FIRST
    unmatched: tuple[Send, ...] | None = None
