"""Conditions of rules in the Common Expression Language (CEL): compiled from text, asked about facts.

The language can only compare here. What makes values grow (concatenation, ``map``, ``filter``) is left out, because the
evaluation has a budget of steps and none of memory: nested concatenation of one string of 1 MB took 8.6 GB. So an
expression costs at most its steps, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cel_expr_python import cel

Fact: TypeAlias = str | int | bool | Sequence[str] | Mapping[str, str]

LONGEST_EXPRESSION = 2000
LONGEST_TEXT = 256  # of one fact; a longer one is cut
MOST_TEXTS = 256  # of one list or table; what comes after them is not seen
LANGUAGE = """
name: rules
stdlib:
  exclude_macros: [map, filter]
  exclude_functions:
    - name: "_+_"
      overloads: [{id: add_string}, {id: add_bytes}, {id: add_list}]
"""
_TYPES = {
    "text": cel.Type.STRING,
    "number": cel.Type.INT,
    "truth": cel.Type.BOOL,
    "texts": cel.Type.List(cel.Type.STRING),
    "table": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
}


class WrongExpressionError(Exception):
    """An expression that cannot be used. line and column count from 1, within the expression."""

    def __init__(self, text: str, *, line: int = 1, column: int = 1) -> None:
        super().__init__(text)
        self.line, self.column = line, column


class NotEvaluableError(Exception):
    """An expression has no value for these facts, e.g. it asks for a key that is not there."""


@dataclass(frozen=True)
class Language:
    """The names that an expression may use. types: name -> text, number, truth, texts or table."""

    types: Mapping[str, str]

    def compiled(self, text: str) -> Condition:
        """A condition.

        Raises:
            WrongExpressionError: it is too long, no expression, names something unknown, or is not true or false.
        """
        if len(text) > LONGEST_EXPRESSION:
            raise WrongExpressionError(f"the expression has more than {LONGEST_EXPRESSION} characters")
        variables = {name: _TYPES[kind] for name, kind in self.types.items()}
        environment = cel.NewEnv(config=cel.NewEnvConfigFromYaml(LANGUAGE), variables=variables)
        try:
            expression = environment.compile(text)
        except RuntimeError as error:
            raise _wrong(str(error)) from error
        if expression.return_type() != cel.Type.BOOL:
            raise WrongExpressionError("the expression must be true or false")
        return Condition(text, expression)


@dataclass(frozen=True)
class Condition:
    """A compiled expression."""

    text: str
    _expression: cel.Expression

    def holds(self, facts: Mapping[str, Fact]) -> bool:
        """Whether it holds.

        Args:
            facts: a value for each name of the language.

        Raises:
            NotEvaluableError: it has no value, or takes too many steps.
        """
        try:
            found = self._expression.eval(data={name: _cut(value) for name, value in facts.items()})
        except RuntimeError as error:  # the budget of steps
            raise NotEvaluableError(_first_line(str(error))) from error
        if found.type() != cel.Type.BOOL:  # an error is a value here
            raise NotEvaluableError(_first_line(str(found.value())))
        return bool(found.value())


def _cut(value: Fact) -> Fact:
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, Mapping):
        return {key[:LONGEST_TEXT]: text[:LONGEST_TEXT] for key, text in list(value.items())[:MOST_TEXTS]}
    if isinstance(value, Sequence):
        return [text[:LONGEST_TEXT] for text in value[:MOST_TEXTS]]
    return value


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else "no reason given"


def _wrong(text: str) -> WrongExpressionError:
    """The library's ``INVALID_ARGUMENT: ERROR: <input>:LINE:COLUMN: what`` taken apart."""
    first = _first_line(text)
    _, found, rest = first.partition("<input>:")
    line, _, rest = rest.partition(":")
    column, _, what = rest.partition(":")
    if not found or not line.isdecimal() or not column.isdecimal():
        return WrongExpressionError(rest.strip() or first)
    return WrongExpressionError(what.strip(), line=int(line), column=int(column))
