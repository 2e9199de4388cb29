"""Settings in, a running node: starts broker, listener, worker, beat and web as processes, restarts those that die or
give no sign of life, stops all of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from listener.node.private import only_one
from listener.node.processes import note_start
from listener.node.running import ANNOUNCE_AGAIN_S, forget, read_ready, ready_file, withdraw, write_ready
from listener.node.settings_descriptor import program_command, program_environment, settings_to_descriptor
from listener.node.silence import SilenceWatch
from triage.errors import Misconfigured, Transient
from workers.backoff import Backoff
from workers.config import Settings
from workers.heartbeat import Heartbeat, heartbeat_file
from workers.log import brief, get_logger
from workers.queue.broker import EmbeddedBroker, broker_folder, broker_url, ping

log = get_logger(__name__)

NAMES = ("listener", "worker", "beat", "web")
# The listener stops first, the worker may end its study, the broker stops last.
STOP_GRACE_S = {
    "listener": 20.0,
    "beat": 5.0,
    "web": 5.0,
    "worker": 30.0,
    "urgent": 30.0,
    "feeds": 10.0,
    "priors": 10.0,
    "deliver": 10.0,
}  # the listener's after its own stop_grace_s
NEED_BROKER = ("worker", "urgent")  # their main loop stands while they wait for it
ASK_BROKER_S = 5.0
COMMANDS = {"urgent": ("worker", "--urgent")}  # the others have their own name
# These get the settings that this process has checked already. As a command each would load the measurement core first,
# to check them again: two seconds of a core, in which nothing is received after a crash.
PROGRAMS = {
    "listener": "listener.door.program",
    "beat": "listener.node.beat_program",
    "deliver": "listener.node.deliver_program",
}
LOOK_EVERY_S = 0.2
BROKER_EVERY_S = 1.0
BROKER_SILENT_LOOKS = 5
RESTART = Backoff(first_s=0.5, longest_s=30.0)  # between the end of a process and its next start
STEADY_S = 60.0
WRONG_SETTINGS = 2  # exit code of a command that refuses its settings: starting it again would not help


class Child:
    """One process of the node and its restarts."""

    def __init__(self, name: str, settings: Settings, config_path: Path | None) -> None:
        self.name = name
        self.ready_path = ready_file(settings, name)
        self._settings = settings
        self._config = ["--config", str(config_path)] if config_path else []
        self._grace_s = STOP_GRACE_S[name] + (settings.listener.stop_grace_s if name == "listener" else 0.0)
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._pause_s = RESTART.first_s
        self._next_start = 0.0
        self._silence = SilenceWatch(heartbeat_file(settings.store.state_dir, name))

    def start(self) -> None:
        """Start the process.

        Raises:
            OSError, RuntimeError: there is no memory for it, no process number, no descriptor, no thread.
        """
        forget(self.ready_path)
        process = self._program() if self.name in PROGRAMS else self._command()
        prefix = f"{self.name:8} | ".encode() if self._settings.log.format == "console" else b""
        try:
            threading.Thread(target=_copy_lines, args=(process.stdout, prefix), daemon=True).start()
        except RuntimeError:  # nothing would read its output, and it would hang when the pipe is full
            process.kill()
            process.communicate()
            raise
        self._process, self._started = process, time.monotonic()
        self._silence.begin()
        log.info("process.started", name=self.name, pid=process.pid)

    def _command(self) -> subprocess.Popen[bytes]:
        command = COMMANDS.get(self.name, (self.name,))
        parent = ("--parent", str(os.getpid()))
        return _start([sys.executable, "-P", "-m", "listener.commands.main", *command, *self._config, *parent])

    def _program(self) -> subprocess.Popen[bytes]:
        note_start(self._settings.store.state_dir, self.name)
        fd = settings_to_descriptor(self._settings.node())
        try:
            command = program_command(PROGRAMS[self.name], fd, self._settings, os.getpid())
            return _start(command, pass_fds=(fd,), env=program_environment())
        finally:
            os.close(fd)

    def look(self) -> int | None:
        """Start again what died (after a pause that doubles while it keeps dying); returns an exit code seen just
        now."""
        if self._process is None:
            if time.monotonic() >= self._next_start:
                self._start_or_wait()
            return None
        code = self._process.poll()
        if code is None:
            return None
        self._end_group()
        lived_s = time.monotonic() - self._started
        self._wait(RESTART.first_s if lived_s > STEADY_S else RESTART.next_s(self._pause_s))
        log.error("process.died", name=self.name, exit_code=code, lived_s=round(lived_s, 1), restart_in_s=self._pause_s)
        self._process = None
        return code

    def end_if_silent(self, excused: Callable[[str], bool]) -> None:
        """End a process that gives no sign of life; ``look`` starts another one. A signal would not reach the handler
        of a stopped or wedged process, so it is killed.

        Args:
            excused: whether a process of this name may be silent now. Asked only when it is.
        """
        if self._process is None or self._process.poll() is not None:
            return
        silent_s = self._silence.look()
        if silent_s > ASK_BROKER_S and excused(self.name):
            self._silence.forgive()
        elif self._silence.too_long:
            log.error("process.silent", name=self.name, pid=self._process.pid, seconds=round(silent_s))
            self._end_group()
            self._silence.forgive()  # one that the kernel cannot end at once is not named again at once

    def _start_or_wait(self) -> None:
        """The other processes must not end because there is no room for this one at the moment."""
        try:
            self.start()
        except (OSError, RuntimeError) as error:
            self._wait(RESTART.next_s(self._pause_s))
            log.error("process.not_started", name=self.name, error=brief(error), again_in_s=self._pause_s)

    def _wait(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._next_start = time.monotonic() + self._pause_s

    def ready(self) -> dict[str, Any] | None:
        facts = read_ready(self.ready_path)
        return facts if facts and self._process is not None and facts["pid"] == self._process.pid else None

    def stop(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._grace_s)
        self._end_group()
        self._process.wait()
        self._process = None
        forget(self.ready_path)

    def _end_group(self) -> None:
        """What a dead process left behind (pool children of the worker): its studies are taken up again after their
        lease."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


