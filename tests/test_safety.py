"""docs/safety.md names a test for every control, and each of them exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.split("## What stays")[0].splitlines() if re.match(r"\| [A-Z]", line)]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", TEXT)


def test_every_hazard_has_a_proof() -> None:
    assert len(ROWS) >= 20
    assert [row for row in ROWS if "::" not in row.split("|")[4]] == []


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda value: value.rpartition("/")[2])
def test_a_named_test_exists(file: str, name: str) -> None:
    tree: ast.AST = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    for part in name.split("::"):
        inner = [node for node in getattr(tree, "body", []) if getattr(node, "name", None) == part]
        assert inner, f"{file} has no {name}"
        tree = inner[0]
