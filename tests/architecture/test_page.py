"""ARCHITECTURE.md names files that exist, and its table is what a toy pattern and a toy output really need."""

from __future__ import annotations

import re

import pytest

from tests.architecture.source import ROOT, modules

TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
# the results folder holds the document, whatever else is delivered; it is sent before any library is loaded
ALSO = {"workers.outputs.results", "workers.outputs.on_demand"}
TABLE = {row.split("|")[1].strip(): row for row in re.findall(r"^\| (?:a|an) .*$", TEXT, re.MULTILINE)}


def named(text: str) -> list[str]:
    """Files and folders in back quotes."""
    return [name for name in re.findall(r"`([\w/.-]+)`", text) if "/" in name or name.endswith((".py", ".md", ".yaml"))]


@pytest.mark.parametrize("name", sorted(set(named(TEXT))))
def test_what_is_named_exists(name: str) -> None:
    assert (ROOT / name).exists(), f"ARCHITECTURE.md names {name}"


@pytest.mark.parametrize("room", ["listener", "workers", "triage"])
def test_every_folder_of_a_room_is_in_the_picture(room: str) -> None:
    picture = TEXT.split("## The rooms")[1].split("## Journey 1")[0]
    folders = {path.parent.name for path in (ROOT / room).glob("*/__init__.py")}
    assert {folder for folder in folders if not re.search(rf"\b{folder}\b", picture)} == set()


def test_the_table_says_what_every_common_change_touches() -> None:
    assert set(TABLE) == {
        "a pattern", "an output", "a kind of destination", "a region", "a setting of the site",
        "a limit of the measurement", "a vendor rule", "a column of the index",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("what", "folder", "register"),
    [
        pytest.param("a pattern", "triage/patterns", "triage/patterns/all.py", id="pattern"),
        pytest.param("an output", "workers/outputs", "workers/outputs/all.py", id="output"),
    ],
)
def test_one_line_registers_it(what: str, folder: str, register: str) -> None:
    """Apart from the list that the table names, no file of the product names a pattern's or an output's own file."""
    assert f"`{register}`" in TABLE[what]
    package = folder.replace("/", ".")
    listed = (ROOT / register).read_text(encoding="utf-8")
    own = {
        module.name
        for module in modules()
        if module.name.rpartition(".")[0] == package and re.search(rf"\b{module.path.stem}\b", listed)
    } - {f"{package}.pattern", f"{package}.output"}
    assert own, "the list names its files"
    importers = {module.name for module in modules() if module.imports & own} - own - ALSO
    assert importers == {register.removesuffix(".py").replace("/", ".")}
