"""Rules of a site: reading them, asking them, and expressions that want too much."""

from __future__ import annotations

import resource
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.hostile_rules import HOSTILE, with_long_texts
from triage.errors import Misconfigured
from workers.rules.answer import RulesAnswer, ask_rules
from workers.rules.expression import NotEvaluableError, WrongExpressionError
from workers.rules.facts import LANGUAGE, NAMES, decision_facts
from workers.rules.read import Vocabulary, parse_rules
from workers.rules.rule import Match, RuleSet, Send


def at(day: int, hour: int, minute: int) -> datetime:
    """In March 2024; the 11th is a Monday."""
    return datetime(2024, 3, day, hour, minute, tzinfo=UTC)


MONDAY_NOON, MONDAY_NIGHT = at(11, 12, 0), at(11, 23, 30)
KNOWN = Vocabulary({"pacs", "ris", "archive"}, {"sr", "sc", "oru", "document"}, LANGUAGE)
OF_KINDS = replace(KNOWN, kinds={"pacs": "dicom", "ris": "mllp"})
DOCUMENT: dict[str, Any] = {
    "stage": "full",
    "study": {"days_after_infusion": 7},
    "baseline": {"study_instance_uid": "1.2"},
    "series": [{"kind": "flair"}, {"kind": "t1"}],
    "findings": [
        {"pattern": "A", "presence": "present", "strength": "strong"},
        {"pattern": "B", "presence": "absent", "strength": None},
    ],
    "decision": {
        "category": "neurotoxicity_suspected",
        "priority": "P1",
        "reasons": ["no_baseline: none", "A is strong"],
    },
}
FACTS = decision_facts(DOCUMENT, None, [], now=MONDAY_NOON)


def rules(text: str) -> RuleSet:
    return parse_rules(text.encode(), KNOWN, source="rules.yaml")


def a_rule(when: str, more: str = "send: [{outputs: [sr], to: [pacs]}]") -> RuleSet:
    return rules(f"rules:\n  - name: one\n    when: |\n      {when}\n    {more}\n")


CONDITIONS = [
    pytest.param("true", True, id="no-op"),
    pytest.param('priority == "P1"', True, id="priority"),
    pytest.param('priority in ["P2", "P3"]', False, id="one of"),
    pytest.param('category == "neurotoxicity_suspected" && stage == "full"', True, id="category and stage"),
    pytest.param('"A" in patterns', True, id="pattern present"),
    pytest.param('"B" in patterns', False, id="pattern absent"),
    pytest.param('has(strengths.A) && strengths.A == "strong"', True, id="strength"),
    pytest.param('has(strengths.D) && strengths.D == "strong"', False, id="strength of what is not there"),
    pytest.param("days_known && days_after_infusion <= 30", True, id="days"),
    pytest.param("!days_known", False, id="days not known"),
    pytest.param('kinds.exists(kind, kind == "flair")', True, id="kind of series"),
    pytest.param('kinds.all(kind, kind != "dwi")', True, id="no diffusion"),
    pytest.param('"no_baseline" in reason_codes', True, id="reason"),
    pytest.param("has_baseline", True, id="baseline"),
    pytest.param("hour >= 7 && hour < 19 && weekday <= 5", True, id="office hours"),
    pytest.param('senders.exists(one, one.startsWith("MR"))', False, id="sender"),
    pytest.param('series_descriptions.exists(one, one.matches("(?i)flair"))', False, id="description"),
    pytest.param('accession_number == "" || images > 0', True, id="no accession number"),
    pytest.param('sex == "F"', False, id="sex not stated"),
    pytest.param('issuer != "" && modalities.size() > 1', False, id="issuer"),
]


@pytest.mark.parametrize(("when", "fits"), CONDITIONS)
def test_conditions(when: str, fits: bool) -> None:
    verdict = ask_rules(a_rule(when), FACTS, now=MONDAY_NOON)
    assert verdict.fired == (("one",) if fits else ())
    assert verdict.sends == ((Send(("sr",), ("pacs",)),) if fits else None)


