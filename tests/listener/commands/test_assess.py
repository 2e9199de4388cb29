"""`icansee assess` and `simulate`: what is written where, exit codes, pure JSON. The measurement itself is a fake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.fakes import NOTHING, SUSPECTED, FakeEngine, FakeReader, Verdict, some_images
from tests.listener.commands.cli_runner import Icansee
from triage.errors import NotAssessable
from triage.model import Category, Priority

NOT_MEASURED: Verdict = (Category.NOT_ASSESSABLE, Priority.UNCHANGED)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """One study in any folder; the reader and the engine behind the command are fakes."""
    from workers.reading import folder
    from workers.reading import reader as reading
    from workers.studies import engine as core

    engine, reader = FakeEngine(), FakeReader(some_images("1.9"))
    engine.reader = reader  # type: ignore[attr-defined]
    monkeypatch.setattr(reading, "DicomReader", lambda: reader)
    monkeypatch.setattr(core, "TriageEngine", lambda _settings: engine)
    monkeypatch.setattr(folder, "read_folder", lambda _folder: {"1.9": [Path("/fake/1.9/1.dcm")]})
    return engine


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        pytest.param(SUSPECTED, 0, id="suspected"),
        pytest.param(NOTHING, 0, id="noop: no pattern"),
        pytest.param(NOT_MEASURED, 3, id="not measured"),
    ],
)
def test_exit_code_and_document(icansee: Icansee, engine: FakeEngine, verdict: Verdict, code: int) -> None:
    engine.whole = verdict
    answer = icansee("assess", "--followup", "d", "--json", "out/result.json")
    assert answer.code == code
    document = json.loads((icansee.folder / "out" / "result.json").read_text())
    assert document["decision"]["category"] == verdict[0].value
    assert verdict[0].value in answer.out


def test_json_to_stdout_is_pure(icansee: Icansee, engine: FakeEngine) -> None:
    answer = icansee("assess", "--followup", "d", "--json", "-")
    assert json.loads(answer.out)["schema_version"] == "1"


def test_a_study_that_cannot_be_read_is_written_too(icansee: Icansee, engine: FakeEngine) -> None:
    engine.reader.faults = [NotAssessable("mixed_patients", "two patients")]  # type: ignore[attr-defined]
    answer = icansee("assess", "--followup", "d", "--json", "result.json")
    assert answer.code == 3
    decision = json.loads((icansee.folder / "result.json").read_text())["decision"]
    assert decision["reasons"] == ["mixed_patients: two patients"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["assess"], "--followup", id="no follow-up"),
        pytest.param(["assess", "--followup", "d", "--infusion-date", "soon"], "--infusion-date", id="not a date"),
        pytest.param(["assess", "--followup", "d", "--json", "/proc/x/y"], "--json", id="cannot be written"),
    ],
)
def test_wrong_requests(icansee: Icansee, engine: FakeEngine, arguments: list[str], says: str) -> None:
    answer = icansee(*arguments)
    assert answer.code == 2
    assert says in answer.err


def test_a_folder_that_does_not_exist(icansee: Icansee) -> None:
    answer = icansee("assess", "--followup", "absent")
    assert answer.code == 2
    assert "absent" in answer.err


def test_simulate_writes_a_patient_that_can_be_read(icansee: Icansee) -> None:
    from workers.reading.folder import read_folder

    answer = icansee("simulate", "--out", "sim", "--sequences", "flair", "--seed", "5", "--json")
    assert answer.code == 0
    facts = json.loads(answer.out)
    assert list(read_folder(Path(facts["baseline_dir"]))) == [facts["baseline_study_uid"]]
    assert list(read_folder(Path(facts["followup_dir"]))) == [facts["followup_study_uid"]]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--pattern", "Z"], "pattern", id="unknown pattern"),
        pytest.param(["--seed", "-1"], "seed", id="seed out of range"),
        pytest.param(["--protocol", "4d"], "protocol", id="unknown protocol"),
        pytest.param(["--vendor", "acme"], "vendor", id="unknown vendor"),
        pytest.param(["--sequences", "pet"], "sequences", id="unknown sequence"),
    ],
)
def test_simulate_wrong_requests(icansee: Icansee, options: list[str], says: str) -> None:
    answer = icansee("simulate", "--out", "sim", *options)
    assert answer.code == 2
    assert says in answer.err
