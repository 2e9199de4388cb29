"""A program started from any folder -> its child processes load nothing that lies there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.builders_dicom import a_series
from triage.model import SequenceKind
from workers.arrival.header_process import HeaderProcess

ROOT = Path(__file__).parents[3]
STARTED = re.compile(r"\[sys\.executable, (.{12})")


@pytest.mark.parametrize("name", [None, "pydicom", "numpy", "workers"])
def test_a_module_in_the_working_folder_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    path = a_series(tmp_path / "series")[0]
    monkeypatch.chdir(tmp_path)
    if name is not None:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('loaded')", encoding="utf-8")
    headers = HeaderProcess(deadline_s=30.0)
    try:
        assert headers.kind_of(path) is SequenceKind.FLAIR
    finally:
        headers.close()


def test_every_process_is_started_so() -> None:
    files = [*(ROOT / "workers").rglob("*.py"), *(ROOT / "listener").rglob("*.py")]
    started = [words for file in files for words in STARTED.findall(file.read_text(encoding="utf-8"))]
    assert len(started) >= 5
    assert set(started) == {'"-P", "-m", '}
