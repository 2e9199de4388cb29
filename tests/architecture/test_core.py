"""triage/ is arithmetic: arrays and headers in, a decision out. Nothing in it can reach a file, a socket or a clock."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from tests.architecture.source import Module, breaking, found_in, modules_of

ALLOWED = {
    "triage", "numpy", "scipy", "SimpleITK",
    "__future__", "collections", "contextlib", "dataclasses", "datetime", "enum", "functools", "itertools", "math",
    "re", "typing", "unicodedata",
}  # fmt: skip
# time.perf_counter for the reported timings only; it is handed in where it matters. Threads in one place
ALSO = {"triage.assessment": {"time"}, "triage.stopwatch": {"time"}, "triage.side_by_side": {"concurrent"}}

REACHES_OUT = {"open", "print", "input", "exec", "eval", "ReadImage", "WriteImage", "ReadTransform", "WriteTransform"}
CLOCKS = {"now", "today", "utcnow", "time", "monotonic"}


def foreign(module: Module) -> set[str]:
    """What it imports besides arithmetic."""
    return {name.split(".")[0] for name in module.imports} - ALLOWED - ALSO.get(module.name, set())


def reached(module: Module) -> set[str]:
    """Calls that touch something outside."""
    return {_called(node) for node in ast.walk(module.tree) if isinstance(node, ast.Call)} & REACHES_OUT


def clocks(module: Module) -> list[str]:
    """Calls that ask for the time. Dates come in as arguments. A stopwatch (perf_counter) is no clock: it only
    reports."""
    modules = ("datetime", "date", "time")
    return [
        ast.unparse(node)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCKS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in modules
    ]


@pytest.mark.parametrize("rule", [foreign, reached, clocks])
def test_the_core_keeps(rule: Callable[[Module], Collection[str]]) -> None:
    assert breaking(rule, modules_of("triage")) == {}


@pytest.mark.parametrize(
    ("rule", "text", "found"),
    [
        pytest.param(foreign, "def late():\n    import yaml.nodes", {"yaml"}, id="a library of the shell"),
        pytest.param(foreign, "from time import perf_counter", {"time"}, id="a stopwatch elsewhere"),
        pytest.param(foreign, "import numpy as np\nfrom triage.model import Volume", set(), id="noop: arithmetic"),
        pytest.param(reached, "open('a')\nsitk.ReadImage('b')", {"open", "ReadImage"}, id="files"),
        pytest.param(reached, "sitk.Resample(image)", set(), id="noop: no file"),
        pytest.param(clocks, "from datetime import date\ndate.today()", ["date.today()"], id="the date"),
        pytest.param(clocks, "stopwatch.now()\ndate(2020, 1, 6)", [], id="noop: a date, no clock"),
    ],
)
def test_what_breaks_a_rule_is_found(
    rule: Callable[[Module], Collection[str]], text: str, found: Collection[str], tmp_path: Path
) -> None:
    assert found_in(text, rule, tmp_path) == found


def test_the_core_imports_without_the_shell() -> None:
    """In a fresh interpreter: importing the straight line loads no transport, queue or database library, and those that
    measure only at their first use (``triage.libraries``)."""
    import subprocess

    program = "import sys, triage.assessment; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"triage", "numpy"} <= loaded
    assert not loaded & {
        "SimpleITK",
        "scipy",
        "workers",
        "listener",
        "celery",
        "redis",
        "pydicom",
        "pynetdicom",
        "sqlalchemy",
        "yaml",
        "httpx",
    }


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""
