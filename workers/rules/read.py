"""A YAML file of rules in, a RuleSet out; every mistake is told with file, line and column.

match: first                      # or all: every rule that fits adds what it sends
unmatched:                        # what is sent of a decision that no rule fits; without it, as configured
  - {send: [document], to: [archive]}
rules:
  - name: urgent
    when: priority == "P1" && days_known && days_after_infusion <= 30
    send: [{outputs: [sr, sc], to: [pacs]}, {outputs: [oru], to: [ris]}]
    tags: [urgent]
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
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from typing import NoReturn

import yaml

from triage.errors import Misconfigured
from workers.rules.expression import Condition, Language, WrongExpressionError
from workers.rules.rule import Hours, Match, Rule, RuleSet, Send

LONGEST_FILE_BYTES = 1 << 20
MOST_RULES = 500
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
RULE_KEYS = {"name", "when", "send", "drop", "between", "weekdays", "shadow"}


@dataclass(frozen=True)
class Vocabulary:
    """What rules may name. destinations: name -> the kinds of outputs that it can be sent; outputs: every kind."""

    destinations: Set[str]
    outputs: Set[str]
    language: Language


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
        fields = self.mapping(root, {"match", "unmatched", "rules"})
        match = Match(self.one_of(fields["match"], [one.value for one in Match])) if "match" in fields else Match.FIRST
        unmatched = tuple(self.sends(fields["unmatched"])) if "unmatched" in fields else None
        nodes = list(self.items(fields["rules"])) if "rules" in fields else []
        if len(nodes) > MOST_RULES:
            self.wrong(nodes[MOST_RULES], f"more than {MOST_RULES} rules")
        rules = [self.rule(node) for node in nodes]
        names = [rule.name for rule in rules]
        for node, rule in zip(nodes, rules, strict=True):
            if names.count(rule.name) > 1:
                self.wrong(node, f"two rules have the name {rule.name!r}")
        return RuleSet(tuple(rules), match, unmatched)

    def rule(self, node: yaml.Node) -> Rule:
        fields = self.mapping(node, RULE_KEYS)
        for key in ("name", "when"):
            if key not in fields:
                self.wrong(node, f"the rule has no {key!r}")
        name = self.text(fields["name"])
        drop = "drop" in fields and self.truth(fields["drop"])
        sends = tuple(self.sends(fields["send"])) if "send" in fields else ()
        if drop and sends:
            self.wrong(fields["drop"], f"rule {name!r} drops and sends; it can do one of them")
        return Rule(
            name=name,
            when=self.condition(fields["when"], name),
            sends=sends,
            drop=drop,
            hours=self.hours(fields),
            shadow="shadow" in fields and self.truth(fields["shadow"]),
            line=node.start_mark.line + 1,
        )

    def condition(self, node: yaml.Node, name: str) -> Condition:
        text = self.text(node)
        try:
            return self.known.language.compiled(text)
        except WrongExpressionError as error:
            self.wrong(node, f"rule {name!r}, when, line {error.line}, column {error.column}: {error}")

    def sends(self, node: yaml.Node) -> Iterator[Send]:
        for one in self.items(node):
            fields = self.mapping(one, {"outputs", "to"})
            if set(fields) != {"outputs", "to"}:
                self.wrong(one, "expected: {outputs: [...], to: [...]}")
            outputs = self.some_of(fields["outputs"], self.known.outputs, "output")
            yield Send(outputs, self.some_of(fields["to"], self.known.destinations, "destination"))

    def hours(self, fields: Mapping[str, yaml.Node]) -> Hours | None:
        if "between" not in fields and "weekdays" not in fields:
            return None
        since, until = time.min, time.max
        if "between" in fields:
            found = HOURS.fullmatch(self.text(fields["between"]))
            if found is None:
                self.wrong(fields["between"], 'expected hours such as "22:00-06:00", in quotes')
            since, until = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
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
