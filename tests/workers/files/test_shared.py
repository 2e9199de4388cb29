"""store.shared_dir: what lies there, what it needs, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from triage.errors import Misconfigured
from workers.config import parse
from workers.files.commitments import GivenCommitments, Verdict
from workers.files.store import SHARED_MARK, open_files
from workers.operations.retention import Retention, retention_of

POSTGRES = {"url": "postgresql+psycopg://icansee@db/icansee"}
REDIS = {"url": "redis://redis:6379/0"}


def sections(tmp_path: Path, **changed: Any) -> dict[str, Any]:
    store = {"state_dir": str(tmp_path / "own"), "shared_dir": str(tmp_path / "shared"), "min_free_bytes": 0}
    return {"store": store, "index": POSTGRES, "queue": REDIS} | changed


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"index": {}}, id="no database"),
        pytest.param({"index": {"url": "sqlite:///index.db"}}, id="a database of one host"),
        pytest.param({"queue": {}}, id="no broker"),
    ],
)
def test_several_hosts_need_one_index_and_one_broker(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match=r"store\.shared_dir"):
        parse(sections(tmp_path, **changed))


def test_without_the_mark_it_is_not_the_store(tmp_path: Path) -> None:
    settings = parse(sections(tmp_path))
    (tmp_path / "shared").mkdir()
    with pytest.raises(Misconfigured, match="is not the shared store"):
        open_files(settings)
    assert not list((tmp_path / "shared").iterdir()), "nothing is made in a folder that is not it"
    (tmp_path / "shared" / SHARED_MARK).touch()
    assert open_files(settings).root == tmp_path / "shared" / "store"
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("shared", [True, False])
def test_where_others_look_on_content_is_flushed_before_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    """Also on a file system that needs it for no power cut."""
    monkeypatch.setattr("workers.files.disk.file_system_of", lambda _: "ext4")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / SHARED_MARK).touch()
    settings = parse(sections(tmp_path) if shared else {"store": {"state_dir": str(tmp_path)}})
    assert open_files(settings).sync_folders is shared


def test_noop_one_host_needs_no_mark(tmp_path: Path) -> None:
    settings = parse({"store": {"state_dir": str(tmp_path)}})
    assert open_files(settings).root == tmp_path / "store"


def test_what_was_promised_on_one_host_is_kept_by_all(tmp_path: Path) -> None:
    settings = parse(sections(tmp_path))
    GivenCommitments(settings.store.files_dir).add(Verdict((), (), frozenset({"1.2.3"})))
    assert GivenCommitments(tmp_path / "shared").holds("1.2.3")


def test_one_host_deletes_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parse(sections(tmp_path))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / SHARED_MARK).touch()
    files = open_files(settings)
    inside: list[Any] = []
    one, other = (retention_of(settings, None, files) for _ in range(2))  # type: ignore[arg-type]

    def run(_self: Retention) -> list[Any]:
        inside.append(1)
        other.run()
        return []

    monkeypatch.setattr(Retention, "_run", run)
    one.run()
    assert len(inside) == 1
    one.run()
    assert len(inside) == 2, "the lock is free again"
