"""What `make test` relies on: names that tests import, files that begin first, waits that a busy machine cannot miss, a
log that costs little."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache

import pytest
import structlog

from tests.architecture.source import ROOT, Module, breaking, modules, python_files
from tests.conftest import LONG_FILES
from tests.patience import PATIENCE_S
from tests.workers.histories.world import world


def bound(body: Iterable[ast.stmt]) -> Iterator[str]:
    """Names that these statements give to their module. An import inside a function gives none."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
        else:
            yield from (name.id for name in ast.walk(node) if isinstance(name, ast.Name))
            yield from bound(inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt))


@cache
def exports() -> dict[str, set[str]]:
    return {module.name: set(bound(module.tree.body)) for module in modules()}


def missing(tree: ast.Module) -> list[str]:
    """What the source imports from a module of the product that has no such name."""
    asked = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module in exports()]
    names = [(node.module or "", alias.name) for node in asked for alias in node.names]
    return [f"{module}.{name}" for module, name in names if name not in exports()[module] | submodules(module)]


@cache
def submodules(module: str) -> set[str]:
    return {name.rsplit(".", 1)[1] for name in exports() if name.rpartition(".")[0] == module}


def missing_in(module: Module) -> list[str]:
    return missing(module.tree)


def test_every_name_that_is_imported_exists() -> None:
    """mypy does not read the tests: a file that cannot be imported shows only when all of them run."""
    assert breaking(missing_in, python_files("tests", "bench")) == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("from workers.container import build_nothing", ["workers.container.build_nothing"], id="no name"),
        pytest.param("from workers.index import nowhere", ["workers.index.nowhere"], id="no module"),
        pytest.param(
            "from workers.container import priorities_of_orders",
            ["workers.container.priorities_of_orders"],
            id="imported inside its functions only",
        ),
        pytest.param("from workers.container import order_texts", [], id="noop: a function"),
        pytest.param("from workers.index import schema", [], id="noop: a module"),
        pytest.param("from json import nothing", [], id="noop: not of the product"),
    ],
)
def test_the_check_can_fail(source: str, found: list[str]) -> None:
    assert missing(ast.parse(source)) == found


def test_files_that_begin_first_exist() -> None:
    assert [path for path in LONG_FILES if not (ROOT / path).is_file()] == []


def impatient(tree: ast.Module) -> list[int]:
    """Lines that wait for an event, a thread, a process or an answer for some seconds. Shorter waits are for what shall
    not happen."""
    return [
        call.lineno
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        for bound in (
            *[word.value for word in call.keywords if word.arg == "timeout"],
            *(call.args[:1] if isinstance(call.func, ast.Attribute) and call.func.attr in ("wait", "join") else ()),
        )
        if isinstance(bound, ast.Constant) and isinstance(bound.value, int | float) and 1 < bound.value < PATIENCE_S
    ]


def impatient_in(module: Module) -> list[int]:
    return impatient(module.tree)


def test_nothing_is_waited_for_in_a_hurry() -> None:
    """Beside other work a process takes half a minute to start: PATIENCE_S is the bound of all waits."""
    assert breaking(impatient_in, python_files("tests")) == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        pytest.param("assert come.wait(10)", [1], id="an event"),
        pytest.param("thread.join(20.0)", [1], id="a thread"),
        pytest.param("process.communicate(timeout=60)", [1], id="a process"),
        pytest.param("assert come.wait(PATIENCE_S)", [], id="noop: patient"),
        pytest.param("assert not come.wait(0.2)", [], id="noop: what shall not happen"),
        pytest.param("' '.join(words)", [], id="noop: text"),
    ],
)
def test_a_hurry_is_found(source: str, found: list[int]) -> None:
    assert impatient(ast.parse(source)) == found


def test_a_world_of_histories_leaves_the_log_as_it_was() -> None:
    """Tracebacks with local values, drawn for every error that is logged, once took a quarter of `make test`."""
    before = structlog.get_config()
    with world(()):
        assert structlog.get_config() != before
    assert structlog.get_config() == before
    assert before["processors"][-1]._exception_formatter is structlog.dev.plain_traceback
