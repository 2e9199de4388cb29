"""triage/ is arithmetic: arrays and headers in, a decision out. Nothing in it can reach a file, a socket or a clock."""

from __future__ import annotations

import ast
import sys

import pytest

from tests.architecture.source import Module, modules_of

ALLOWED = {
    "triage", "numpy", "scipy", "SimpleITK",
    "__future__", "collections", "contextlib", "dataclasses", "datetime", "enum", "functools", "itertools", "math",
    "re", "typing", "unicodedata",
}  # fmt: skip
# time.perf_counter for the reported timings only; it is handed in where it matters
ALSO = {"triage.assessment": {"time"}, "triage.stopwatch": {"time"}}

REACHES_OUT = {"open", "print", "input", "exec", "eval", "ReadImage", "WriteImage", "ReadTransform", "WriteTransform"}
CLOCKS = {"now", "today", "utcnow", "time", "monotonic"}

CORE = [pytest.param(module, id=module.name) for module in modules_of("triage")]


@pytest.mark.parametrize("module", CORE)
def test_imports_only_arithmetic(module: Module) -> None:
    top = {name.split(".")[0] for name in module.imports}
    assert top <= ALLOWED | ALSO.get(module.name, set())


@pytest.mark.parametrize("module", CORE)
def test_touches_nothing_outside(module: Module) -> None:
    calls = {_called(node) for node in ast.walk(module.tree) if isinstance(node, ast.Call)}
    assert not calls & REACHES_OUT


@pytest.mark.parametrize("module", CORE)
def test_asks_no_clock(module: Module) -> None:
    """Dates come in as arguments. A stopwatch (perf_counter) is no clock: it only reports."""
    modules = ("datetime", "date", "time")
    asked = [
        ast.unparse(node)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCKS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in modules
    ]
    assert asked == []


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
