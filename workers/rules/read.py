"""A YAML file of rules in, a RuleSet out; every mistake is told with file, line and column.

match: first                      # or all: every rule that fits adds what it sends
zone: Europe/Berlin               # of between and weekdays; without it, that of the machine
unmatched: forward                # as configured; keep: nothing goes out; or {images: keep, results: [...]}
rules:
  - name: images at once
    at: arrival                   # before any decision, series by series; without it: decision
    when: modalities.exists(m, m == "MR")
    forward: [{images: study, to: [pacs]}]
  - name: urgent
    when: priority == "P1" && days_known && days_after_infusion <= 30
    send: [{outputs: [sr, sc], to: [pacs]}, {outputs: [oru], to: [ris]}]
    alert: [pager]
    tag: [urgent]
  - name: nothing at night for researchers
    when: category == "no_pattern"
    between: "22:00-06:00"
    weekdays: [mon, tue, wed, thu, fri]
    drop: true
    shadow: true
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import time
from itertools import product
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

import yaml

from triage.errors import Misconfigured
from workers.destination_settings import cannot_take
from workers.rules.expression import Condition, Language, WrongExpressionError
from workers.rules.facts import ARRIVAL_LANGUAGE, HEADERS
from workers.rules.rule import Forward, Hours, Match, Moment, Rule, RuleSet, Scope, Send

FORWARD, KEEP = "forward", "keep"
LONGEST_FILE_BYTES = 1 << 20
MOST_RULES = 500
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,31}")
KEYWORD = re.compile(r"""\bdicom(?:\.([A-Za-z]\w*)|\[\s*["']([^"']*)["']\s*\])""")
RULE_KEYS = {
    "name", "at", "when", "send", "forward", "alert", "tag", "hold", "drop", "between", "weekdays", "shadow",
}  # fmt: skip
OF_DECISIONS = ("send", "alert", "hold")  # what a rule of arrival cannot want: nothing is decided yet


@dataclass(frozen=True)
class Vocabulary:
    """What rules may name.

    destinations: their names; outputs: every kind. language: of conditions about decisions; arrival: about series.
    alerts: destination -> the output that alerts it. image_takers: destinations that images can be sent to. kinds: of
    destinations; what one of them cannot take is refused.
    """

    destinations: Set[str]
    outputs: Set[str]
    language: Language
    arrival: Language = ARRIVAL_LANGUAGE
    alerts: Mapping[str, str] = field(default_factory=dict)
    image_takers: Set[str] = frozenset()
    kinds: Mapping[str, str] = field(default_factory=dict)


def read_rules(path: Path, known: Vocabulary) -> RuleSet:
    """The rules of a file.

    Raises:
        Misconfigured: the file cannot be read, or something in it is wrong; the message names file, line and column.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > LONGEST_FILE_BYTES:
        raise Misconfigured(f"{path}: larger than {LONGEST_FILE_BYTES} bytes")
    return parse_rules(content, known, source=str(path))


