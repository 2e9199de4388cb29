"""Every reason code and every error of the log that the program can give is explained in a document."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLACE_OF_CODE = {"NotAssessable": 0, "SkippedSeries": 1}  # what takes a reason code, and as which argument
PLACE_OF_REFUSAL = {"Rejected": 1, "Refusal": 3}  # the same of objects and associations that are not taken
CODE = re.compile(r"[a-z]+(_[a-z0-9]+)*")
# how a sentence of a figure, a candidate or a notice begins: the code, a colon and a blank
BEGINS = re.compile(r"([a-z]+(?:_[a-z0-9]+)+): ")
ERRORS = ("error", "exception")


@functools.cache
def trees(*rooms: str) -> tuple[ast.Module, ...]:
    paths = [path for room in rooms for path in sorted((ROOT / room).rglob("*.py"))]
    return tuple(ast.parse(path.read_text(encoding="utf-8")) for path in paths)


def texts(tree: ast.AST) -> Iterator[str]:
    """Each string, without docstrings; of one with values in it, what stands before the first value."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


def named(tree: ast.Module) -> dict[str, str]:
    """Constant -> code, of the module itself."""
    found: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name | ast.Tuple):
            target, value = node.targets[0], node.value
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = value.elts if isinstance(value, ast.Tuple) and isinstance(target, ast.Tuple) else [value]
            for name, one in zip(names, values, strict=False):
                if isinstance(name, ast.Name) and isinstance(one, ast.Constant) and isinstance(one.value, str):
                    found[name.id] = one.value
    return found


def given_to(places: dict[str, int], tree: ast.Module, constants: dict[str, str]) -> set[str]:
    """The codes in calls of these names."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in places:
            continue
        place = places[node.func.id]
        given = node.args[place] if len(node.args) > place else None
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            found.add(given.value)
        elif isinstance(given, ast.Name) and given.id in constants:
            found.add(constants[given.id])
    return {code for code in found if CODE.fullmatch(code)}


def codes_in(tree: ast.Module, constants: dict[str, str]) -> set[str]:
    """The codes that a module gives to refusals of studies and series, or that its sentences begin with."""
    begun = {match[1] for text in texts(tree) if (match := BEGINS.match(text))}
    return given_to(PLACE_OF_CODE, tree, constants) | {code for code in begun if CODE.fullmatch(code)}


def every_code() -> set[str]:
    core = trees("triage", "workers/reading", "workers/studies")
    constants = {name: value for tree in trees("triage", "workers") for name, value in named(tree).items()}
    return {code for tree in core for code in codes_in(tree, constants)}


def explained(document: str) -> set[str]:
    """What stands in back quotes in the first column of its tables, or in its sentences."""
    return set(re.findall(r"`([a-z0-9_]+(?:\.[a-z0-9_]+)?)`", (ROOT / "docs" / document).read_text(encoding="utf-8")))


def test_every_reason_code_is_explained() -> None:
    codes = every_code()
    assert len(codes) > 50
    assert codes - explained("radiologist.md") == set()


def test_every_refusal_of_an_object_is_explained() -> None:
    rooms = trees("listener", "workers")
    constants = {name: value for tree in rooms for name, value in named(tree).items()}
    reasons = {reason for tree in rooms for reason in given_to(PLACE_OF_REFUSAL, tree, constants)}
    assert len(reasons) > 20
    assert reasons - explained("log.md") == set()


def every_text() -> set[str]:
    strings = {text for tree in trees("triage", "workers") for text in texts(tree)}
    return strings | {match[1] for text in strings for match in re.finditer(r"\b([a-z_]+): ", text)}


def test_reason_codes_that_are_explained_exist() -> None:
    table = (ROOT / "docs" / "radiologist.md").read_text(encoding="utf-8").split("## Reason codes")[1]
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    codes = {code for cell in cells for code in re.findall(r"`(\w+)`", cell)}
    assert len(codes) > 50
    assert codes - every_text() == set()


def errors_in(tree: ast.AST) -> set[str]:
    """Events that are logged as an error, or with a traceback."""
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ERRORS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "log"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def test_every_error_of_the_log_is_explained() -> None:
    events = {event for tree in trees("listener", "workers") for event in errors_in(tree)}
    assert len(events) > 60
    assert events - explained("log.md") == set()


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        pytest.param('raise NotAssessable("no_flair", "none")', {"no_flair"}, id="a refusal"),
        pytest.param('SkippedSeries(uid, OTHER, "why")', {"other_head"}, id="a named constant"),
        pytest.param('why = f"too_small: {ml} mL"', {"too_small"}, id="how a sentence begins"),
        pytest.param('"""too_small: in a docstring."""', set(), id="noop: a docstring"),
        pytest.param("NotAssessable(code, why)", set(), id="not measured: a code that only the run knows"),
    ],
)
def test_codes_are_found(source: str, codes: set[str]) -> None:
    assert codes_in(ast.parse(source), {"OTHER": "other_head"}) == codes


@pytest.mark.parametrize(
    ("source", "events"),
    [
        pytest.param('log.error("a.failed", n=1)', {"a.failed"}, id="an error"),
        pytest.param('log.exception("a.failed")', {"a.failed"}, id="a traceback"),
        pytest.param('log.info("a.done")', set(), id="noop: no error"),
    ],
)
def test_errors_are_found(source: str, events: set[str]) -> None:
    assert errors_in(ast.parse(source)) == events
