"""Fixtures of the doors."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.listener.commands.cli_runner import Icansee


@pytest.fixture
def icansee(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Icansee:
    return Icansee(tmp_path, monkeypatch, capsys)
