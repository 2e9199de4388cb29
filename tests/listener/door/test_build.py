"""Which receive path the settings lead to."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from listener.door import build
from listener.receiving.reception import Reception, Tally
from tests.listener.harness import settings_for
from workers.config import parse
from workers.files.store import FileStore


@pytest.mark.parametrize(
    ("wanted", "missing", "chosen"),
    [
        pytest.param("stream", [], "stream", id="the fast path"),
        pytest.param("stream", ["DULServiceProvider._gone"], "stock", id="the library has changed"),
        pytest.param("stock", [], "stock", id="the stock path is wanted"),
    ],
)
def test_receive_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, missing: list[str], chosen: str
) -> None:
    monkeypatch.setattr(build, "missing_names", lambda: missing)
    monkeypatch.setattr(tempfile, "tempdir", None)  # the stock path changes it for its process
    settings = parse(settings_for(tmp_path, receive_path=wanted))
    reception = Reception(FileStore(tmp_path), lambda _: None)
    path = build.receive_path(settings.listener, reception, lambda _: Tally(), tmp_path / "incoming")
    assert path.name == chosen
