"""A process that hangs, dies or takes too much memory over a question -> an error in time, and a new process."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders_dicom import a_series
from tests.workers.reading import hostile
from triage.model import SequenceKind
from workers.arrival.header_process import HeaderProcess
from workers.arrival.probe import series_kind, slice_position_mm
from workers.reading.child import LimitExceeded, ReadingProcess, waited_for_processor_s

MIB = 1 << 20


@pytest.fixture
def child() -> Iterator[ReadingProcess]:
    one = ReadingProcess("tests.workers.reading.misbehaving_child", memory_bytes=512 * MIB, deadline_s=0.5)
    yield one
    one.close()


@pytest.mark.parametrize(
    ("what", "deadline_s", "message"),
    [
        pytest.param("hang", 0.5, "no answer within 0.5 s", id="hangs"),
        pytest.param("die", 60.0, "the reading process died", id="dies"),
        pytest.param("close its pipe", 60.0, "the reading process died", id="is dying"),
    ],
)
def test_it_is_killed_and_replaced(what: str, deadline_s: float, message: str) -> None:
    child = ReadingProcess("tests.workers.reading.misbehaving_child", memory_bytes=512 * MIB, deadline_s=deadline_s)
    first = child.ask({"do": "answer"})["pid"]
    with pytest.raises(LimitExceeded) as refused:
        child.ask({"do": what})
    assert str(refused.value) == message
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    second = child.ask({"do": "answer"})["pid"]
    assert second == child.pid != first
    child.close()


def test_its_memory_is_limited(child: ReadingProcess) -> None:
    assert child.ask({"do": "fill", "bytes": 10 * MIB}) == {"size": 10 * MIB}
    assert child.ask({"do": "fill", "bytes": 1024 * MIB}) == {"size": "refused"}


def test_killed_between_two_questions(child: ReadingProcess) -> None:
    pid = child.ask({"do": "answer"})["pid"]
    os.kill(pid, signal.SIGKILL)
    try:
        found = child.ask({"do": "answer"})["pid"]
    except LimitExceeded:  # the kernel was slower than the question
        found = child.ask({"do": "answer"})["pid"]
    assert found != pid


def test_headers_are_read_as_in_this_process(tmp_path: Path) -> None:
    paths = a_series(tmp_path)
    headers = HeaderProcess(deadline_s=20.0)
    try:
        assert headers.kind_of(paths[0]) is SequenceKind.FLAIR is series_kind(paths[0])
        assert headers.position_of(paths[3]) == slice_position_mm(paths[3])
        paths[4].write_bytes(b"notes")
        assert headers.kind_of(paths[4]) is SequenceKind.NOT_IMAGE
        assert headers.position_of(paths[4]) is None
        assert headers.kind_of(hostile.deflated(paths[5], 300)) is SequenceKind.NOT_IMAGE
    finally:
        headers.close()


def test_time_without_a_processor_is_told_apart() -> None:
    assert waited_for_processor_s(os.getpid()) >= 0.0
    assert waited_for_processor_s(2**30) == 0.0, "noop: no such process"


@pytest.mark.parametrize(
    ("waited_s", "answers"), [(0.0, False), (5.0, True)], ids=["noop: a slow file", "busy machine"]
)
def test_a_busy_machine_is_no_fault_of_the_file(
    monkeypatch: pytest.MonkeyPatch, waited_s: float, *, answers: bool
) -> None:
    from workers.reading import child as module

    waited = iter([0.0, waited_s])
    monkeypatch.setattr(module, "waited_for_processor_s", lambda _pid: next(waited))
    child = ReadingProcess("x", memory_bytes=MIB, deadline_s=0.2)
    child._command = ["/bin/sh", "-c", "echo '{}'; read line; sleep 0.5; echo '{}'; read line"]
    try:
        if answers:
            assert child.ask({}) == {}
        else:
            with pytest.raises(LimitExceeded):
                child.ask({})
    finally:
        child.close()
