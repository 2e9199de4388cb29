"""Twenty rules of a site over 200 studies: for each study the rules in CEL and the same said in Python agree."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.workers.index.index_contract import a_row
from workers.rules.answer import RulesAnswer, ask_rules
from workers.rules.facts import LANGUAGE, SeriesHead, arrival_facts, decision_facts
from workers.rules.read import Vocabulary, parse_rules
from workers.rules.rule import Moment

KNOWN = Vocabulary(
    {"pacs", "archive", "research", "ris", "pager"},
    {"sr", "sc", "document", "oru", "webhook"},
    LANGUAGE,
    alerts={"ris": "oru", "pager": "webhook"},
    image_takers={"pacs", "archive", "research"},
)


@dataclass(frozen=True)
class Case:
    """One study, as plain values. local: the site's time, Europe/Berlin in winter (UTC + 1)."""

    category: str
    priority: str
    stage: str
    days: int | None
    patterns: dict[str, str]
    baseline: bool
    reasons: tuple[str, ...]
    kinds: tuple[str, ...]
    station: str
    body: str
    sender: str
    description: str
    accession: str
    sex: str
    tags: tuple[str, ...]
    utc: datetime

    @property
    def local(self) -> datetime:
        return self.utc + timedelta(hours=1)

    @property
    def night(self) -> bool:
        return not 6 <= self.local.hour < 22


Told = Callable[[Case], bool]
FORWARD = "forward: [{images: study, to: [pacs]}]"
# name, moment, the rest of the rule in YAML, the same in Python
RULES: list[tuple[str, str, str, Told]] = [
    ("all MR", "arrival", f"when: modalities == ['MR']\n    {FORWARD}", lambda _: True),
    ("scouts", "arrival", "when: '\"localizer\" in kinds'\n    drop: true", lambda c: c.kinds[0] == "localizer"),
    ("flair first", "arrival", f"when: '\"flair\" in kinds'\n    {FORWARD}", lambda c: c.kinds[0] == "flair"),
    ("head only", "arrival", f"when: dicom.BodyPartExamined in ['BRAIN', 'HEAD']\n    {FORWARD}",
     lambda c: c.body in ("BRAIN", "HEAD")),
    ("trial scanner", "arrival", "when: dicom.StationName == 'MR-RESEARCH'\n    tag: [trial]",
     lambda c: c.station == "MR-RESEARCH"),
    ("our scanners", "arrival", f"when: senders.all(s, s.startsWith('MR'))\n    {FORWARD}",
     lambda c: c.sender.startswith("MR")),
    ("no order", "arrival", "when: accession_number == ''\n    tag: [no order]", lambda c: not c.accession),
    ("night", "arrival", f"when: 'true'\n    between: '22:00-06:00'\n    {FORWARD}", lambda c: c.night),
    ("private", "arrival", "when: series_descriptions.exists(d, d.matches('(?i)do not send'))\n    drop: true",
     lambda c: "do not send" in c.description.lower()),
    ("urgent", "decision", "when: priority == 'P1'\n    alert: [ris, pager]", lambda c: c.priority == "P1"),
    ("early", "decision", "when: days_known && days_after_infusion >= 0 && days_after_infusion <= 30\n    tag: [early]",
     lambda c: c.days is not None and 0 <= c.days <= 30),
    ("unknown day", "decision", "when: '!days_known'\n    send: [{outputs: [document], to: [archive]}]",
     lambda c: c.days is None),
    ("bithalamic", "decision", "when: has(strengths.A) && strengths.A == 'strong'\n    alert: [pager]",
     lambda c: c.patterns.get("A") == "strong"),
    ("two patterns", "decision", "when: patterns.size() >= 2\n    send: [{outputs: [sr, sc], to: [pacs]}]",
     lambda c: len(c.patterns) >= 2),
    ("no baseline", "decision", "when: '!has_baseline && \"no_baseline\" in reason_codes'\n    tag: [single]",
     lambda c: not c.baseline and "no_baseline: none" in c.reasons),
    ("full only", "decision", "when: stage == 'full' && category != 'not_assessable'\n"
     "    send: [{outputs: [sr], to: [pacs]}]",
     lambda c: c.stage == "full" and c.category != "not_assessable"),
    ("trial", "decision", "when: '\"trial\" in tags'\n    hold: true", lambda c: "trial" in c.tags),
    ("weekend", "decision", "when: 'true'\n    weekdays: [sat, sun]\n    tag: [weekend]",
     lambda c: c.local.weekday() >= 5),
    ("office", "decision", "when: weekday <= 5 && hour >= 8 && hour < 17\n    tag: [office]",
     lambda c: c.local.isoweekday() <= 5 and 8 <= c.local.hour < 17),
    ("diffusion", "decision",
     "when: kinds.exists(k, k == 'dwi') && sex == 'F'\n    send: [{outputs: [sc], to: [pacs]}]",
     lambda c: "dwi" in c.kinds and c.sex == "F"),
]  # fmt: skip
TEXT = "match: all\nzone: Europe/Berlin\nrules:\n" + "".join(
    f"  - name: {name}\n    at: {moment}\n    {rest}\n" for name, moment, rest, _ in RULES
)


