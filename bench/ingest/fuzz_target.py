"""One stream in, a connection to a receiver in this process, and the faults it showed out."""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.ingest import fuzz_pdus

STUCK_S = 20.0
CLEAN_EVERY = 500  # executions between two looks at the stored objects
EXPECTED = {"instance.conflict"}  # errors that are no fault of ours


def import_receiver() -> None:
    """Import everything that a connection runs through."""
    import importlib

    for name in (
        "listener.door.build",
        "workers.files.store",
        "workers.index.reconcile",
        "workers.index.sql",
        "listener.services.notifications",
    ):
        importlib.import_module(name)


class Target:
    """A receiver in this process, and what went wrong with it."""

    def __init__(self, folder: Path) -> None:
        import structlog

        from listener.door.build import build_receiver, reception_of
        from listener.meters import Meter
        from workers.config import parse
        from workers.files.store import open_files
        from workers.index.sql import open_index

        self.folder, self.executions, self.accepted = folder, 0, 0
        self.faults: Counter[str] = Counter()
        self.handled: Counter[str] = Counter()
        self.current = b""
        listener = {"acse_timeout_s": 2, "pdu_timeout_s": 2, "idle_timeout_s": 2}
        store = {"state_dir": str(folder / "state"), "min_free_bytes": 0}
        settings = parse({"listener": {**listener, "max_object_bytes": 1 << 20}, "store": store})
        structlog.configure(processors=[self._event], cache_logger_on_first_use=False)
        threading.excepthook = lambda args: self._fault("a thread ended by", args.exc_value)
        self.store, self.index = open_files(settings, durable=False), open_index(settings.index_url)
        self.rows: list[Any] = []
        reception = reception_of(settings, self.store, self.rows.append, Meter())
        self.receiver = build_receiver(settings, self.store, self.index, reception)
        self.listening = socket.create_server(("127.0.0.1", 0))

    def _event(self, _logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        import structlog

        name, error = str(event.get("event")), event.get("exc_info")
        error = sys.exc_info()[1] if error is True else error
        if isinstance(error, BaseException) or (method in ("error", "exception") and name not in EXPECTED):
            self._fault(name, error if isinstance(error, BaseException) else None)
        elif name == "association.failed":
            self.handled[str(event["error"])[:60]] += 1
        raise structlog.DropEvent

    def _fault(self, what: str, error: BaseException | None = None) -> None:
        frames = traceback.extract_tb(error.__traceback__)[-1:] if error else []
        where = "".join(f" {Path(frame.filename).name}:{frame.lineno}" for frame in frames)
        key = f"{what}: {type(error).__name__ if error else ''}{where}"
        self.faults[key] += 1
        if self.faults[key] == 1:
            (self.folder / f"fault-{len(self.faults)}").write_bytes(self.current)
            sys.stderr.write(f"FAULT {key}\n")
            if error:
                traceback.print_exception(error)

    def one(self, stream: bytes) -> None:
        """One connection from its first byte to the end of its threads."""
        from listener.associations.admission import parse_address

        self.current, self.executions = stream, self.executions + 1
        client = socket.create_connection(self.listening.getsockname())
        connection, peer = self.listening.accept()
        self.receiver.take(connection, parse_address(peer[0]))
        self.accepted += say(client, stream)
        client.close()
        deadline = time.monotonic() + STUCK_S
        while self.receiver.open_addresses():
            if time.monotonic() > deadline:
                self._fault("stuck: " + " | ".join(where_threads_are()))
                self.receiver.close(grace_s=0)
                break
            time.sleep(0.0002)
        if self.executions % CLEAN_EVERY == 0:
            self.look_at_store()

    def look_at_store(self) -> None:
        """What was acknowledged can be read back and indexed, and nothing else lies there."""
        from workers.files.index_rows import read_row

        rows, self.rows[:] = list(self.rows), []
        try:
            self.index.record_instances(rows)
        except Exception as error:
            self._fault("rows not indexed", error)
        for path in self.store.all_files():
            try:
                read_row(self.store.root, path)
            except Exception as error:
                self._fault("stored object not readable", error)
            path.unlink()
        if self.store.sweep_temporary():
            self._fault("temporary files left")
        for path in self.store.conflicts.iterdir():
            path.unlink()


def say(client: socket.socket, stream: bytes) -> bool:
    """Speak as a peer does: the request, its answer, and then the rest; whether the association was accepted. The first
    byte says in how many pieces."""
    client.settimeout(STUCK_S)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    pieces, pdus = stream[:1], fuzz_pdus.split(stream[1:])
    accepted = False
    with suppress(OSError):
        if pdus and pdus[0][:1] == b"\1" and len(pdus[0]) >= 74 and _is_whole(pdus[0]):
            client.sendall(pdus[0])
            head = client.recv(6, socket.MSG_WAITALL)
            if len(head) == 6:
                accepted = head[0] == 2
                client.recv(struct.unpack(">I", head[2:])[0], socket.MSG_WAITALL)
            pdus = pdus[1:]
        rest = b"".join(pdus)
        step = max(1, len(rest) // (1 + pieces[0] % 4)) if pieces else len(rest)
        for at in range(0, len(rest), max(step, 1)):
            client.sendall(rest[at : at + step])
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass
    return accepted


def _is_whole(pdu: bytes) -> bool:
    return len(pdu) == 6 + int(struct.unpack_from(">I", pdu, 2)[0])


def where_threads_are() -> list[str]:
    """Innermost own places of all other threads."""
    own = threading.get_ident()
    found = []
    for ident, frame in sys._current_frames().items():
        if ident != own:
            places = [f"{Path(f.filename).name}:{f.lineno}" for f in traceback.extract_stack(frame)]
            found.append("<".join(places[-1:-4:-1]))
    return found
