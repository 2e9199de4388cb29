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
        pytest.param(lambda lines: [*lines[:2], lines[2].replace(b'"n": 2', b'"n": 9'), *lines[3:]], [3], id="changed"),
        pytest.param(lambda lines: [*lines[:2], *lines[3:]], [3], id="removed"),
        pytest.param(lambda lines: lines[1:], [1], id="the first is removed"),
        pytest.param(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], [2, 3, 4], id="order changed"),
        pytest.param(lambda lines: [*lines, b"[]\n"], [6], id="no entry"),
        pytest.param(lambda lines: [*lines, b'{"digest": '], [6], id="half a line"),
        pytest.param(lambda lines: [*lines, b'{"digest": "' + b"a" * 200_000], [6], id="half a very long line"),
        pytest.param(
            lambda lines: [*lines[:2], lines[2][:9] + b"\n", *lines[3:-1], lines[-1].replace(b'"n": 4', b'"n": 9')],
            [3, 4, 5],
            id="two lines: a change is said also behind another one",
        ),
        pytest.param(lambda lines: [*lines, lines[-1]], [6], id="one line twice"),
    ],
)
def test_what_was_tampered_with(path: Path, change: object, broken: list[int]) -> None:
    assert callable(change)
    path_lines = change(written(path))
    path.write_bytes(b"".join(path_lines))
    assert verify_journal(path).broken == tuple(broken)
    for _ in range(2):
        Journal(path).add({"who": "later"})
        assert verify_journal(path).broken == tuple(broken), "a later line hides nothing, and is as it was written"


@pytest.mark.parametrize(
    "text", ["x" * 16_000, "\x01" * 16_000, "😀" * 70_000, "\ud800" * 16_000], ids=lambda text: repr(text[0])
)
def test_a_text_of_any_length_is_one_short_line(path: Path, text: str) -> None:
    journal = Journal(path)
    for facts in ({"did": "GET /"}, {"did": text, "study": text}, {"study": [text, 7]}, {"did": "GET /"}):
        journal.add(facts)
    lines = path.read_bytes().splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) < 40_000
    assert verify_journal(path) == JournalVerdict(4, json.loads(lines[-1])["digest"])


def test_many_at_once(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: Journal(path).add({"n": n}), range(200)))
    assert verify_journal(path).entries == 200


def test_a_disk_that_does_not_take_it_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    Journal(tmp_path / "file" / "web-audit.jsonl").add({"who": "mina"})