def some_cases(number: int = 200) -> list[Case]:
    chance = random.Random(7)
    pick = chance.choice

    def a_case() -> Case:
        kinds = tuple(chance.sample(["flair", "t1", "dwi", "localizer", "t2"], k=chance.randint(1, 4)))
        found = dict.fromkeys(chance.sample("ABCD", k=chance.randint(0, 2)), "")
        return Case(
            category=pick(["neurotoxicity_suspected", "possible", "no_pattern", "not_assessable"]),
            priority=pick(["P1", "P2", "P3", "unchanged"]),
            stage=pick(["first_look", "full"]),
            days=pick([None, -40, 0, 7, 30, 31, 400]),
            patterns={letter: pick(["strong", "possible"]) for letter in found},
            baseline=pick([True, False]),
            reasons=pick([(), ("no_baseline: none",), ("A is strong",)]),
            kinds=kinds,
            station=pick(["MR1", "MR-RESEARCH", ""]),
            body=pick(["BRAIN", "HEAD", "KNEE", ""]),
            sender=pick(["MR1", "MR2", "CD-READER"]),
            description=pick(["FLAIR", "Do Not Send", ""]),
            accession=pick(["", "A77"]),
            sex=pick(["F", "M", ""]),
            tags=pick([(), ("trial",)]),
            utc=datetime(2026, 1, 5, tzinfo=UTC) + timedelta(minutes=chance.randrange(7 * 24 * 60)),
        )

    return [a_case() for _ in range(number)]


SITE = parse_rules(TEXT.encode(), KNOWN, source="rules.yaml")


def asked(case: Case, moment: Moment) -> RulesAnswer:
    head = SeriesHead({"StationName": case.station, "BodyPartExamined": case.body}, case.kinds[0])
    row = a_row(calling_ae=case.sender, series_description=case.description, accession_number=case.accession)
    rows = [replace(row, sex=case.sex)]
    now = SITE.local(case.utc)
    if moment is Moment.ARRIVAL:
        return ask_rules(SITE, arrival_facts(None, rows, head, now=now), now=now, moment=moment)
    document: dict[str, Any] = {
        "stage": case.stage,
        "study": {"days_after_infusion": case.days},
        "baseline": {"study_instance_uid": "1.2"} if case.baseline else None,
        "series": [{"kind": kind} for kind in case.kinds],
        "findings": [
            {"pattern": letter, "presence": "present", "strength": how} for letter, how in case.patterns.items()
        ],
        "decision": {"category": case.category, "priority": case.priority, "reasons": list(case.reasons)},
    }
    facts = decision_facts(document, None, rows, head=head, tags=case.tags, now=now)
    return ask_rules(SITE, facts, now=now)


@pytest.mark.parametrize("moment", list(Moment))
def test_rules_and_python_agree(moment: Moment) -> None:
    told = [(name, holds) for name, at, _, holds in RULES if at == moment.value]
    fired_once = set()
    for case in some_cases():
        answer = asked(case, moment)
        assert [one.failure for one in answer.looked if one.failure] == []
        assert list(answer.fired) == [name for name, holds in told if holds(case)], case
        fired_once |= set(answer.fired)
        dropped = {"scouts", "private"} & set(answer.fired)
        if moment is Moment.ARRIVAL:
            assert (answer.forwards == ()) == bool(dropped), case
        assert answer.held == ("trial" in answer.fired)
    assert fired_once == {name for name, _ in told}, "a rule that never fires tests nothing"
