"""Habits that a reader may rely on."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.source import ROOT, Module, files, modules

MODULES = [pytest.param(module, id=module.name) for module in modules()]
LONGEST_FILE = 500  # lines; style.md: when something grows, look for the second noun in it


@pytest.mark.parametrize("module", MODULES)
def test_opens_with_one_sentence(module: Module) -> None:
    """What goes in and what comes out, before anything else."""
    if module.tree.body:
        assert ast.get_docstring(module.tree), f"{module.path} has no docstring"


@pytest.mark.parametrize("module", MODULES)
def test_is_short_enough_to_read(module: Module) -> None:
    assert len(module.path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


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
