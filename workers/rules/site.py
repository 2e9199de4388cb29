"""The rules of a site, asked about stored decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workers.delivery_ports import Decided
from workers.log import get_logger, study_hash
from workers.outputs.all import OUTPUTS
from workers.ports import StudyIndex
from workers.result_settings import ResultsSettings
from workers.rules.asking import RulesAnswer, ask_rules
from workers.rules.facts import LANGUAGE, decision_facts
from workers.rules.read import Vocabulary, read_rules
from workers.rules.rule import RuleSet, Send

log = get_logger(__name__)


def rules_of(results: ResultsSettings) -> RuleSet | None:
    """The rules that the settings name; None: there are none.

    Raises:
        Misconfigured: the file cannot be read, or something in it is wrong.
    """
    return None if results.rules is None else read_rules(results.rules, known_of(results))


def known_of(results: ResultsSettings) -> Vocabulary:
    """What the rules of this site may name."""
    return Vocabulary({one.name for one in results.destinations}, {output.kind for output in OUTPUTS}, LANGUAGE)


@dataclass(frozen=True)
class SiteRules:
    """The rules with what they are asked about. now: local time of the site."""

    rules: RuleSet
    index: StudyIndex
    now: Callable[[], datetime]

    def asked(self, document: Mapping[str, Any]) -> RulesAnswer:
        """What the rules want of one decision.

        Raises:
            Transient: the index is away.
        """
        uid = document["study"]["study_instance_uid"]
        row, instances = self.index.study(uid), self.index.instances(uid)
        now = self.now()
        return ask_rules(self.rules, decision_facts(document, row, instances, now=now), now=now)


def wanted_by(
    site: SiteRules, document: Callable[[Decided], Mapping[str, Any]]
) -> Callable[[Decided], Sequence[Send] | None]:
    """What goes where, for planning. With a fault of the rules each destination gets its own outputs."""

    def wanted(decided: Decided) -> Sequence[Send] | None:
        verdict = site.asked(document(decided))
        names = {"study": study_hash(decided.study_instance_uid), "stage": decided.stage}
        for one in verdict.looked:
            if one.failure is not None:
                log.warning("rules.no_value", rule=one.rule.name, error=one.failure, **names)
        log.info("rules.asked", fired=list(verdict.fired), as_configured=verdict.sends is None, **names)
        return verdict.sends

    return wanted
