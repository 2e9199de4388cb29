"""Facts and the rules of a site in, what is to be sent and why out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from workers.rules.expression import Fact, NotEvaluableError
from workers.rules.rule import Forward, Match, Moment, Rule, RuleSet, Send

T = TypeVar("T")


@dataclass(frozen=True)
class Looked:
    """What became of one rule: it fits or not, or why nobody can say. late: its hours are others."""

    rule: Rule
    fits: bool = False
    late: bool = False
    failure: str | None = None


@dataclass(frozen=True)
class RulesAnswer:
    """What the rules want.

    sends: results; None: each destination gets what it is configured for. forwards: images; None: as configured.
    would, would_forward: the same of rules in shadow mode. held: what is sent waits for a person. tags: new ones, with
    the rule that put them. looked: every rule that was looked at, in order.
    """

    sends: tuple[Send, ...] | None
    would: tuple[Send, ...] = ()
    looked: tuple[Looked, ...] = ()
    forwards: tuple[Forward, ...] | None = ()
    would_forward: tuple[Forward, ...] = ()
    held: bool = False
    tags: tuple[tuple[str, str], ...] = ()

    def would_rule(self, destination: str, output: str) -> str:
        """Names of the rules in shadow mode that would send this there."""
        names = [
            one.rule.name
            for one in self.looked
            if one.fits
            and one.rule.shadow
            and any(destination in send.to and output in send.outputs for send in one.rule.sends)
        ]
        return ", ".join(f"rule {name}" for name in names)

    @property
    def would_forward_rules(self) -> dict[str, str]:
        """Destination of images -> names of the rules in shadow mode that would send them there."""
        found: dict[str, list[str]] = {}
        for one in self.looked:
            if one.fits and one.rule.shadow:
                for name in dict.fromkeys(name for forward in one.rule.forwards for name in forward.to):
                    found.setdefault(name, []).append(f"rule {one.rule.name}")
        return {name: ", ".join(rules) for name, rules in found.items()}

    @property
    def fired(self) -> tuple[str, ...]:
        return tuple(one.rule.name for one in self.looked if one.fits and not one.rule.shadow)


def ask_rules(
    rules: RuleSet, facts: Mapping[str, Fact], *, now: datetime, moment: Moment = Moment.DECISION
) -> RulesAnswer:
    """Ask the rules of one moment, in order.

    A rule that has no value for these facts decides nothing; when no other rule decides, everything goes where the
    settings say, whatever ``unmatched`` says: a mistake in a rule must not hide a result or an image.

    Args:
        now: local time of the site.
    """
    looked: list[Looked] = []
    tags: dict[str, str] = {}
    asked = dict(facts)
    for rule in rules.of(moment):
        one = _look(rule, asked, now)
        looked.append(one)
        if not one.fits or rule.shadow:
            continue
        tags |= {tag: rule.name for tag in rule.tags if tag not in tags}
        asked["tags"] = list(dict.fromkeys([*_texts(asked.get("tags")), *rule.tags]))
        if rules.match is Match.FIRST and not rule.only_tags:
            break
    fired = [one.rule for one in looked if one.fits and not one.rule.shadow]
    shadows = [one.rule for one in looked if one.fits and one.rule.shadow]
    failed = any(one.failure for one in looked)
    return RulesAnswer(
        _sends(rules, fired, failed=failed),
        would=_union(rule.sends for rule in shadows),
        looked=tuple(looked),
        forwards=_forwards(rules, fired, moment, failed=failed),
        would_forward=_union(rule.forwards for rule in shadows),
        held=any(rule.held for rule in fired),
        tags=tuple(tags.items()),
    )


def _sends(rules: RuleSet, fired: list[Rule], *, failed: bool) -> tuple[Send, ...] | None:
    if any(rule.drop for rule in fired):
        return ()
    if any(rule.sends for rule in fired):
        return _union(rule.sends for rule in fired)
    if failed or any(rule.held for rule in fired):
        return None
    return rules.unmatched


def _forwards(rules: RuleSet, fired: list[Rule], moment: Moment, *, failed: bool) -> tuple[Forward, ...] | None:
    """Of a decision only what a rule forwards: the images went as configured when they arrived."""
    if moment is Moment.DECISION:
        return _union(rule.forwards for rule in fired)
    if any(rule.drop for rule in fired):
        return ()
    if any(rule.forwards for rule in fired):
        return _union(rule.forwards for rule in fired)
    return () if rules.keep_images and not failed else None


def _union(some: Iterable[tuple[T, ...]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(one for each in some for one in each))


def _texts(found: Fact | None) -> list[str]:
    return [str(one) for one in found] if isinstance(found, list) else []


def _look(rule: Rule, facts: Mapping[str, Fact], now: datetime) -> Looked:
    if rule.hours is not None and not rule.hours.hold(now):
        return Looked(rule, late=True)
    try:
        return Looked(rule, fits=rule.when.holds(facts))
    except NotEvaluableError as error:
        return Looked(rule, failure=str(error))