def parse_rules(content: bytes, known: Vocabulary, *, source: str) -> RuleSet:
    """See read_rules."""
    try:
        root = yaml.compose(content.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise Misconfigured(f"{source}: no UTF-8 text") from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        at = "" if mark is None else f":{mark.line + 1}:{mark.column + 1}"
        raise Misconfigured(f"{source}{at}: {getattr(error, 'problem', None) or 'no YAML'}") from error
    return _Reader(source, known).rule_set(root)


@dataclass(frozen=True)
class _Reader:
    source: str
    known: Vocabulary

    def rule_set(self, root: yaml.Node | None) -> RuleSet:
        if root is None:
            return RuleSet()
        fields = self.mapping(root, {"match", "unmatched", "rules", "zone"})
        match = Match(self.one_of(fields["match"], [one.value for one in Match])) if "match" in fields else Match.FIRST
        unmatched, keep_images = self.unmatched(fields["unmatched"]) if "unmatched" in fields else (None, False)
        zone = self.zone(fields["zone"]) if "zone" in fields else None
        nodes = list(self.items(fields["rules"])) if "rules" in fields else []
        if len(nodes) > MOST_RULES:
            self.wrong(nodes[MOST_RULES], f"more than {MOST_RULES} rules")
        rules = [self.rule(node) for node in nodes]
        names = [rule.name for rule in rules]
        for node, rule in zip(nodes, rules, strict=True):
            if names.count(rule.name) > 1:
                self.wrong(node, f"two rules have the name {rule.name!r}")
        return RuleSet(tuple(rules), match, unmatched, keep_images, zone)

    def unmatched(self, node: yaml.Node) -> tuple[tuple[Send, ...] | None, bool]:
        """What is sent of results, and whether images stay here."""
        if isinstance(node, yaml.ScalarNode):
            keep = self.one_of(node, [FORWARD, KEEP]) == KEEP
            return () if keep else None, keep
        if isinstance(node, yaml.SequenceNode):
            return tuple(self.sends(node)), False
        fields = self.mapping(node, {"images", "results"})
        results = self.unmatched(fields["results"])[0] if "results" in fields else None
        return results, "images" in fields and self.one_of(fields["images"], [FORWARD, KEEP]) == KEEP

    def zone(self, node: yaml.Node) -> ZoneInfo:
        text = self.text(node)
        try:
            return ZoneInfo(text)
        except (KeyError, ValueError, OSError):
            self.wrong(node, f"there is no time zone {text!r}; expected a name such as Europe/Berlin")

    def rule(self, node: yaml.Node) -> Rule:
        fields = self.mapping(node, RULE_KEYS)
        for key in ("name", "when"):
            if key not in fields:
                self.wrong(node, f"the rule has no {key!r}")
        name = self.text(fields["name"])
        at = Moment(self.one_of(fields["at"], [one.value for one in Moment])) if "at" in fields else Moment.DECISION
        drop = "drop" in fields and self.truth(fields["drop"])
        sends = tuple(self.sends(fields["send"])) if "send" in fields else ()
        sends += tuple(self.alerts(fields["alert"])) if "alert" in fields else ()
        forwards = tuple(self.forwards(fields["forward"])) if "forward" in fields else ()
        if at is Moment.ARRIVAL:
            for key in OF_DECISIONS:
                if key in fields:
                    self.wrong(fields[key], f"rule {name!r}: {key!r} needs a decision; there is none at arrival")
        if drop and (sends or (forwards and at is Moment.ARRIVAL)):
            self.wrong(fields["drop"], f"rule {name!r} drops and sends; it can do one of them")
        return Rule(
            name=name,
            when=self.condition(fields["when"], name, at),
            at=at,
            sends=sends,
            forwards=forwards,
            tags=tuple(self.tags(fields["tag"])) if "tag" in fields else (),
            drop=drop,
            held="hold" in fields and self.truth(fields["hold"]),
            hours=self.hours(fields),
            shadow="shadow" in fields and self.truth(fields["shadow"]),
            line=node.start_mark.line + 1,
        )

    def condition(self, node: yaml.Node, name: str, at: Moment) -> Condition:
        text = self.text(node)
        for found in KEYWORD.finditer(text):
            keyword = found[1] or found[2]
            if keyword not in HEADERS:
                self.wrong(node, f"rule {name!r}, when: dicom has no {keyword!r}; known: {', '.join(HEADERS)}")
        try:
            return (self.known.arrival if at is Moment.ARRIVAL else self.known.language).compiled(text)
        except WrongExpressionError as error:
            self.wrong(node, f"rule {name!r}, when, line {error.line}, column {error.column}: {error}")

    def sends(self, node: yaml.Node) -> Iterator[Send]:
        for one in self.items(node):
            fields = self.mapping(one, {"outputs", "to"})
            if set(fields) != {"outputs", "to"}:
                self.wrong(one, "expected: {outputs: [...], to: [...]}")
            outputs = self.some_of(fields["outputs"], self.known.outputs, "output")
            to = self.some_of(fields["to"], self.known.destinations, "destination")
            for output, name in product(outputs, to):
                not_taken = cannot_take(self.known.kinds[name], output) if name in self.known.kinds else ""
                if not_taken:
                    self.wrong(fields["outputs"], f"{name!r} does not take {output!r}: {not_taken}")
            yield Send(outputs, to)

    def alerts(self, node: yaml.Node) -> Iterator[Send]:
        for name in self.some_of(node, set(self.known.alerts), "destination of alerts"):
            yield Send((self.known.alerts[name],), (name,))

    def forwards(self, node: yaml.Node) -> Iterator[Forward]:
        for one in self.items(node):
            fields = self.mapping(one, {"images", "to"})
            if set(fields) != {"images", "to"}:
                self.wrong(one, "expected: {images: study, to: [...]} or {images: series, to: [...]}")
            images = Scope(self.one_of(fields["images"], [scope.value for scope in Scope]))
            yield Forward(images, self.some_of(fields["to"], self.known.image_takers, "destination of images"))

    def tags(self, node: yaml.Node) -> Iterator[str]:
        for one in self.items(node):
            text = self.text(one)
            if not TAG.fullmatch(text):
                self.wrong(one, "a tag has 1 to 32 letters, digits, blanks and _ . -")
            yield text

    def hours(self, fields: Mapping[str, yaml.Node]) -> Hours | None:
        if "between" not in fields and "weekdays" not in fields:
            return None
        since, until = time.min, time.max
        if "between" in fields:
            found = HOURS.fullmatch(self.text(fields["between"]))
            if found is None:
                self.wrong(fields["between"], 'expected hours such as "22:00-06:00", in quotes')
            since, until = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
            if since == until:
                self.wrong(fields["between"], "begins when it ends; without 'between' a rule holds at every hour")
        days = self.some_of(fields["weekdays"], set(WEEKDAYS), "weekday") if "weekdays" in fields else WEEKDAYS
        return Hours(since, until, frozenset(map(WEEKDAYS.index, days)))

    def mapping(self, node: yaml.Node, keys: Set[str]) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, f"expected the keys {', '.join(sorted(keys))}")
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = self.text(key)
            if name not in keys:
                self.wrong(key, f"unknown key {name!r}; known: {', '.join(sorted(keys))}")
            if name in fields:
                self.wrong(key, f"the key {name!r} stands here twice")
            fields[name] = value
        return fields

    def items(self, node: yaml.Node) -> Iterator[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(node, "expected a list")
        yield from node.value

    def text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
            self.wrong(node, "expected a text")
        return str(node.value)

    def truth(self, node: yaml.Node) -> bool:
        return self.one_of(node, ["true", "false"]) == "true"

    def one_of(self, node: yaml.Node, known: list[str]) -> str:
        text = self.text(node)
        if text not in known:
            self.wrong(node, f"{text!r} is none of {', '.join(known)}")
        return text

    def some_of(self, node: yaml.Node, known: Set[str], what: str) -> tuple[str, ...]:
        found = []
        for one in self.items(node):
            text = self.text(one)
            if text not in known:
                self.wrong(one, f"there is no {what} {text!r}; known: {', '.join(sorted(known)) or 'none'}")
            found.append(text)
        if not found:
            self.wrong(node, f"expected at least one {what}")
        return tuple(dict.fromkeys(found))

    def wrong(self, node: yaml.Node, what: str) -> NoReturn:
        mark = node.start_mark
        raise Misconfigured(f"{self.source}:{mark.line + 1}:{mark.column + 1}: {what}")
