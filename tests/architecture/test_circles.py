"""No file imports itself by way of others. Imports inside functions and imports for types alone count as well."""

from __future__ import annotations

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.architecture.source import modules

Graph = Mapping[str, set[str]]  # file -> files that it imports


def test_no_circle_between_files() -> None:
    circle = circle_in(import_graph())
    assert not circle, " -> ".join(circle)


@pytest.mark.parametrize(
    ("graph", "files"),
    [
        pytest.param({"a": {"b"}, "b": {"c"}, "c": set()}, set(), id="a line"),
        pytest.param({"a": {"b", "c"}, "b": {"c"}, "c": set()}, set(), id="two ways to one file"),
        pytest.param({"a": {"b"}, "b": {"c"}, "c": {"b"}}, {"b", "c"}, id="two files"),
        pytest.param({"a": {"b"}, "b": {"c"}, "c": {"a"}}, {"a", "b", "c"}, id="three files"),
    ],
)
def test_a_circle_is_found(graph: Graph, files: set[str]) -> None:
    assert set(circle_in(graph)) == files


def circle_in(graph: Graph) -> list[str]:
    """The files of one circle, the first one again at the end; empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def import_graph() -> Graph:
    names = {module.name for module in modules()}
    graph = {module.name: (module.imports & names) - {module.name} for module in modules()}
    assert sum(map(len, graph.values())) > len(names)  # the imports were found at all
    return {name: set(imported) for name, imported in graph.items()}