def test_every_name_has_a_fact_of_its_type() -> None:
    unknown = DOCUMENT | {"study": {"days_after_infusion": None}, "baseline": None}
    for facts in (FACTS, decision_facts(unknown, None, [], now=MONDAY_NOON)):
        assert set(facts) == set(NAMES)
        for name in NAMES:
            LANGUAGE.compiled(f"{name} == {name}").holds(facts)


TWO = """
match: {match}
unmatched: [{{outputs: [document], to: [archive]}}]
rules:
  - {{name: urgent, when: 'priority == "P1"', send: [{{outputs: [sr], to: [pacs]}}]}}
  - {{name: alert, when: 'days_known', send: [{{outputs: [oru], to: [ris]}}]}}
"""
SR, ORU, ARCHIVE = Send(("sr",), ("pacs",)), Send(("oru",), ("ris",)), Send(("document",), ("archive",))


@pytest.mark.parametrize(("match", "sends"), [(Match.FIRST, (SR,)), (Match.ALL, (SR, ORU))])
def test_first_or_all(match: Match, sends: tuple[Send, ...]) -> None:
    verdict = ask_rules(rules(TWO.format(match=match.value)), FACTS, now=MONDAY_NOON)
    assert verdict.sends == sends


def test_what_no_rule_fits() -> None:
    nothing = FACTS | {"priority": "unchanged", "days_known": False}
    assert ask_rules(rules(TWO.format(match="all")), nothing, now=MONDAY_NOON).sends == (ARCHIVE,)
    assert ask_rules(RuleSet(), nothing, now=MONDAY_NOON) == RulesAnswer(None)


def test_a_rule_that_drops_beats_one_that_sends() -> None:
    text = TWO.format(match="all") + "  - {name: study, when: 'true', drop: true}\n"
    assert ask_rules(rules(text), FACTS, now=MONDAY_NOON).sends == ()


def test_a_rule_without_a_value_hides_no_result() -> None:
    verdict = ask_rules(
        rules(TWO.format(match="all").replace("days_known", 'strengths["D"] == ""')),
        FACTS | {"priority": "P2"},
        now=MONDAY_NOON,
    )
    assert verdict.sends is None  # as configured, although "unmatched" says less
    assert "D" in (verdict.looked[1].failure or "")


def test_shadow_tells_and_does_nothing() -> None:
    verdict = ask_rules(a_rule("true", "send: [{outputs: [sr], to: [pacs]}]\n    shadow: true"), FACTS, now=MONDAY_NOON)
    assert (verdict.sends, verdict.would, verdict.fired) == (None, (SR,), ())


HOURS = [
    pytest.param('between: "07:00-19:00"', MONDAY_NOON, True, id="by day"),
    pytest.param('between: "07:00-19:00"', MONDAY_NIGHT, False, id="not by night"),
    pytest.param('between: "22:00-06:00"', MONDAY_NIGHT, True, id="over midnight, before"),
    pytest.param('between: "22:00-06:00"', at(12, 5, 59), True, id="over midnight, after"),
    pytest.param('between: "22:00-06:00"\n    weekdays: [mon]', at(12, 5, 59), True, id="night of Monday"),
    pytest.param('between: "22:00-06:00"\n    weekdays: [tue]', at(12, 5, 59), False, id="night of another day"),
    pytest.param("weekdays: [sat, sun]", MONDAY_NOON, False, id="weekend"),
]


@pytest.mark.parametrize(("hours", "now", "fits"), HOURS)
def test_hours(hours: str, now: datetime, fits: bool) -> None:
    assert ask_rules(a_rule("true", hours), FACTS, now=now).fired == (("one",) if fits else ())


