"""The import contracts of pyproject.toml hold, and cover what they are about."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.source import ROOMS, ROOT, project

LINTER = Path(sys.executable).with_name("lint-imports")


def contract(name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = project()["tool"]["importlinter"]["contracts"]
    return next(entry for entry in found if entry["name"].startswith(name))


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([LINTER, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


def test_contracts_are_kept() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


def test_every_room_is_under_contract() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert folders == set(ROOMS)
    assert set(project()["tool"]["importlinter"]["root_packages"]) == set(ROOMS)
    assert set(contract("rooms")["layers"]) == set(ROOMS)


def test_every_pattern_is_independent() -> None:
    files = {f"triage.patterns.{path.stem}" for path in (ROOT / "triage" / "patterns").glob("*.py")}
    assert set(contract("patterns")["modules"]) == files - {
        f"triage.patterns.{x}" for x in ("__init__", "all", "pattern")
    }


# file, line that is added to it, beginning of the name of the contract that breaks
BREACHES = [
    pytest.param("triage/model.py", "import workers.config", "rooms", id="core, shell"),
    pytest.param("triage/model.py", "import triage.decision", "the core is one", id="upwards in the core"),
    pytest.param("triage/fluid/changes.py", "import triage.signal.change", "the core is one", id="fluid, signal"),
    pytest.param("triage/unplaced.py", "", "the core is one", id="a file of the core without a layer"),
    pytest.param("triage/patterns/global_oedema.py", "import triage.patterns.bithalamic", "patterns", id="sibling"),
    pytest.param("triage/errors.py", "import redis", "the core is pure", id="transport in the core"),
    pytest.param("listener/door/run.py", "import listener.web.app", "the listener", id="door, pages"),
    pytest.param("listener/receiving/pace.py", "import listener.associations.places", "the listener", id="receiving"),
    pytest.param("listener/node/running.py", "import listener.services.service", "the listener", id="node, services"),
    pytest.param("listener/intake/taking.py", "import listener.door.run", "the listener", id="intake, door"),
    pytest.param("listener/unplaced.py", "", "the listener", id="a file of the listener without a layer"),
    pytest.param("listener/web/access/rules.py", "import listener.web.access.gate", "sign-in", id="rules, gate"),
    pytest.param("listener/web/access/unplaced.py", "", "sign-in", id="a file of the sign-in without a layer"),
    pytest.param("workers/act_ports.py", "import workers.feedback.acting", "the workers", id="acts, feedback"),
    pytest.param("workers/rules/answer.py", "import workers.deliveries.plan", "the workers", id="rules, deliveries"),
    pytest.param("workers/files/replace_folder.py", "import workers.studies.deps", "the workers", id="files, studies"),
    pytest.param("workers/studies/prior_notes.py", "import workers.priors.loop", "the workers", id="studies, priors"),
    pytest.param(
        "workers/destination_settings.py", "import workers.alert_settings", "the workers", id="destinations, alerts"
    ),
    pytest.param("workers/unplaced.py", "", "the workers", id="a file of the workers without a layer"),
    pytest.param("workers/outputs/dicom/keys.py", "import workers.outputs.dicom.report", "DICOM results", id="kinds"),
    pytest.param("workers/outputs/dicom/unplaced.py", "", "DICOM results", id="a DICOM result without a layer"),
    pytest.param("workers/studies/assess.py", "import celery", "use cases", id="queue in a use case"),
    pytest.param("workers/files/dataset_head.py", "import workers.index.sql", "reading DICOM", id="reading, database"),
]


def test_every_contract_has_its_breach() -> None:
    names = [entry["name"] for entry in project()["tool"]["importlinter"]["contracts"]]
    breaches = tuple(str(case.values[2]) for case in BREACHES)
    assert [name for name in names if not name.startswith(breaches)] == []


@pytest.mark.parametrize(("module", "line", "broken"), BREACHES)
def test_a_breach_is_found(tmp_path: Path, module: str, line: str, broken: str) -> None:
    """A contract that cannot fail says nothing."""
    for name in (*ROOMS, "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    room = module.split("/", maxsplit=1)[0]
    (tmp_path / room).unlink()
    _copy_sources(ROOT / room, tmp_path / room)
    with (tmp_path / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode != 0
    verdicts = [text for text in done.stdout.splitlines() if "BROKEN" in text]
    assert any(text.startswith(broken) for text in verdicts), done.stdout


def _copy_sources(source: Path, target: Path) -> None:
    for path in source.rglob("*.py"):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
