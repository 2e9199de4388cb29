"""Habits that a reader may rely on."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, Module, breaking, files, found_in, modules, modules_of, python_files

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


def without_a_sentence(module: Module) -> list[str]:
    """What goes in and what comes out, before anything else."""
    return ["no docstring"] if module.tree.body and not ast.get_docstring(module.tree) else []


def too_long_to_read(module: Module) -> list[str]:
    count = len(module.text.splitlines())
    return [f"{count} lines"] if count > LONGEST_FILE else []


def functions_too_long_to_read(module: Module) -> dict[str, int]:
    functions = [node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lines = [(node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions]
    return {name: count for name, count in lines if count > LONGEST_FUNCTION}


def lines_wider_than_a_screen(module: Module) -> list[int]:
    lines = enumerate(module.text.splitlines(), start=1)
    return [number for number, line in lines if len(PRAGMA.sub("", line)) > WIDEST_LINE]


def test_every_module_opens_with_one_sentence() -> None:
    assert breaking(without_a_sentence, modules()) == {}


@pytest.mark.parametrize("rule", [too_long_to_read, functions_too_long_to_read, lines_wider_than_a_screen])
def test_every_file_keeps(rule: Callable[[Module], Collection[object]]) -> None:
    assert breaking(rule, python_files()) == {}


TWICE = "def one():\n" + "    1\n" * LONGEST_FUNCTION + "def one():\n    1\n"


@pytest.mark.parametrize(
    ("rule", "text", "found"),
    [
        pytest.param(without_a_sentence, "import ast", ["no docstring"], id="no docstring"),
        pytest.param(without_a_sentence, "", [], id="noop: an empty file"),
        pytest.param(too_long_to_read, "1\n" * 401, ["401 lines"], id="a long file"),
        pytest.param(too_long_to_read, "1\n" * 400, [], id="noop: a file as long as it may be"),
        pytest.param(functions_too_long_to_read, TWICE, {"one": 51}, id="a long function whose name comes again"),
        pytest.param(functions_too_long_to_read, "def one():\n    1\n", {}, id="noop: a short function"),
        pytest.param(lines_wider_than_a_screen, "1\n" + "x" * 121, [2], id="a wide line"),
        pytest.param(lines_wider_than_a_screen, "x" * 118 + "  # noqa: S101", [], id="noop: a wide pragma"),
    ],
)
def test_what_breaks_a_habit_is_found(
    rule: Callable[[Module], Collection[object]], text: str, found: Collection[object], tmp_path: Path
) -> None:
    assert found_in(text, rule, tmp_path) == found


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
