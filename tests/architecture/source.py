"""The project's own source as the architecture tests see it: modules, and what they import."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ROOMS = ("triage", "workers", "listener", "atlas", "simulation")


@dataclass(frozen=True)
class Module:
    """name: dotted. It is parsed when a test looks into it: every test process lists all modules."""

    name: str
    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> frozenset[str]:
        """Dotted names of everything imported anywhere in it, also inside functions."""
        return frozenset(_imports(self.tree))


@cache
def modules() -> tuple[Module, ...]:
    return tuple(_named(path) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))


def python_files(*folders: str) -> Iterator[Module]:
    """All of the project, or of these folders; those of the product are no other objects than ``modules`` has."""
    product = {module.path: module for module in modules()}
    for path in files():
        if path.suffix == ".py" and (not folders or path.relative_to(ROOT).parts[0] in folders):
            yield product.get(path) or _named(path)


def breaking(rule: Callable[[Module], Collection[object]], asked: Iterable[Module]) -> dict[str, Collection[object]]:
    """What a rule finds, by the file where it finds it. One test asks it of all files: a test for each file is
    thousands of tests, and each test costs more than its rule."""
    found = {str(module.path.relative_to(ROOT)): rule(module) for module in asked}
    assert found, "no file was asked"
    return {path: what for path, what in found.items() if what}


def found_in(text: str, rule: Callable[[Module], Collection[object]], folder: Path) -> Collection[object]:
    """What a rule finds in a file of this text."""
    path = folder / "one.py"
    path.write_text(text, encoding="utf-8")
    return rule(Module("triage.one", path))


def modules_of(room: str) -> list[Module]:
    return [module for module in modules() if module.name.split(".")[0] == room]


def _named(path: Path) -> Module:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path)


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def files() -> tuple[Path, ...]:
    """Every text file under version control; in an unpacked archive, every one that is not hidden."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    names = [ROOT / name for name in done.stdout.decode().split("\0") if name]
    found = names or [path for path in ROOT.rglob("*") if not any(part.startswith(".") for part in path.parts)]
    binary = {".gz", ".png", ".dcm", ".lock", ".npz", ".pyc"}
    return tuple(path for path in found if path.is_file() and path.suffix not in binary)


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
