"""What the supervisor makes of processes that cannot be started."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from listener.node import silence, supervisor
from listener.node.processes import state_of
from listener.node.settings_descriptor import settings_from_descriptor
from listener.node.supervisor import Child, Supervisor
from tests.listener.harness import PATIENCE_S, eventually, settings_for
from triage.errors import Transient
from workers.backoff import Backoff
from workers.config import parse
from workers.heartbeat import Heartbeat, heartbeat_file
from workers.settings import NodeSettings

NO_MEMORY = OSError(errno.ENOMEM, "Cannot allocate memory")


class Programs:
    """Stands for subprocess.Popen: programs that end at once, or the fault whose turn it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *faults: Exception | None) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self._real, self._faults = subprocess.Popen, list(faults)
        monkeypatch.setattr(supervisor.subprocess, "Popen", self._start)
        monkeypatch.setattr(supervisor, "RESTART", Backoff(0.05, 30.0))

    def _start(self, *_args: Any, **_more: Any) -> subprocess.Popen[bytes]:
        if self._faults and (fault := self._faults.pop(0)) is not None:
            raise fault
        waits = [sys.executable, "-c", "input()"]
        self.started.append(self._real(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True))
        return self.started[-1]


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([], id="noop: started"),
        pytest.param([NO_MEMORY], id="no memory"),
        pytest.param([NO_MEMORY, BlockingIOError(errno.EAGAIN, "no process number"), RuntimeError()], id="three times"),
    ],
)
def test_a_process_that_cannot_be_started_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faults: list[Exception]
) -> None:
    programs = Programs(monkeypatch, *faults)
    child = Child("web", parse(settings_for(tmp_path)), None)
    child.look()
    assert len(programs.started) == (not faults)
    eventually(lambda: child.look() is None and len(programs.started) == 1)
    child.stop()


@pytest.mark.parametrize("fault", [pytest.param(None, id="noop: started"), pytest.param(NO_MEMORY, id="no memory")])
@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("web", "listener.commands.main"),
        ("listener", "listener.door.program"),
        ("beat", "listener.node.beat_program"),
        ("deliver", "listener.node.deliver_program"),
    ],
)
def test_programs_without_the_core_inherit_checked_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, fault: Exception | None
) -> None:
    commands: list[list[str]] = []
    handed: list[NodeSettings] = []

    def popen(command: list[str], *, pass_fds: tuple[int, ...] = (), **_more: Any) -> subprocess.Popen[bytes]:
        commands.append(command)
        handed.extend(settings_from_descriptor(os.dup(fd)) for fd in pass_fds)
        if fault is not None:
            raise fault
        return real([sys.executable, "-c", ""], stdout=subprocess.PIPE, start_new_session=True)

    real = subprocess.Popen
    monkeypatch.setattr(supervisor.subprocess, "Popen", popen)
    settings = parse(settings_for(tmp_path))
    child = Child(name, settings, tmp_path / "config.yaml")
    before = open_descriptors()
    child.look()
    assert [command[command.index("-m") + 1] for command in commands] == [module]
    assert handed == ([] if name == "web" else [settings.node()])
    # a command notes its start itself
    assert state_of(settings.store.state_dir, name).starts == (0 if name == "web" else 1)
    child.stop()
    if fault is not None:
        assert open_descriptors() <= before, "another test's may be closed meanwhile"


def open_descriptors() -> set[Path]:
    return set(Path("/proc/self/fd").iterdir())


def test_a_process_whose_words_nobody_can_read_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = Programs(monkeypatch)

    def no_thread(_self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    child = Child("web", parse(settings_for(tmp_path)), None)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        child.look()
    assert programs.started[0].wait(PATIENCE_S) != 0
    eventually(lambda: child.look() is None and len(programs.started) == 2)
    child.stop()


def test_a_node_that_cannot_write_that_it_is_ready_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def announce(path: Path, **_facts: Any) -> None:
        if not written:
            written.append(path)
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)

    monkeypatch.setattr(supervisor, "write_ready", announce)
    monkeypatch.setattr(supervisor, "ANNOUNCE_AGAIN_S", 0.05)
    monkeypatch.setattr(Child, "ready", lambda _self: {"host": "127.0.0.1", "port": 1})
    node = Supervisor(parse(settings_for(tmp_path)), config_path=None, ready_file=None)
    node._announce_once()
    assert not node._announced
    eventually(lambda: [node._announce_once(), node._announced][1])
    assert len(written) == 2


@pytest.mark.parametrize(
    ("feeds", "process"),
    [
        pytest.param({}, False, id="noop: nothing configured"),
        pytest.param({"hl7": {"port": 2575}}, True, id="HL7"),
    ],
)
def test_the_feeds_run_only_when_configured(tmp_path: Path, feeds: dict[str, Any], process: bool) -> None:
    settings = parse(settings_for(tmp_path, sections={"feeds": feeds}))
    assert ("feeds" in supervisor.names_of(settings)) is process


