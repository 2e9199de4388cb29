"""The rules of a site, asked about stored decisions and about series that arrive."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from workers.delivery_ports import Decided
from workers.destination_settings import ALERT_OF
from workers.image_ports import IMAGES
from workers.log import get_logger, study_hash
from workers.output_kinds import KINDS
from workers.ports import InstanceRow, StudyIndex, StudyRow
from workers.result_settings import IMAGE_KINDS, ResultsSettings
from workers.rules.answer import Looked, RulesAnswer, ask_rules
from workers.rules.facts import LANGUAGE, SeriesHead, arrival_facts, decision_facts
from workers.rules.read import Vocabulary, read_rules
from workers.rules.rule import Moment, RuleSet

log = get_logger(__name__)

NO_RULES = RuleSet()
# names of expressions whose values come from the headers of the images
OF_HEADERS = {Moment.ARRIVAL: ("dicom", "kinds"), Moment.DECISION: ("dicom",)}


def rules_of(results: ResultsSettings) -> RuleSet | None:
    """The rules that the settings name; None: there are none.

    Raises:
        Misconfigured: the file cannot be read, or something in it is wrong.
    """
    return None if results.rules is None else read_rules(results.rules, known_of(results))


def known_of(results: ResultsSettings) -> Vocabulary:
    """What the rules of this site may name."""
    return Vocabulary(
        {one.name for one in results.destinations},
        {kind.name for kind in KINDS if not kind.says_wrong},
        LANGUAGE,
        alerts={one.name: ALERT_OF[one.kind] for one in results.destinations if one.kind in ALERT_OF},
        image_takers={one.name for one in results.destinations if one.kind in IMAGE_KINDS},
        kinds={one.name: one.kind for one in results.destinations},
    )


def with_outputs_of_rules(results: ResultsSettings, rules: RuleSet | None) -> ResultsSettings:
    """The settings, in which each destination also has the outputs that the rules may send it."""
    if rules is None:
        return results
    sends = [*(send for rule in rules.rules for send in rule.sends), *(rules.unmatched or ())]
    found: dict[str, list[str]] = {one.name: list(one.outputs) for one in results.destinations}
    for send in sends:
        for name in send.to:
            found[name] += send.outputs
    for name in (name for rule in rules.rules for forward in rule.forwards for name in forward.to):
        found[name].append(IMAGES)
    some = [one.model_copy(update={"outputs": tuple(dict.fromkeys(found[one.name]))}) for one in results.destinations]
    return results.model_copy(update={"destinations": tuple(some)})


def no_head(_rows: Sequence[InstanceRow]) -> SeriesHead:
    return SeriesHead()


def no_tags(_study_instance_uid: str) -> Sequence[str]:
    return ()


def count_nothing(_looked: Sequence[Looked], _day: date) -> None:
    """Nobody keeps what the rules did."""


@dataclass(frozen=True)
class SiteRules:
    """The rules with what they are asked about.

    now: any time zone. head: rows of one series -> what their headers say; asked only where a rule may need it. tags:
    study UID -> tags so far. released: names of the rules that a person took out of shadow mode. count: keeps what the
    rules did on a day of the site.
    """

    rules: RuleSet
    index: StudyIndex
    now: Callable[[], datetime]
    head: Callable[[Sequence[InstanceRow]], SeriesHead] = no_head
    tags: Callable[[str], Sequence[str]] = no_tags
    released: Callable[[], Collection[str]] = tuple
    count: Callable[[Sequence[Looked], date], None] = count_nothing

    def asked(self, document: Mapping[str, Any]) -> RulesAnswer:
        """What the rules want of one decision.

        Raises:
            Transient: the index is away, or a header cannot be read for the moment.
        """
        uid = document["study"]["study_instance_uid"]
        row, instances = self.index.study(uid), self.index.instances(uid)
        now = self.rules.local(self.now())
        flair = {series["series_instance_uid"] for series in document["series"] if series["kind"] == "flair"}
        shown = [one for one in instances if one.series_instance_uid in flair] or instances
        head = self._head_for(Moment.DECISION, shown)
        facts = decision_facts(document, row, instances, now=now, head=head, tags=self.tags(uid))
        return ask_rules(self._rules_now(), facts, now=now)

    def asked_at_arrival(
        self, row: StudyRow | None, instances: Sequence[InstanceRow], tags: Sequence[str]
    ) -> RulesAnswer:
        """What the rules want of one series.

        Args:
            instances: of the series, at least one.

        Raises:
            Transient: a header cannot be read for the moment.
        """
        now = self.rules.local(self.now())
        head = self._head_for(Moment.ARRIVAL, instances)
        facts = arrival_facts(row, instances, head, tags=tags, now=now)
        answer = ask_rules(self._rules_now(), facts, now=now, moment=Moment.ARRIVAL)
        self.count(answer.looked, now.date())
        return answer

    def _head_for(self, moment: Moment, rows: Sequence[InstanceRow]) -> SeriesHead:
        return self.head(rows) if self.rules.may_ask(moment, OF_HEADERS[moment]) else SeriesHead()

    def _rules_now(self) -> RuleSet:
        in_shadow = any(rule.shadow for rule in self.rules.rules)
        return self.rules.with_released(self.released()) if in_shadow else self.rules


def wanted_by(site: SiteRules, document: Callable[[Decided], Mapping[str, Any]]) -> Callable[[Decided], RulesAnswer]:
    """What goes where, for planning. With a fault of the rules each destination gets its own outputs."""

    def wanted(decided: Decided) -> RulesAnswer:
        answer = site.asked(document(decided))
        site.count(answer.looked, site.rules.local(site.now()).date())
        told(answer, study_hash(decided.study_instance_uid), decided.stage)
        return answer

    return wanted


def told(answer: RulesAnswer, study: str, stage: str) -> None:
    """Write to the log what became of the rules."""
    for one in answer.looked:
        if one.failure is not None:
            log.warning("rules.no_value", rule=one.rule.name, error=one.failure, study=study, stage=stage)
    log.info("rules.asked", fired=list(answer.fired), as_configured=answer.sends is None, study=study, stage=stage)
