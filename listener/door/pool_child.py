"""One receiving process of a pool: sockets in over a channel, durable files out, rows and ends reported back."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import threading
from collections.abc import Callable, Sequence

from listener.associations.admission import parse_address
from listener.associations.receiver import OpenAssociation, Receiver
from listener.door.build import build_receiver, reception_of
from listener.door.lazy_index import LazyIndex
from listener.door.pool_channel import MESSAGE_BYTES, rows_in_parts
from listener.door.repeating import repeating
from listener.door.small_process import settle
from listener.meters import WRITE_EVERY_S, Meter, MeterFolder
from listener.node.settings_descriptor import settings_from_descriptor
from workers import log as logs
from workers.files.store import open_files
from workers.heartbeat import BEAT_S, Pulse
from workers.index.writer import IndexWriter
from workers.log import brief
from workers.ports import InstanceRow
from workers.settings import LogSettings, NodeSettings

log = logs.get_logger(__name__)

REAP_MS = 20  # while an association is open: the pool counts it until its end is reported
IDLE_MS = 250
FLUSH_S = 10.0
UNFINISHED = 3  # exit code: an object may be stored whose row was not reported


def main(channel_fd: int, settings_fd: int, *, durable: bool = True) -> None:
    """Run until the pool says stop or is gone. A fault ends the process: the pool starts another one and looks for rows
    that may be missing. A process that no longer reads its channel would still be given connections."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C and a SIGTERM to the group are for the parent, which tells us
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    logs.configure(LogSettings(), process="listener")  # whatever is wrong with the settings must not quote them
    try:
        finished = _run(socket.socket(fileno=channel_fd), settings_from_descriptor(settings_fd), durable=durable)
    except Exception:
        log.exception("listener.child_failed")
        finished = False
    if not finished:
        os._exit(UNFINISHED)  # at once: threads that hang on the disk, or still serve, would keep it


def _run(channel: socket.socket, settings: NodeSettings, *, durable: bool) -> bool:
    """Whether everything that was stored is reported."""
    logs.configure(settings.log, process="listener")
    sending = threading.Lock()

    def send(message: str) -> None:
        with sending:
            channel.send(message.encode())

    def report_rows(rows: Sequence[InstanceRow]) -> None:
        try:
            for message in rows_in_parts(rows):
                send(message)
        except OSError as error:  # not the rows' fault: the pool is gone, or there is no memory for the message
            log.error("listener.rows_not_reported", rows=len(rows), error=brief(error))
            writer.incomplete.set()

    ended: list[int] = []
    writer = IndexWriter(report_rows)
    writer.start()
    store, meter, meters = open_files(settings, durable=durable), Meter(), MeterFolder(settings.store.state_dir)

    def on_end(entry: OpenAssociation) -> None:
        ended.append(entry.ticket)

    alive = Pulse(BEAT_S)

    def report() -> None:
        if alive.due():
            send(json.dumps({"alive": True}))
        if ended:
            send(json.dumps({"ended": [ended.pop() for _ in range(len(ended))]}))
        if writer.incomplete.is_set():
            writer.incomplete.clear()
            send(json.dumps({"incomplete": True}))

    reception = reception_of(settings, store, writer.put, meter, writer.incomplete.set)
    receiver = build_receiver(settings, store, LazyIndex(settings), reception, on_end)
    settle()
    with repeating("meters", lambda: meters.write(meter), every_s=WRITE_EVERY_S):
        grace_s = _serve(channel, receiver, ended, report)
        receiver.close(grace_s=settings.listener.stop_grace_s if grace_s is None else grace_s)
    flushed = writer.close(timeout_s=FLUSH_S)
    with contextlib.suppress(OSError):  # a number for a chart
        meters.write(meter)
    # looked at last: an object that was finished meanwhile came behind the end of the writer
    return flushed and not reception.finishing and not writer.incomplete.is_set()


def _serve(channel: socket.socket, receiver: Receiver, ended: list[int], report: Callable[[], None]) -> float | None:
    """Take sockets until told to stop: the grace in seconds; None when the pool is gone."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    while True:
        arrived = poll.poll(REAP_MS if receiver.open_addresses() else IDLE_MS)
        receiver.reap()
        try:
            report()
        except OSError:
            return None
        if not arrived:
            continue
        message, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 1)
        if not message:
            return None
        order = json.loads(message)
        if "stop" in order:
            return float(order["stop"])
        if not descriptors:  # this process has no room for one more
            log.error("connection.failed", error="too many open files")
            ended.append(order["ticket"])
            continue
        connection = socket.socket(fileno=descriptors[0])
        try:
            address = parse_address(connection.getpeername()[0])
        except OSError:  # gone before we looked
            connection.close()
            ended.append(order["ticket"])
            continue
        receiver.take(connection, address, ticket=order["ticket"])