def names_of(settings: Settings) -> tuple[str, ...]:
    """The processes of this node."""
    urgent = ("urgent",) if settings.queue.urgent_worker else ()
    feeds = ("feeds",) if settings.feeds.wanted else ()
    priors = ("priors",) if settings.priors.wanted or settings.feeds.worklist is not None else ()
    deliver = ("deliver",) if settings.results.destinations else ()
    return (*NAMES, *urgent, *feeds, *priors, *deliver)


class Supervisor:
    """The node in the foreground."""

    def __init__(self, settings: Settings, *, config_path: Path | None, ready_file: Path | None) -> None:
        self._settings = settings
        self._ready_file = ready_file
        self._children = [Child(name, settings, config_path) for name in names_of(settings)]
        self._broker = None if settings.queue.url else EmbeddedBroker(broker_folder(settings))
        self._broker_next = 0.0
        self._broker_silent_looks = 0
        self._broker_answers, self._broker_asked = True, 0.0
        self._announced = False
        self._announce_next = 0.0

    def run(self, stop: threading.Event) -> None:
        """Until ``stop``.

        Raises:
            Misconfigured: another node runs on this state folder, or a process refused its settings at the start.
            Transient: the embedded broker does not start.
        """
        with only_one(self._settings.store.state_dir, "serve"):
            alive = Heartbeat(heartbeat_file(self._settings.store.state_dir, "serve"))
            try:
                if self._broker is not None:
                    self._broker.start()
                    log.info("broker.started", pid=self._broker.pid)
                while not stop.is_set():
                    alive.beat()
                    self._look_at_broker()
                    self._look_at_children(alive)
                    self._announce_once()
                    stop.wait(LOOK_EVERY_S)
            finally:
                self._stop_all()
                alive.end()

    def _look_at_children(self, alive: Heartbeat) -> None:
        for child in self._children:
            child.end_if_silent(lambda name: self._excused(name, alive))
            code = child.look()
            if code == WRONG_SETTINGS and not self._announced:
                raise Misconfigured(f"the {child.name} refused its settings; its message stands above")

    def _excused(self, name: str, alive: Heartbeat) -> bool:
        """Nobody can write a sign of life, or the process waits for a broker that is away."""
        return not alive.written or (name in NEED_BROKER and not self._broker_is_there())

    def _broker_is_there(self) -> bool:
        if time.monotonic() >= self._broker_asked + ASK_BROKER_S:
            self._broker_asked = time.monotonic()
            try:
                ping(broker_url(self._settings))
                self._broker_answers = True
            except (Transient, Misconfigured):
                self._broker_answers = False
        return self._broker_answers

    def _look_at_broker(self) -> None:
        """Restart a dead broker; one that lives but does not answer gets five seconds."""
        if self._broker is None or time.monotonic() < self._broker_next:
            return
        self._broker_next = time.monotonic() + BROKER_EVERY_S
        if self._broker.healthy():
            self._broker_silent_looks = 0
            return
        self._broker_silent_looks += 1
        if self._broker.alive() and self._broker_silent_looks < BROKER_SILENT_LOOKS:
            return
        log.error("broker.restarting", alive=self._broker.alive())
        self._broker_silent_looks = 0
        try:
            self._broker.start()
        except (Transient, OSError) as error:
            log.error("broker.not_started", error=str(error))
            self._broker_next = time.monotonic() + 5 * BROKER_EVERY_S

    def _announce_once(self) -> None:
        if self._announced or time.monotonic() < self._announce_next:
            return
        ready = {child.name: child.ready() for child in self._children}
        listener, site = ready["listener"], ready["web"]
        if listener is None or site is None or any(facts is None for facts in ready.values()):
            return
        facts = {
            "ae_title": self._settings.listener.ae_title,
            "dicom_host": listener["host"],
            "dicom_port": listener["port"],
            "web_url": f"{'https' if self._settings.web.tls else 'http'}://{site['host']}:{site['port']}/",
            "state_dir": str(self._settings.store.state_dir.absolute()),
        }
        try:
            write_ready(ready_file(self._settings, "serve"), **facts)
            if self._ready_file is not None:
                write_ready(self._ready_file, **facts)
        except OSError as error:  # the disk is full: what runs goes on
            log.error("node.not_announced", error=brief(error))
            self._announce_next = time.monotonic() + ANNOUNCE_AGAIN_S
            return
        self._announced = True
        where = f"{facts['ae_title']}@{facts['dicom_host']}:{facts['dicom_port']}"
        sys.stdout.write(f"READY dicom={where} web={facts['web_url']} state={facts['state_dir']}\n")
        sys.stdout.flush()

    def _stop_all(self) -> None:
        log.info("node.stopping")
        withdraw(ready_file(self._settings, "serve"))
        if self._ready_file is not None:
            withdraw(self._ready_file)
        threads = [threading.Thread(target=child.stop) for child in self._children]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._broker is not None:
            self._broker.stop()
        log.info("node.stopped")


def _start(command: list[str], **more: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - this very program
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C goes to the supervisor only; the whole group can be ended
        **more,
    )


def _copy_lines(source: IO[bytes], prefix: bytes) -> None:
    """A process's output to our stderr, line by line so that lines of several processes do not mix."""
    for line in source:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.buffer.write(prefix + line)
            sys.stderr.buffer.flush()
