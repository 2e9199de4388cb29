"""An index that this program must not touch: the listener says which revision it has and goes on receiving."""

from __future__ import annotations

import threading
from pathlib import Path

import sqlalchemy as sa
from structlog.testing import capture_logs

from listener.door.lazy_index import LazyIndex
from listener.door.run import Scan, _scan_once
from workers.files.store import FileStore
from workers.index.sql import open_index
from workers.index.writer import IndexWriter
from workers.settings import NodeSettings, StoreSettings


def test_a_newer_schema_is_named_in_the_log(tmp_path: Path) -> None:
    settings = NodeSettings(store=StoreSettings(state_dir=tmp_path))
    open_index(settings.index_url).close()
    with sa.create_engine(settings.index_url).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    index = LazyIndex(settings)
    writer = IndexWriter(index.record_instances)
    with capture_logs() as logs:
        outcome = _scan_once(FileStore(tmp_path / "store"), index, writer, threading.Event(), None)
    assert outcome is Scan.FAULT
    assert writer.incomplete.is_set(), "the scan is to be repeated"
    [said] = [one for one in logs if one["event"] == "store.scan_failed"]
    assert "revision 9999" in said["error"]
