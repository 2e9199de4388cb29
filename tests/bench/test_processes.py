"""Benches that start processes: what a process is to run can be imported by it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STARTERS = {"multiprocessing", "concurrent"}


def starts_processes(source: str) -> bool:
    """Whether the module imports a library that hands functions to other processes by their names."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return bool(found & STARTERS)


@pytest.mark.parametrize(
    ("source", "right"),
    [
        ("", False),
        ("import subprocess", False),
        ("import multiprocessing", True),
        ("def f():\n    from concurrent.futures import ProcessPoolExecutor", True),
    ],
)
def test_what_counts_as_starting_processes(source: str, right: bool) -> None:
    assert starts_processes(source) is right


@pytest.mark.parametrize(
    "file", sorted(ROOT.glob("bench/**/__main__.py")), ids=lambda f: f.relative_to(ROOT).as_posix()
)
def test_no_main_of_a_package_hands_its_own_functions_to_a_process(file: Path) -> None:
    """A spawned process does not load ``__main__`` of a package: it would wait for ever for a name that is missing."""
    assert not starts_processes(file.read_text(encoding="utf-8"))


def test_there_is_a_main_to_look_at() -> None:
    assert (ROOT / "bench" / "accuracy" / "__main__.py").is_file()
