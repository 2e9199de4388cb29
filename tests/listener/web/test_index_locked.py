"""Another process holds the write lock of the index: pages are served meanwhile, what was said is stored after it."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.listener.web.serving import serving
from tests.listener.web.stored import StoredStudy, store
from tests.patience import PATIENCE_S
from workers.config import Settings
from workers.index import schema
from workers.index.node_index import open_node_index
from workers.settings import StoreSettings
from workers.web_settings import WebSettings

UID = "1.2.3"


@pytest.mark.parametrize(
    ("released_after_s", "status"),
    [pytest.param(0.5, 201, id="noop: shorter than one waits"), pytest.param(None, 503, id="longer than one waits")],
)
def test_a_locked_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, released_after_s: float | None, status: int
) -> None:
    monkeypatch.setattr(schema, "BUSY_TIMEOUT_MS", 2000 if released_after_s is None else 60_000)
    settings = Settings(store=StoreSettings(state_dir=tmp_path, min_free_bytes=0), web=WebSettings(port=0))
    index = open_node_index(settings)
    store(index, StoredStudy(UID), now=datetime.now(UTC))
    with serving(settings) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        with closing(sqlite3.connect(tmp_path / "index.db", isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            for path in ("/", "/rows", f"/studies/{UID}", "/operations"):
                assert client.get(path).status_code == 200, "a page that is read waits for nobody who writes"
            if released_after_s is not None:
                threading.Timer(released_after_s, lambda: other.execute("ROLLBACK")).start()
            answer = client.post(f"/api/studies/{UID}/acts", json={"kind": "acknowledge"})
            assert answer.status_code == status
        if status != 201:
            assert "cannot be reached now" in answer.json()["detail"]
            assert client.post(f"/api/studies/{UID}/acts", json={"kind": "acknowledge"}).status_code == 201
        assert [one["kind"] for one in client.get(f"/api/studies/{UID}/acts").json()] == ["acknowledge"]
    index.close()