MISTAKES = [
    pytest.param("rules: 7", "rules.yaml:1:8: expected a list", id="no list"),
    pytest.param("rules:\n- {name: a}", "rules.yaml:2:3: the rule has no 'when'", id="no condition"),
    pytest.param("rules:\n- {name: a, when: 'true', sent: []}", "rules.yaml:2:27: unknown key 'sent'", id="key"),
    pytest.param("rules:\n- {name: a, when: 'prio == 1'}", "column 1: undeclared reference to 'prio'", id="name"),
    pytest.param("rules:\n- {name: a, when: 'hour'}", "must be true or false", id="number"),
    pytest.param("rules:\n- {name: a, when: 'hour > \"x\"'}", "column 6: found no matching overload", id="types"),
    pytest.param(
        "rules:\n- {name: a, when: 'true', send: [{outputs: [sr], to: [nobody]}]}",
        "no destination 'nobody'; known: archive, pacs, ris",
        id="destination",
    ),
    pytest.param(
        "rules:\n- {name: a, when: 'true', send: [{outputs: [svg], to: [ris]}]}", "no output 'svg'", id="output"
    ),
    pytest.param(
        "rules:\n- {name: a, when: 'true'}\n- {name: a, when: 'true'}", "two rules have the name 'a'", id="twice"
    ),
    pytest.param(
        "rules:\n- {name: a, when: 'true', between: 22:00-6:00}", 'expected hours such as "22:00-06:00"', id="hours"
    ),
    pytest.param(
        "rules:\n- {name: a, when: 'true', between: '08:00-08:00'}", "2:36: begins when it ends", id="no time at all"
    ),
    pytest.param(
        "rules:\n- {name: a, when: 'true', drop: true, send: [{outputs: [sr], to: [ris]}]}",
        "drops and sends",
        id="both",
    ),
    pytest.param("rules: [", "rules.yaml:1:9:", id="YAML"),
    pytest.param("match: some", "'some' is none of first, all", id="match"),
]


@pytest.mark.parametrize(("text", "told"), MISTAKES)
def test_mistakes_are_told_with_their_place(text: str, told: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        rules(text)
    assert told in str(caught.value)
    assert str(caught.value).startswith("rules.yaml:")


@pytest.mark.parametrize(
    ("output", "to", "told"),
    [
        pytest.param("oru", "ris", None, id="no-op: HL7 to the RIS"),
        pytest.param("sr", "pacs", None, id="no-op: a report to the PACS"),
        pytest.param("document", "archive", None, id="no-op: a kind that nobody stated"),
        pytest.param("sr", "ris", "'ris' does not take 'sr': mllp takes no sr; it takes oru", id="DICOM to the RIS"),
        pytest.param("oru", "pacs", "'pacs' does not take 'oru': dicom takes no oru", id="HL7 to the PACS"),
        pytest.param("document", "pacs", "dicom takes no document", id="no DICOM object to the PACS"),
    ],
)
@pytest.mark.parametrize("where", ["rules:\n- {{name: a, when: 'true', send: [{0}]}}", "unmatched:\n- {0}"])
def test_what_a_destination_cannot_take_is_refused_with_its_place(
    output: str, to: str, told: str | None, where: str
) -> None:
    text = where.format(f"{{outputs: [{output}], to: [{to}]}}").encode()
    if told is None:
        parse_rules(text, OF_KINDS, source="rules.yaml")
        return
    with pytest.raises(Misconfigured, match=r"^rules\.yaml:2:\d+: ") as caught:
        parse_rules(text, OF_KINDS, source="rules.yaml")
    assert told in str(caught.value)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in HOSTILE.items()])
def test_an_expression_that_wants_too_much_is_refused_or_cut(text: str) -> None:
    """``python -m bench.hostile_rules`` says how long each takes."""
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises((WrongExpressionError, NotEvaluableError)):
        LANGUAGE.compiled(text).holds(with_long_texts(FACTS))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 200_000


def test_a_pattern_that_backtracks_elsewhere_is_linear_here() -> None:
    assert not LANGUAGE.compiled("issuer.matches('(a+)+$')").holds(FACTS | {"issuer": "a" * 255 + "!"})


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_a_mistake(text: str) -> None:
    with suppress(WrongExpressionError, NotEvaluableError):
        assert LANGUAGE.compiled(text).holds(FACTS) in (True, False)
