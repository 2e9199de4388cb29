"""What is in shadow mode and who released it; the promotion and its way back, for the command, the page and the API.

What the settings put into shadow mode is a stage: the site, a destination, a scanner, a pattern or a rule. A person
promotes it, and may take that back. Who, when and why stand in the history, in the audit log of the node and in an
audit message.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from triage.errors import Misconfigured
from workers.config import Settings
from workers.deliveries.staging import SITE
from workers.delivery_ports import Deliveries, Release, ShadowKind, released_by
from workers.identities import printable
from workers.result_settings import ResultsSettings

StageKey = tuple[ShadowKind, str]
LONGEST_REASON = 500  # characters


class UnknownStage(Misconfigured):
    """The settings put nothing of this name into shadow mode."""


@dataclass(frozen=True)
class Promoter:
    """Who promotes something, or takes that back, and why. login: account of the machine, of a command. token: key of
    the personal token that was used."""

    by: str
    why: str
    login: str = ""
    token: str | None = None


def stages_of(results: ResultsSettings) -> list[StageKey]:
    """Everything that the settings and the rules put into shadow mode.

    Raises:
        Misconfigured: the file of the rules cannot be read, or is wrong.
    """
    return [*_stages_without_rules(results), *_rules_in_shadow(results)]


def readable_stages(results: ResultsSettings) -> list[StageKey]:
    """The same; a wrong file of rules keeps only the rules away."""
    try:
        return stages_of(results)
    except Misconfigured:
        return _stages_without_rules(results)


def stage_words(stage: StageKey) -> str:
    return "the site" if stage == SITE else f"{stage[0]} {stage[1]}"


def stage_facts(stages: Sequence[StageKey], records: Sequence[Release]) -> list[dict[str, Any]]:
    """Of each stage: kind, name, whether it is in shadow mode now, and its history, oldest first."""
    released = released_by(records)
    return [
        {"kind": stage[0].value, "name": stage[1], "shadow": stage not in released, "history": _history(stage, records)}
        for stage in stages
    ]


def move_stage(
    settings: Settings, known: Deliveries, stage: StageKey, promoter: Promoter, *, promoted: bool, now: datetime
) -> Release | None:
    """Promote a stage, or take that back, for the decisions from now on. None: it stands so already, and nothing is
    recorded.

    Raises:
        UnknownStage: the settings do not put it into shadow mode.
        Misconfigured: the name or the reason is missing or too long, or the file of the rules is wrong.
        Transient: the index is away.
    """
    _require_stage(settings.results, stage)
    by, why = _cleaned(promoter.by), _cleaned(promoter.why)
    if not by or not why:
        raise Misconfigured("a name and a reason are needed: they are kept with the promotion")
    if len(why) > LONGEST_REASON:
        raise Misconfigured(f"the reason has {len(why)} characters; at most {LONGEST_REASON} are kept")
    if (stage in released_by(known.releases())) is promoted:
        return None
    record = Release(stage[1], promoted, by, why, now, stage[0])
    known.release(record)
    _audited(settings, record, promoter)
    return record


def _stages_without_rules(results: ResultsSettings) -> list[StageKey]:
    found = [SITE] if results.shadow else []
    found += [(ShadowKind.DESTINATION, one.name) for one in results.destinations if one.shadow]
    found += [(ShadowKind.SCANNER, one.name) for one in results.shadow_scanners]
    return [*found, *((ShadowKind.PATTERN, name) for name in results.shadow_patterns)]


def _rules_in_shadow(results: ResultsSettings) -> list[StageKey]:
    if results.rules is None:
        return []
    from workers.rules.listing import listed_rules  # loads the language of the rules

    return [(ShadowKind.RULE, one.name) for one in listed_rules(results) if one.shadow]


def _require_stage(results: ResultsSettings, stage: StageKey) -> None:
    kind, name = stage
    if kind is ShadowKind.DESTINATION and name not in {one.name for one in results.destinations}:
        raise UnknownStage(f"destination {name} is not among results.destinations")
    if stage not in (stages_of(results) if kind is ShadowKind.RULE else _stages_without_rules(results)):
        there = ", ".join(stage_words(one) for one in readable_stages(results)) or "nothing"
        raise UnknownStage(f"{stage_words(stage)} is not in shadow mode by the settings; there is {there}")


def _cleaned(text: str) -> str:
    """On one line, without hidden characters; empty when nothing of it can be seen."""
    shown = " ".join(printable(" ".join(text.split())).split())
    return shown if any(sign.isprintable() and sign != " " for sign in shown) else ""


def _history(stage: StageKey, records: Sequence[Release]) -> list[dict[str, Any]]:
    return [
        {"promoted": one.promoted, "by": one.by, "why": one.why, "at": one.at}
        for one in records
        if (one.kind, one.name) == stage
    ]


def _audited(settings: Settings, record: Release, promoter: Promoter) -> None:
    """Into the audit log of the node, and to the audit repository."""
    from workers.audit.journal import Journal, journal_file
    from workers.audit.messages import Configured
    from workers.audit.spool import auditor_of

    word = "promoted" if record.promoted else "demoted"
    change = Configured(record.by, promoter.login, f"{word}: {stage_words((record.kind, record.name))}", record.why)
    facts: dict[str, Any] = {"at": record.at.isoformat(), "who": record.by, "did": change.what, "why": record.why}
    facts |= {"study": None, "status": 0, "login": change.login}
    if promoter.token is not None:
        facts["token"] = promoter.token
    Journal(journal_file(settings)).add(facts)
    auditor_of(settings).configured(change)
