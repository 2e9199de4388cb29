"""The files of a stored decision, for the renderers: read when they are asked for, and never half."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes import NOON, FakeClock
from tests.workers.outputs.dicom.result_builders import a_decision
from triage.errors import Transient
from workers.deliveries.stored import (
    FILES_WITHIN_S,
    HEADERS_WITHIN_S,
    READ_AGAIN_S,
    evidence_of,
    series_meant_of,
    worked_on,
)
from workers.delivery_ports import Decided
from workers.outputs.output import EvidenceFiles
from workers.outputs.results import ResultFolder
from workers.outputs.sources import Sources, SourceStudy, sources_to_json

FULL = Decided("1.2.3", 1, "full")
HEADERS = a_decision()[1]["sources.json"]
BARE = sources_to_json(Sources(SourceStudy({}, ()), None, 1))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def evidence(tmp_path: Path, clock: FakeClock) -> EvidenceFiles:
    return evidence_of(ResultFolder(tmp_path), lambda _: NOON, clock)(FULL)


def test_files_that_are_there(tmp_path: Path, evidence: EvidenceFiles) -> None:
    folder = tmp_path / "1.2.3" / "r1-full"
    folder.mkdir(parents=True)
    (folder / "evidence.png").write_bytes(b"png")
    (tmp_path / "secret").write_bytes(b"x")
    assert dict(evidence) == {"evidence.png": b"png"}
    assert "../../secret" not in evidence
    assert len(evidence) == 1


def test_files_that_may_still_come_are_waited_for(evidence: EvidenceFiles) -> None:
    with pytest.raises(Transient):
        evidence.get("evidence.png")


@pytest.mark.parametrize("sign", [1, -1], ids=["later", "the clock was set back"])
def test_not_measured_a_decision_that_never_had_files(evidence: EvidenceFiles, clock: FakeClock, sign: int) -> None:
    clock.leap(sign * (FILES_WITHIN_S + 1))
    assert dict(evidence) == {}


def test_a_decision_that_is_still_worked_on_keeps_its_files(tmp_path: Path, clock: FakeClock) -> None:
    """On a busy machine the pictures take minutes: nothing counts as not there meanwhile."""
    working = [FULL]
    evidence = evidence_of(ResultFolder(tmp_path), lambda _: NOON, clock, busy=working.__contains__)(FULL)
    clock.advance(FILES_WITHIN_S + 1)
    with pytest.raises(Transient):
        evidence.get("evidence.png")
    working.clear()
    assert evidence.get("evidence.png") is None


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(SimpleNamespace(revision=1, lease_until=NOON + timedelta(seconds=1)), True, id="a lease"),
        pytest.param(SimpleNamespace(revision=1, lease_until=NOON), False, id="its worker died"),
        pytest.param(
            SimpleNamespace(revision=2, lease_until=NOON + timedelta(seconds=1)), False, id="a newer revision"
        ),
        pytest.param(SimpleNamespace(revision=1, lease_until=None), False, id="no-op: it is done"),
        pytest.param(None, False, id="not measured: the study is not here"),
    ],
)
def test_whether_a_decision_is_worked_on(clock: FakeClock, row: Any, expected: bool) -> None:
    index: Any = SimpleNamespace(study=lambda _uid: row)
    assert worked_on(index, clock)(FULL) is expected


def test_what_is_ready_early_is_read_before_the_rest_is_there(tmp_path: Path, evidence: EvidenceFiles) -> None:
    early = ResultFolder(tmp_path).early_place("1.2.3", 1, "full")
    early.mkdir(parents=True)
    (early / "sources.json").write_bytes(b"{}")
    (early / "evidence.png").write_bytes(b"not a file that is ready early")
    assert evidence["sources.json"] == b"{}"
    with pytest.raises(Transient):
        evidence.get("evidence.png")


def test_a_missing_list_of_sources_is_made_once_more(tmp_path: Path, clock: FakeClock) -> None:
    folder, asked = ResultFolder(tmp_path), list[Decided]()

    def repair(decided: Decided) -> bytes | None:
        asked.append(decided)
        return None

    evidence = evidence_of(folder, lambda _: NOON, clock, repair)(FULL)
    with pytest.raises(Transient):  # it may still come
        evidence.get("sources.json")
    assert asked == []
    folder.place("1.2.3", 1, "full").mkdir(parents=True)
    assert [evidence.get("sources.json") for _ in range(3)] == [None] * 3
    assert asked == [FULL]
    assert evidence_of(folder, lambda _: NOON, clock, lambda _: b"{}")(FULL)["sources.json"] == b"{}"


@pytest.mark.parametrize(
    ("age_s", "content", "expected"),
    [
        pytest.param(HEADERS_WITHIN_S - 1, HEADERS, Transient, id="no-op: the worker writes it"),
        pytest.param(HEADERS_WITHIN_S + 1, HEADERS, HEADERS, id="the worker died"),
        pytest.param(-HEADERS_WITHIN_S - 1, HEADERS, HEADERS, id="the worker died, and the clock was set back"),
        pytest.param(HEADERS_WITHIN_S + 1, BARE, Transient, id="not measured: the images cannot be read now"),
        pytest.param(FILES_WITHIN_S + 1, BARE, BARE, id="not measured: they never could"),
        pytest.param(HEADERS_WITHIN_S + 1, None, Transient, id="not measured: the index is away"),
        pytest.param(FILES_WITHIN_S + 1, None, KeyError, id="not measured: it stays away"),
    ],
)
def test_an_alert_does_not_wait_for_a_worker_that_died(
    tmp_path: Path, clock: FakeClock, age_s: float, content: bytes | None, expected: bytes | type[Exception]
) -> None:
    folder = ResultFolder(tmp_path)
    clock.leap(age_s)
    evidence = evidence_of(folder, lambda _: NOON, clock, lambda _: content)
    if isinstance(expected, bytes):
        assert evidence(FULL)["sources.json"] == expected
        return
    with pytest.raises(expected):
        evidence(FULL)["sources.json"]


@pytest.mark.parametrize("place", ["place", "early_place"])
@pytest.mark.parametrize(
    ("stored", "made", "expected"),
    [
        pytest.param(BARE, HEADERS, HEADERS, id="they can be read now"),
        pytest.param(BARE, BARE, BARE, id="not measured: they still cannot"),
        pytest.param(BARE, None, BARE, id="not measured: the index is away"),
        pytest.param(HEADERS, BARE, HEADERS, id="no-op: the worker read them"),
        pytest.param(b"{", HEADERS, HEADERS, id="a damaged file"),
    ],
)
def test_headers_that_the_worker_could_not_read_are_read_again(
    tmp_path: Path, clock: FakeClock, place: str, stored: bytes, made: bytes | None, expected: bytes
) -> None:
    folder = ResultFolder(tmp_path)
    there = getattr(folder, place)("1.2.3", 1, "full")
    there.mkdir(parents=True)
    (there / "sources.json").write_bytes(stored)
    assert evidence_of(folder, lambda _: NOON, clock, lambda _: made)(FULL)["sources.json"] == expected


def test_headers_that_cannot_be_read_are_not_read_at_every_look(tmp_path: Path, clock: FakeClock) -> None:
    asked: list[Decided] = []
    evidence = evidence_of(ResultFolder(tmp_path), lambda _: NOON, clock, asked.append)
    clock.advance(HEADERS_WITHIN_S + 1)
    for pause_s, expected in ((0.2, 1), (READ_AGAIN_S, 1), (0.2, 2), (0.2, 2)):
        with pytest.raises(Transient):
            evidence(FULL)["sources.json"]
        assert len(asked) == expected
        clock.advance(pause_s)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(a_decision()[1]["sources.json"], 1, id="no-op: an ordinary series"),
        pytest.param(a_decision(form="a UID each")[1]["sources.json"], 12, id="slices with a UID each"),
        pytest.param(b"{", 0, id="not measured: a damaged file"),
        pytest.param(None, None, id="not written yet"),
    ],
)
def test_series_as_the_images_state_them(
    tmp_path: Path, clock: FakeClock, content: bytes | None, expected: int | None
) -> None:
    folder = ResultFolder(tmp_path)
    if content is not None:
        folder.place("1.2.3", 1, "full").mkdir(parents=True)
        (folder.place("1.2.3", 1, "full") / "sources.json").write_bytes(content)
    found = series_meant_of(evidence_of(folder, lambda _: NOON, clock))(FULL)
    assert (None if found is None else len(found)) == expected


def test_the_images_of_a_decision_are_known_although_its_worker_died(tmp_path: Path, clock: FakeClock) -> None:
    """The plan of a decision, with its alerts, waits for them where a rule forwards what it rests on."""
    content = a_decision()[1]["sources.json"]
    meant = series_meant_of(evidence_of(ResultFolder(tmp_path), lambda _: NOON, clock, lambda _: content))
    assert meant(FULL) is None
    clock.advance(HEADERS_WITHIN_S + 1)
    assert meant(FULL) == series_meant_of(lambda _: a_decision()[1])(FULL)
