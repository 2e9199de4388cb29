"""Pauses between attempts."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import pytest

from workers.backoff import Backoff

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("failures", "pause_s"),
    [
        pytest.param(0, 0.5, id="first"),
        pytest.param(1, 1.0, id="doubled"),
        pytest.param(5, 16.0, id="still growing"),
        pytest.param(6, 30.0, id="longest"),
        pytest.param(10**9, 30.0, id="no overflow"),
    ],
)
def test_a_pause_by_the_number_of_failures(failures: int, pause_s: float) -> None:
    assert Backoff(0.5, 30.0).pause_s(failures) == pause_s


def test_each_pause_follows_from_the_last() -> None:
    backoff = Backoff(0.5, 30.0, factor=3.0)
    pauses = list(
        itertools.islice(itertools.accumulate(itertools.repeat(0), lambda s, _: backoff.next_s(s), initial=0.5), 6)
    )
    assert pauses == [backoff.pause_s(n) for n in range(6)] == [0.5, 1.5, 4.5, 13.5, 30.0, 30.0]


def test_nothing_else_makes_pauses_grow() -> None:
    """A product or power inside min() beside a name of a longest pause is a back-off of its own."""
    for path in sorted([*ROOT.glob("listener/**/*.py"), *ROOT.glob("workers/**/*.py")]):
        if path == ROOT / "workers" / "backoff.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "min":
                written = ast.unparse(node)
                grows = any(
                    isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mult | ast.Pow) for part in ast.walk(node)
                )
                assert not (grows and "LONGEST" in written), f"{path}: {written}"
