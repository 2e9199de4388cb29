"""What a rule is: a condition, the hours in which it counts, and what it wants done. Values only."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # whoever plans deliveries need not load the language
    from zoneinfo import ZoneInfo

    from workers.rules.expression import Condition


class Match(StrEnum):
    """Whether the first rule that fits decides, or all that fit."""

    FIRST = "first"
    ALL = "all"


class Moment(StrEnum):
    """When a rule is asked: as images of a series arrive, before anything is decided, or when a decision is stored."""

    ARRIVAL = "arrival"
    DECISION = "decision"


class Scope(StrEnum):
    """Which images: of the whole study, or of the series that the rule fits (of a decision: the series it rests on)."""

    STUDY = "study"
    SERIES = "series"


@dataclass(frozen=True)
class Send:
    """These outputs of the decision to these destinations."""

    outputs: tuple[str, ...]
    to: tuple[str, ...]


@dataclass(frozen=True)
class Forward:
    """Images as they came to these destinations."""

    images: Scope
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
    """One rule.

    drop: nobody gets results; at arrival: nobody gets the images now. held: results wait until a person releases them.
    hours None: always. shadow: it is told what it would do, and not done. line: of the file, from 1.
    """

    name: str
    when: Condition
    at: Moment = Moment.DECISION
    sends: tuple[Send, ...] = ()
    forwards: tuple[Forward, ...] = ()
    tags: tuple[str, ...] = ()
    drop: bool = False
    held: bool = False
    hours: Hours | None = None
    shadow: bool = False
    line: int = 0

    @property
    def only_tags(self) -> bool:
        """It decides nothing: the next rules are asked, too, and see its tags."""
        return bool(self.tags) and not (self.sends or self.forwards or self.drop or self.held)


@dataclass(frozen=True)
class RuleSet:
    """The rules of a site, in order.

    unmatched: what is sent of a decision of which no rule decides; None: what each destination is configured for.
    keep_images: images of which no rule decides stay here; otherwise they go where the settings say.
    zone: of the hours; None: that of this machine.
    """

    rules: Sequence[Rule] = field(default_factory=tuple)
    match: Match = Match.FIRST
    unmatched: tuple[Send, ...] | None = None
    keep_images: bool = False
    zone: ZoneInfo | None = None

    def with_released(self, names: Collection[str]) -> RuleSet:
        """The same with these rules out of shadow mode."""
        if not any(rule.shadow and rule.name in names for rule in self.rules):
            return self
        return replace(
            self, rules=[replace(rule, shadow=rule.shadow and rule.name not in names) for rule in self.rules]
        )

    def of(self, moment: Moment) -> list[Rule]:
        return [rule for rule in self.rules if rule.at is moment]

    def may_ask(self, moment: Moment, names: Iterable[str]) -> bool:
        """Whether a condition of this moment may use one of these names; a text that reads like one counts, too."""
        wanted = re.compile(rf"\b(?:{'|'.join(names)})\b")
        return any(wanted.search(rule.when.text) for rule in self.of(moment))

    def local(self, now: datetime) -> datetime:
        """The site's time."""
        return now.astimezone(self.zone)

    @property
    def forwards_decided_series(self) -> bool:
        """Whether a decision can send the series further that it rests on."""
        forwards = (one for rule in self.of(Moment.DECISION) for one in rule.forwards)
        return any(one.images is Scope.SERIES for one in forwards)
