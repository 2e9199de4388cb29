"""The fast receive path and the version of pynetdicom that it was written for."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import pynetdicom
import pytest
from pynetdicom.dul import DULServiceProvider

from listener.receiving import library_names
from listener.receiving.library_names import missing_names, underscore_names
from tests.listener.receiving.pynetdicom_digests import RELIED_ON, TABLES, VERSION, changed

SOURCES = sorted((Path(__file__).parents[3] / "listener" / "receiving").glob("stream*.py"))
LIBRARY = sorted(path for path in Path(pynetdicom.__file__).parent.glob("*.py"))
WHAT_TO_DO = "read docs/receive-path.md, 'When pynetdicom is upgraded'"


def test_the_library_is_what_the_fast_path_was_written_for() -> None:
    found = changed(TABLES)
    assert not found, f"pynetdicom {pynetdicom.__version__}: {'; '.join(found)}. {WHAT_TO_DO}"
    assert pynetdicom.__version__ == VERSION, WHAT_TO_DO


def test_a_change_is_named() -> None:
    name = "dul.DULServiceProvider.stop_dul"
    tables = {"relied on": {**RELIED_ON, name: "another digest", "dul.DULServiceProvider.never_was": "0"}}
    assert changed(tables) == [
        f"pynetdicom.{name} (relied on) has changed",
        "pynetdicom.dul.DULServiceProvider.never_was (relied on) is gone",
    ]


def private_names(paths: Iterable[Path]) -> tuple[set[str], set[str]]:
    """(all private attributes that occur, those that a class defines or sets on itself)."""
    seen, own = set(), set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                seen.add(node.attr)
                if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self":
                    own.add(node.attr)
            elif isinstance(node, ast.ClassDef):
                own |= {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
    private = {name for name in seen | own if name.startswith("_") and not name.endswith("__")}
    return private, own & private


def test_every_private_name_that_is_used_is_looked_for_at_the_start() -> None:
    assert len(SOURCES) == 3
    used, own = private_names(SOURCES)
    _, of_the_library = private_names(LIBRARY)
    assert {name for name in used if name in of_the_library or name not in own} == underscore_names()


@pytest.mark.parametrize(
    ("table", "gone", "said"),
    [
        pytest.param("OF_CLASSES", {DULServiceProvider: ("_gone",)}, "DULServiceProvider._gone", id="method"),
        pytest.param(
            "SET_AT_CONSTRUCTION", {DULServiceProvider: ("_gone",)}, "DULServiceProvider()._gone", id="constructor"
        ),
        pytest.param("OF_ASSOCIATIONS", ("_gone",), "Association()._gone", id="association"),
        pytest.param("OF_DULS", ("_gone",), "DULServiceProvider()._gone", id="upper layer"),
        pytest.param("OF_DIMSE", ("_gone",), "DIMSEServiceProvider()._gone", id="dimse"),
    ],
)
def test_a_missing_name_is_found(monkeypatch: pytest.MonkeyPatch, table: str, gone: object, said: str) -> None:
    assert missing_names() == []
    monkeypatch.setattr(library_names, table, gone)
    assert missing_names() == [said]
