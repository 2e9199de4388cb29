"""The audit log: what is changed or removed shows."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workers.audit.journal import START, Journal, JournalVerdict, verify_journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "web-audit.jsonl"


def written(path: Path, number: int = 5) -> list[bytes]:
    journal = Journal(path)
    for one in range(number):
        journal.add({"who": "mína", "did": "GET /", "n": one})
    return path.read_bytes().splitlines(keepends=True)


def test_noop_nothing_was_written(path: Path) -> None:
    assert verify_journal(path) == JournalVerdict(0, START)


def test_whole(path: Path) -> None:
    lines = written(path)
    assert verify_journal(path) == JournalVerdict(5, json.loads(lines[-1])["digest"])
    assert json.loads(lines[0])["who"] == "mína"


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        pytest.param(lambda lines: [*lines[:2], lines[2].replace(b'"n": 2', b'"n": 9'), *lines[3:]], 3, id="changed"),
        pytest.param(lambda lines: [*lines[:2], *lines[3:]], 3, id="removed"),
        pytest.param(lambda lines: lines[1:], 1, id="the first is removed"),
        pytest.param(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], 2, id="order changed"),
        pytest.param(lambda lines: [*lines, b"[]\n"], 6, id="no entry"),
        pytest.param(lambda lines: [*lines, b'{"digest": '], 6, id="half a line"),
        pytest.param(lambda lines: [*lines, lines[-1]], 6, id="one line twice"),
    ],
)
def test_what_was_tampered_with(path: Path, change: object, broken: int) -> None:
    assert callable(change)
    path_lines = change(written(path))
    path.write_bytes(b"".join(path_lines))
    assert verify_journal(path).broken == broken
    Journal(path).add({"who": "later"})
    assert verify_journal(path).broken == broken, "a later line hides nothing"


def test_many_at_once(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: Journal(path).add({"n": n}), range(200)))
    assert verify_journal(path).entries == 200


def test_a_disk_that_does_not_take_it_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    Journal(tmp_path / "file" / "web-audit.jsonl").add({"who": "mina"})
