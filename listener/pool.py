"""Several receiving processes behind one port: this process accepts, admits and hands each socket to the idlest child.

A child gets sockets over a unix socket (SCM_RIGHTS) and sends back rows of durable objects and the ends of connections.
The rows go to the one index writer, here. A child that dies takes its associations with it and is replaced; rows that
were on their way are found by the scan, which its death asks for.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from listener.admission import Address
from listener.meters import MeterFolder
from workers.log import get_logger
from workers.ports import InstanceRow
from workers.settings import NodeSettings

log = get_logger(__name__)

CHILD = "child"  # what listener.door is told when it is to be one
MESSAGE_BYTES = 192 << 10  # fits the default buffer of a unix socket; a full batch of rows has some 100 kB
RESTART_PAUSE_S = 1.0
END_WAIT_S = 5.0

ROWS = TypeAdapter(list[InstanceRow])


@dataclass(eq=False)
class _Child:
    process: subprocess.Popen[bytes]
    channel: socket.socket
    open: dict[int, Address] = field(default_factory=dict)


class ProcessPool:
    """Serves connections in ``settings.listener.processes`` children. Is accepting.Takes.

    Args:
        settings: of the node; sent to each child.
        record: takes each row of a durable object.
        on_loss: called when a child died: rows may be missing in the index.
    """

    def __init__(
        self, settings: NodeSettings, record: Callable[[InstanceRow], None], on_loss: Callable[[], None]
    ) -> None:
        self._settings, self._record, self._on_loss = settings, record, on_loss
        self._meters = MeterFolder(settings.store.state_dir)
        self._tickets = itertools.count()
        self._lock = threading.Lock()
        self._closing = False
        self._threads: list[threading.Thread] = []
        self._children: list[_Child | None] = [None] * settings.listener.processes
        for place in range(len(self._children)):
            self._start(place)

    def take(self, connection: socket.socket, address: Address) -> None:
        with connection, self._lock:
            children = [child for child in self._children if child is not None]
            if not children:
                log.error("connection.failed", address=str(address), error="no receiving process is alive")
                return
            child = min(children, key=lambda one: len(one.open))
            ticket = next(self._tickets)
            try:
                socket.send_fds(child.channel, [json.dumps({"ticket": ticket}).encode()], [connection.fileno()])
            except OSError as error:
                log.error("connection.failed", address=str(address), error=str(error.strerror))
                return
            child.open[ticket] = address

    def open_addresses(self) -> list[Address]:
        with self._lock:
            return [address for child in self._children if child is not None for address in child.open.values()]

    def reap(self) -> None:
        pass  # the threads that listen to the children do

    def close(self, *, grace_s: float) -> None:
        with self._lock:
            self._closing = True
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

    def _start(self, place: int) -> None:
        """Start a child in this place, unless the pool is closing.

        Raises:
            OSError: there is no memory for it, or no descriptor.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, contextlib.ExitStack() as undo:
            undo.callback(ours.close)
            # settings go through the channel, not the command line: they may hold a password
            command = [sys.executable, "-m", "listener.door", CHILD, str(theirs.fileno())]
            with self._lock:  # close() sees it, or it is not started
                if self._closing:
                    return
                process = subprocess.Popen(command, pass_fds=[theirs.fileno()])  # noqa: S603 - our own program
                child = self._children[place] = _Child(process, ours)
            undo.pop_all()
        with contextlib.suppress(OSError):  # it is dead already: the thread finds out
            ours.send(self._settings.node().model_dump_json().encode())
        thread = threading.Thread(target=self._listen, args=(place, child), name=f"pool-{process.pid}", daemon=True)
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        thread.start()

    def _listen(self, place: int, child: _Child) -> None:
        """Hear what a child reports until it ends; replace it unless the pool is closing."""
        with contextlib.suppress(OSError):
            while message := child.channel.recv(MESSAGE_BYTES):
                self._hear(child, json.loads(message))
        child.process.wait()
        with self._lock:
            self._children[place] = None
            closing = self._closing
            child.channel.close()
        if closing:
            if child.process.returncode:  # killed, or it could not finish an object
                self._on_loss()
            return
        log.error("listener.child_died", child=child.process.pid, code=child.process.returncode)
        self._on_loss()
        self._bury(child.process.pid)
        self._replace(place)

    def _bury(self, pid: int) -> None:
        try:
            self._meters.bury(pid)
        except OSError as error:  # numbers for a chart must not cost a receiving process
            log.warning("listener.meters_not_added", child=pid, error=str(error.strerror))

    def _replace(self, place: int) -> None:
        """Start another child; try until there is one."""
        while True:
            time.sleep(RESTART_PAUSE_S)
            try:
                return self._start(place)
            except OSError as error:
                log.error("listener.child_not_started", error=str(error.strerror))

    def _hear(self, child: _Child, message: dict[str, Any]) -> None:
        for row in ROWS.validate_python(message.get("rows", [])):
            self._record(row)
        with self._lock:
            for ticket in message.get("ended", ()):
                child.open.pop(ticket, None)
