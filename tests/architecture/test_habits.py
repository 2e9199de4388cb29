"""Habits that a reader may rely on."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, Module, files, modules, modules_of

MODULES = [pytest.param(module, id=module.name) for module in modules()]
PYTHON = [pytest.param(path, id=str(path.relative_to(ROOT))) for path in files() if path.suffix == ".py"]
LONGEST_FILE = 400  # lines; when a file grows, look for the second noun in it
LONGEST_FUNCTION = 50  # lines
WIDEST_LINE = 120  # columns

PRODUCT = ("triage", "workers", "listener")

# Public names that several files of the product define, and why. A name that is not here has one meaning.
SHARED_NAMES = {
    "main": "the entry of a program",
    "status": "the commands that say how the node is, or its feeds",
    "run": "the life of a process: door, web, beat",
    "load": "reads what the file is about: settings, planes, a prepared baseline",
    "parse": "text to values: settings, an HL7 message",
    "render": "values to bytes: metrics, a document, a picture",
    "sentence": "values to a sentence: a course, an announcement, a legend",
    "check": "the command that checks settings; the check of a peer",
    "choose": "the series to measure; the files to delete",
    "decide": "the decision about a study; whether a study is complete",
    "detect": "each pattern has one; detection calls them all",
    "detect_alone": "each pattern has one, for a single scan; detection calls them all",
    "upgrade": "Alembic's name in each revision; the command that applies them",
}
PRAGMA = re.compile(r"\s+# (noqa|type: ignore)\b.*$")  # may run on: it cannot be wrapped


@pytest.mark.parametrize("module", MODULES)
def test_opens_with_one_sentence(module: Module) -> None:
    """What goes in and what comes out, before anything else."""
    if module.tree.body:
        assert ast.get_docstring(module.tree), f"{module.path} has no docstring"


@pytest.mark.parametrize("path", PYTHON)
def test_is_short_enough_to_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", PYTHON)
def test_functions_are_short_enough_to_read(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lines = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}
    assert {name: count for name, count in lines.items() if count > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("path", PYTHON)
def test_lines_fit_a_screen(path: Path) -> None:
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    assert [number for number, line in lines if len(PRAGMA.sub("", line)) > WIDEST_LINE] == []


def test_one_name_has_one_meaning() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for module in (module for room in PRODUCT for module in modules_of(room)):
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                homes[node.name].append(module.name)
    assert {name: where for name, where in homes.items() if len(where) > 1 and name not in SHARED_NAMES} == {}
    assert {name for name in SHARED_NAMES if len(homes[name]) < 2} == set()


def test_every_pattern_has_its_test() -> None:
    patterns = {path.stem for path in (ROOT / "triage" / "patterns").glob("*.py")} - {"__init__"}
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "triage" / "patterns").glob("test_*.py")]
    untested = {name for name in patterns if not any(re.search(rf"\b{name}\b", text) for text in texts)}
    assert untested == set()


def test_nothing_is_left_to_do() -> None:
    mark = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    left = [str(path.relative_to(ROOT)) for path in files() if mark.search(path.read_text(encoding="utf-8"))]
    assert left == []


def test_no_path_of_one_machine() -> None:
    """A path that only exists where somebody worked."""
    homes = re.compile(r"(?<![\w.])/(work" + r"|root|home)/\w")
    found = [str(path.relative_to(ROOT)) for path in files() if homes.search(path.read_text(encoding="utf-8"))]
    assert found == []
