"""docs/settings.md: up to date, complete, and read from the source in each way that a field can be described."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from scripts import settings_reference
from tests.test_docs import settings_keys
from workers.settings import ListenerSettings, Peer

_SOURCE = '''
from dataclasses import dataclass

@dataclass(frozen=True)
class Described:
    """About the section."""

    {field}
'''


def test_the_page_is_up_to_date() -> None:
    wanted = settings_reference.page()
    assert settings_reference.PAGE.read_text(encoding="utf-8") == wanted, "run `make docs`"


def test_the_check_tells_an_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_reference, "PAGE", tmp_path / "settings.md")
    monkeypatch.setattr(sys, "argv", ["settings_reference"])
    assert settings_reference.main() == 0
    monkeypatch.setattr(sys, "argv", ["settings_reference", "--check"])
    assert settings_reference.main() == 0
    settings_reference.PAGE.write_text("old")
    assert settings_reference.main() == 1


def test_every_key_has_a_row_and_a_meaning() -> None:
    tables = list(settings_reference.tables())
    rows = {f"{table.path}.{key.name}": key for table in tables for key in table.keys}
    keys = set(settings_keys())
    sections = {key for key in keys if any(other.startswith(f"{key}.") for other in keys)}
    assert keys - sections <= set(rows)
    assert [name for name, key in rows.items() if not key.meaning and not name.startswith("triage.")] == []


def module_of(folder: Path, field: str) -> ModuleType:
    path = folder / "described.py"
    path.write_text(_SOURCE.format(field=field), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("workers.described", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("field", "said"),
    [
        pytest.param("# smallest\n    # lesion\n    volume_ml: float = 0.1", "smallest lesion", id="comment above"),
        pytest.param("volume_ml: float = 0.1  # smallest lesion", "smallest lesion", id="comment behind"),
        pytest.param('volume_ml: float = 0.1\n    """smallest lesion"""', "smallest lesion", id="docstring below"),
        pytest.param("volume_ml: float = 0.1", "", id="noop: nothing said"),
        pytest.param("# a heading\n\n    volume_ml: float = 0.1", "", id="noop: a comment apart"),
    ],
)
def test_where_the_meaning_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, said: str) -> None:
    monkeypatch.setitem(sys.modules, "workers.described", None)
    described = module_of(tmp_path, field).Described
    (table,) = settings_reference.tables(described, "triage.lesions", settings_reference.first_paragraph(described))
    assert table.meaning == "About the section"
    (key,) = table.keys
    assert (key.name, key.default, key.unit, key.accepted, key.meaning) == ("volume_ml", "0.1", "mL", "number", said)


def test_a_limit_across_protocols_may_leave_it_to_the_one_above() -> None:
    said = {"stem_same": "rises this much", "sulcal_different": "own words", "sulcal_same": "falls"}
    names = ("stem_different", "sulcal_different", "white_different")
    assert [settings_reference.meaning_of(name, said) for name in names] == [
        "stem_same, when the two scans have different protocols",
        "own words",
        "",
    ]


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        pytest.param(ListenerSettings, "processes", "whole number, 1 to 64", id="two bounds"),
        pytest.param(ListenerSettings, "idle_timeout_s", "number, above 0", id="open bound"),
        pytest.param(ListenerSettings, "max_associations", "whole number, 1 or more", id="lower bound"),
        pytest.param(ListenerSettings, "receive_path", "stream, stock", id="choices"),
        pytest.param(ListenerSettings, "ae_title", "AE title of 1 to 16 characters", id="AE title"),
        pytest.param(Peer, "user", "text or null", id="may be left out"),
    ],
)
def test_what_is_accepted(kind: Any, name: str, words: str) -> None:
    assert settings_reference.accepted(kind, name) == words


@pytest.mark.parametrize(
    ("key", "unit"),
    [
        pytest.param("queue.lease_s", "s", id="seconds"),
        pytest.param("listener.peers[].max_instances_per_s", "1/s", id="a rate"),
        pytest.param("triage.look_alikes.adc_low_um2_s", "µm²/s", id="diffusion"),
        pytest.param("triage.bithalamic.thalami_same", "%", id="named by the pattern"),
        pytest.param("triage.bithalamic.symmetry", "", id="noop: a share"),
    ],
)
def test_units(key: str, unit: str) -> None:
    assert settings_reference.unit_of(key) == unit


def test_it_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "scripts.settings_reference", "--check"]
    subprocess.run(command, cwd=settings_reference.PAGE.parent.parent, check=True)
