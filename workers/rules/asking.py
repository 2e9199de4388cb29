"""Facts about a decision and the rules of a site in, what is to be sent and why out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from workers.rules.expression import Fact, NotEvaluableError
from workers.rules.rule import Match, Rule, RuleSet, Send


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

    sends: None, when each destination gets what it is configured for. would: what rules in shadow mode would send.
    looked: every rule that was looked at, in order.
    """

    sends: tuple[Send, ...] | None
    would: tuple[Send, ...] = ()
    looked: tuple[Looked, ...] = ()

    @property
    def fired(self) -> tuple[str, ...]:
        return tuple(one.rule.name for one in self.looked if one.fits and not one.rule.shadow)


def ask_rules(rules: RuleSet, facts: Mapping[str, Fact], *, now: datetime) -> RulesAnswer:
    """Ask the rules in order.

    A rule that has no value for these facts decides nothing; when no other rule fits, each destination gets what it is
    configured for, whatever ``unmatched`` says: a mistake in a rule must not hide a result.

    Args:
        now: local time of the site.
    """
    looked: list[Looked] = []
    for rule in rules.rules:
        one = _look(rule, facts, now)
        looked.append(one)
        if one.fits and not rule.shadow and rules.match is Match.FIRST:
            break
    fired = [one.rule for one in looked if one.fits and not one.rule.shadow]
    would = tuple(send for one in looked if one.fits and one.rule.shadow for send in one.rule.sends)
    verdict = RulesAnswer(None, would=would, looked=tuple(looked))
    if not fired:
        failed = any(one.failure for one in looked)
        return verdict if failed else replace(verdict, sends=rules.unmatched)
    dropped = any(rule.drop for rule in fired)
    sends = () if dropped else tuple(dict.fromkeys(send for rule in fired for send in rule.sends))
    return replace(verdict, sends=sends)


def _look(rule: Rule, facts: Mapping[str, Fact], now: datetime) -> Looked:
    if rule.hours is not None and not rule.hours.hold(now):
        return Looked(rule, late=True)
    try:
        return Looked(rule, fits=rule.when.holds(facts))
    except NotEvaluableError as error:
        return Looked(rule, failure=str(error))
