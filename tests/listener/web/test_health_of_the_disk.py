"""A disk that gives or takes nothing now -> /healthz says so."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from listener.web import health
from tests.listener.web.test_app import Node
from tests.unreadable import make_unreadable
from workers.feed_settings import FeedsSettings, Hl7FeedSettings
from workers.feeds.folders import open_inbox
from workers.index.rebuilding import note_rebuilt, rebuilding_mark


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def problems(node: Node) -> Any:
    return node.client.get("/healthz").json()["problems"]


@pytest.mark.parametrize(
    ("files", "left", "said"),
    [
        pytest.param(10**6, 10**5, [], id="noop"),
        pytest.param(10**6, 999, ["disk"], id="hardly a name left"),
        pytest.param(0, 0, [], id="not measured: the file system does not count them"),
    ],
)
def test_names_that_are_left(
    node: Node, monkeypatch: pytest.MonkeyPatch, files: int, left: int, said: list[str]
) -> None:
    real = os.statvfs(node.tmp_path)
    room = os.statvfs_result((*real[:5], files, left, left, *real[8:]))
    monkeypatch.setattr(os, "statvfs", lambda _path: room)
    assert problems(node) == said


@pytest.mark.parametrize("name", ["store", "conflicts", "results", "facts", "commitments"])
def test_a_folder_that_cannot_be_read(node: Node, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (node.tmp_path / name).mkdir(exist_ok=True)
    assert problems(node) == []
    make_unreadable(monkeypatch, node.tmp_path / name)
    assert problems(node) == ["disk"]
    assert node.client.get("/healthz").json()["unreadable"] == [name]


def test_a_folder_that_is_gone(node: Node) -> None:
    shutil.rmtree(node.tmp_path / "store")
    assert problems(node) == ["disk"]


def test_an_index_that_was_deleted(node: Node) -> None:
    rebuilding_mark(node.tmp_path).write_text("was deleted")
    note_rebuilt(node.tmp_path)
    assert problems(node) == []
    said = node.client.get("/healthz").json()["index_note"]
    assert said.startswith("The index was deleted and was built again from the stored files on ")
    long_ago = time.time() - health.NOTED_FOR.total_seconds() - 60
    os.utime(node.tmp_path / "index.rebuilt", (long_ago, long_ago))
    assert node.client.get("/healthz").json()["index_note"] is None


def test_a_folder_of_a_feed_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(tmp_path, feeds=FeedsSettings(hl7=Hl7FeedSettings(port=0)))
    node.gives_a_sign("feeds")
    inbox = open_inbox(node.settings)
    assert node.client.get("/healthz").json()["problems"] == []
    make_unreadable(monkeypatch, inbox._new)
    said = node.client.get("/healthz").json()
    assert (said["problems"], said["feeds"]["unreadable"]) == (["feeds"], True)
