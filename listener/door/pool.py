"""Several receiving processes behind one port. This process accepts, admits, and passes each socket to the child with
the fewest connections.

A child gets sockets over a unix socket (SCM_RIGHTS) and sends back rows of durable objects and the ends of connections.
The rows go to the one index writer, here. A child that dies, or sends a message that cannot be read, is ended and
replaced; its associations break. A scan starts then and finds the rows that the child had not reported.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from listener.associations.admission import Address
from listener.door.pool_channel import MESSAGE_BYTES, rows_in
from listener.meters import MeterFolder
from listener.node.settings_descriptor import settings_to_descriptor
from workers.backoff import Backoff
from workers.heartbeat import SILENT_S
from workers.log import brief, get_logger
from workers.ports import InstanceRow
from workers.settings import NodeSettings

log = get_logger(__name__)

CHILD = "child"  # the argument that makes listener.door.program a child
NOT_DURABLE = "not-durable"  # and this one is to answer without a flush
RESTART = Backoff(first_s=1.0, longest_s=30.0)  # between the end of a child and the start of the next one
STEADY_S = 60.0
END_WAIT_S = 5.0
KILL_SILENT_S = 2 * SILENT_S  # a child says something every BEAT_S seconds; one that does not is stopped or wedged


@dataclass(eq=False)
class _Child:
    process: subprocess.Popen[bytes]
    channel: socket.socket
    open: dict[int, Address] = field(default_factory=dict)
    heard: float = field(default_factory=time.monotonic)  # when it last said something


class ProcessPool:
    """Serves connections in ``settings.listener.processes`` children. Is port.ConnectionServer.

    Args:
        settings: of the node; sent to each child.
        record: takes each row of a durable object.
        on_loss: called when rows may be missing in the index: a child died, or could not report them.
        durable: False only in benchmarks: the children answer without a flush.

    Raises:
        OSError, RuntimeError: there is no memory for the children, or no descriptor, or no thread.
    """

    def __init__(
        self,
        settings: NodeSettings,
        record: Callable[[InstanceRow], None],
        on_loss: Callable[[], None],
        *,
        durable: bool = True,
    ) -> None:
        self._settings, self._record, self._on_loss = settings, record, on_loss
        self._words = [CHILD] if durable else [CHILD, NOT_DURABLE]
        self._meters = MeterFolder(settings.store.state_dir)
        self._tickets = itertools.count()
        self._lock = threading.Lock()
        self._closing = False
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._children: list[_Child | None] = [None] * settings.listener.processes
        for place in range(len(self._children)):
            child = self._start(place)
            thread = threading.Thread(target=self._keep, args=(place, child), name=f"pool-{place}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def take(self, connection: socket.socket, address: Address) -> None:
        with connection, self._lock:
            ticket = next(self._tickets)
            order = json.dumps({"ticket": ticket}).encode()
            for child in sorted(filter(None, self._children), key=lambda one: len(one.open)):
                # a child that is dead or hangs unnoticed refuses: try the next one
                with contextlib.suppress(OSError):
                    socket.send_fds(child.channel, [order], [connection.fileno()], socket.MSG_DONTWAIT)
                    child.open[ticket] = address
                    return
            log.error("connection.failed", address=str(address), error="no receiving process takes it")

    def open_addresses(self) -> list[Address]:
        with self._lock:
            return [address for child in self._children if child is not None for address in child.open.values()]

    def reap(self) -> None:
        """A child that says nothing for KILL_SILENT_S is ended, and its thread replaces it."""
        for child in self._silent(KILL_SILENT_S):
            log.error("listener.child_silent", child=child.process.pid, seconds=KILL_SILENT_S)
            child.heard = time.monotonic()  # the next attempt, should this one fail, after as long
            child.process.kill()

    def works(self) -> bool:
        return not self._silent(SILENT_S)

    def _silent(self, seconds: float) -> list[_Child]:
        latest = time.monotonic() - seconds
        with self._lock:
            return [child for child in self._children if child is not None and child.heard < latest]

    def close(self, *, grace_s: float) -> None:
        with self._lock:
            self._closing = True
            self._stopping.set()
            children = [child for child in self._children if child is not None]
        for child in children:
            with contextlib.suppress(OSError):
                child.channel.send(json.dumps({"stop": grace_s}).encode())
        deadline = time.monotonic() + grace_s + END_WAIT_S
        for child in children:
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("listener.child_killed", child=child.process.pid)
                child.process.kill()
        for thread in self._threads:
            thread.join(END_WAIT_S)
            if thread.is_alive():  # its child hangs on the disk: rows may be missing
                self._on_loss()

    def _start(self, place: int) -> _Child | None:
        """Start a child in this place. None: the pool is closing.

        Raises:
            OSError: there is no memory for it, or no descriptor.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, contextlib.ExitStack() as undo:
            closes = undo.enter_context(contextlib.ExitStack())
            closes.callback(ours.close)
            settings = settings_to_descriptor(self._settings.node())
            undo.callback(os.close, settings)
            inherited = [theirs.fileno(), settings]
            command = [sys.executable, "-P", "-m", "listener.door.program", *self._words, *map(str, inherited)]
            with self._lock:  # close() sees it, or it is not started
                if self._closing:
                    return None
                process = subprocess.Popen(command, pass_fds=inherited)  # noqa: S603 - our own program
                child = self._children[place] = _Child(process, ours)
            closes.pop_all()
        return child

    def _keep(self, place: int, child: _Child | None) -> None:
        """Read from one child after the other, until the pool is closed."""
        pause_s = RESTART.first_s
        while child is not None:
            started = time.monotonic()
            complete = self._read_until_end(child)
            with self._lock:
                self._children[place] = None
                child.channel.close()
                closing = self._closing
            if closing:
                if child.process.returncode or not complete:  # killed, or an object or a row was not finished
                    self._on_loss()
                return
            log.error("listener.child_died", child=child.process.pid, code=child.process.returncode)
            self._on_loss()
            self._add_numbers_of(child.process.pid)
            pause_s = RESTART.first_s if time.monotonic() - started > STEADY_S else pause_s
            child = self._replaced(place, pause_s)
            pause_s = RESTART.next_s(pause_s)

    def _read_until_end(self, child: _Child) -> bool:
        """Read the messages of a child until it has ended. True: it reported everything.

        A child whose messages cannot be read is ended.
        """
        complete = False
        try:
            while message := child.channel.recv(MESSAGE_BYTES):
                self._apply(child, json.loads(message))
            complete = True
        except Exception as error:  # of any kind: only this thread replaces the child
            if not isinstance(error, OSError):
                log.exception("listener.child_unheard", child=child.process.pid)
            child.process.kill()
        child.process.wait()
        return complete

    def _add_numbers_of(self, pid: int) -> None:
        try:
            self._meters.add_finished_process(pid)
        except OSError as error:  # numbers for a chart must not cost a receiving process
            log.warning("listener.meters_not_added", child=pid, error=str(error.strerror))

    def _replaced(self, place: int, pause_s: float) -> _Child | None:
        """Another child; tries until there is one. None: the pool is closing."""
        while not self._stopping.wait(pause_s):
            try:
                return self._start(place)
            except Exception as error:  # no memory, no descriptor, no process number: later
                log.error("listener.child_not_started", error=brief(error))
                pause_s = RESTART.next_s(pause_s)
        return None

    def _apply(self, child: _Child, message: dict[str, Any]) -> None:
        child.heard = time.monotonic()
        for row in rows_in(message):
            self._record(row)
        if message.get("incomplete"):
            self._on_loss()
        with self._lock:
            for ticket in message.get("ended", ()):
                child.open.pop(ticket, None)