@pytest.mark.parametrize(
    ("sections", "process"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"priors": {"sources": [{"name": "PACS", "ae_title": "P", "host": "h"}]}}, True, id="an archive"),
        pytest.param({"feeds": {"worklist": {"ae_title": "RIS", "host": "h"}}}, True, id="a worklist"),
    ],
)
def test_archives_and_worklist_are_asked_only_when_configured(
    tmp_path: Path, sections: dict[str, Any], process: bool
) -> None:
    settings = parse(settings_for(tmp_path, sections=sections))
    assert ("priors" in supervisor.names_of(settings)) is process


@pytest.mark.parametrize("wanted", [True, False])
def test_the_urgent_worker_is_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    settings = parse(settings_for(tmp_path, sections={"queue": {"urgent_worker": wanted}}))
    assert ("urgent" in supervisor.names_of(settings)) is wanted
    commands: list[list[str]] = []
    programs = Programs(monkeypatch)

    def start(command: list[str], **more: Any) -> subprocess.Popen[bytes]:
        commands.append(command)
        return programs._start(command, **more)

    monkeypatch.setattr(supervisor.subprocess, "Popen", start)
    child = Child("urgent", settings, None)
    child.look()
    child.stop()
    assert commands[0][4:6] == ["worker", "--urgent"]


class SignsOfLife:
    """Programs in place of the node's processes: each gives a sign of life every hundredth of a second."""

    SCRIPT = "import pathlib, sys, time\nwhile True: pathlib.Path(sys.argv[1]).touch(); time.sleep(0.01)"

    def __init__(self, monkeypatch: pytest.MonkeyPatch, state_dir: Path, longest_s: float) -> None:
        self.started: list[subprocess.Popen[bytes]] = []
        self._real, self._state_dir = subprocess.Popen, state_dir
        (state_dir / "run").mkdir(parents=True)
        monkeypatch.setattr(supervisor.subprocess, "Popen", self._start)
        monkeypatch.setattr(supervisor, "RESTART", Backoff(0.05, 30.0))
        monkeypatch.setattr(silence, "LONGEST_SILENCE_S", longest_s)
        monkeypatch.setattr(supervisor, "ASK_BROKER_S", 0.2)

    def _start(self, command: list[str], **_more: Any) -> subprocess.Popen[bytes]:
        sign = str(heartbeat_file(self._state_dir, command[command.index("-m") + 2]))
        program = [sys.executable, "-c", self.SCRIPT, sign]
        self.started.append(self._real(program, stdout=subprocess.PIPE, start_new_session=True))
        return self.started[-1]


def looked(child: Child, excused: bool = False) -> None:
    child.end_if_silent(lambda _name: excused)
    child.look()


def test_a_process_that_is_stopped_is_replaced_and_its_neighbour_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = parse(settings_for(tmp_path))
    # long enough for a neighbour that a busy machine holds up
    programs = SignsOfLife(monkeypatch, settings.store.state_dir, longest_s=6.0)
    web, worker = (Child(name, settings, None) for name in ("web", "worker"))
    looked(web)
    looked(worker)
    stopped, other = programs.started
    for name in ("web", "worker"):
        eventually(heartbeat_file(settings.store.state_dir, name).exists)
    looked(web)
    os.kill(stopped.pid, signal.SIGSTOP)
    try:
        eventually(lambda: (looked(web), looked(worker), len(programs.started) > 2)[-1])
        assert stopped.wait(PATIENCE_S) == -signal.SIGKILL
        assert other.poll() is None
        assert len(programs.started) == 3
    finally:
        web.stop()
        worker.stop()


def test_a_process_that_waits_for_the_broker_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parse(settings_for(tmp_path))
    programs = SignsOfLife(monkeypatch, settings.store.state_dir, longest_s=1.0)
    worker = Child("worker", settings, None)
    looked(worker)
    eventually(heartbeat_file(settings.store.state_dir, "worker").exists)
    looked(worker)
    asked: list[str] = []
    os.kill(programs.started[0].pid, signal.SIGSTOP)
    try:
        # longer than a silence that is not excused may last
        eventually(lambda: (worker.end_if_silent(lambda name: not asked.append(name)), len(asked) > 8)[-1])
        assert programs.started[0].poll() is None
    finally:
        os.kill(programs.started[0].pid, signal.SIGCONT)  # else it does not hear that it is to end, for 30 s
        worker.stop()


@pytest.mark.parametrize(
    ("name", "broker", "written", "excused"),
    [
        pytest.param("beat", True, True, False, id="noop: it only hangs"),
        pytest.param("worker", True, True, False, id="a worker beside a broker that answers"),
        pytest.param("worker", False, True, True, id="a worker waits for the broker"),
        pytest.param("beat", False, True, False, id="the beat does not wait for it"),
        pytest.param("beat", True, False, True, id="nobody can write signs of life"),
    ],
)
def test_what_excuses_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, broker: bool, written: bool, excused: bool
) -> None:
    def ping(_url: str) -> str:
        if not broker:
            raise Transient("away")
        return "1"

    monkeypatch.setattr(supervisor, "ping", ping)
    settings = parse(settings_for(tmp_path, sections={"queue": {"url": "redis://127.0.0.1:1/0"}}))
    alive = Heartbeat(heartbeat_file(settings.store.state_dir, "serve"))
    alive.written = written
    assert Supervisor(settings, config_path=None, ready_file=None)._excused(name, alive) is excused
