"""The receiving process: sockets in, durable files and index rows out.

Parts: an accept loop with admission by address, a Receiver that serves associations (here or in child processes), the
FileStore, one IndexWriter behind the answers, and a scan at start that writes the rows a crash cost. Decides nothing
about what it stores.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any

from listener.associations import admission
from listener.door.build import build_receiver, reception_of
from listener.door.lazy_index import LazyIndex
from listener.door.port import ConnectionServer, accept_until, listening_socket
from listener.door.repeating import repeating
from listener.door.ways_in import ways_in
from listener.meters import WRITE_EVERY_S, Meter, MeterFolder
from listener.receiving.reception import Reception
from listener.services import commitment
from triage.errors import Misconfigured, Transient
from workers.arrival import pacs_count
from workers.audit.spool import SEND_EVERY_S, Sender, SpoolingAuditor, auditor_of
from workers.backoff import Backoff
from workers.files.hosts import BEAT_EVERY_S, Hosts
from workers.files.store import FileStore, open_files
from workers.heartbeat import Heartbeat, heartbeat_file
from workers.index.conflicts import ConflictWatch
from workers.index.deliveries import open_delivery_table
from workers.index.rebuilding import is_rebuilding, rebuilding_since
from workers.index.reconcile import reconcile
from workers.index.writer import IndexWriter
from workers.log import brief, get_logger
from workers.operations.retention import retention_of
from workers.ports import InstanceRow
from workers.remote import tls
from workers.settings import NodeSettings

log = get_logger(__name__)

SCANS = Backoff(first_s=5.0, longest_s=300.0)  # between scans that may well fail again: each looks into every folder
FLUSH_S = 10.0
CONFLICTS_EVERY_S = 2.0
RETENTION_EVERY_S = 600.0

OnStored = Callable[[Sequence[InstanceRow]], object]


def run(
    settings: NodeSettings,
    *,
    stop: threading.Event,
    on_stored: OnStored | None = None,
    ready: Callable[[int], None] | None = None,
    durable: bool = True,
) -> None:
    """Receive until ``stop`` is set; then finish open associations, write the waiting rows and return.

    Args:
        settings: the node's settings; port 0 takes any free port.
        stop: set by the caller, e.g. on SIGTERM.
        on_stored: called with batches of rows after they are in the index, in a thread of the listener.
        ready: called with the port once connections are accepted.
        durable: False only in benchmarks: objects are answered without a flush.

    Raises:
        Misconfigured: the address cannot be used, or the index settings are wrong.
    """
    with contextlib.ExitStack() as parts:
        listening = parts.enter_context(listening_socket(settings.listener))
        parts.enter_context(_auditing(settings))
        store = open_files(settings, durable=durable)
        parts.callback(store.prepared.close)
        index = LazyIndex(settings)
        hosts = Hosts(settings.store.files_dir / "hosts") if settings.store.shared_dir else None
        writer = parts.enter_context(_writing(index, on_stored, hosts))
        meter, meters = Meter(), MeterFolder(settings.store.state_dir)
        meters.begin()
        reception = reception_of(settings, store, writer.put, meter, writer.incomplete.set)
        server = _connection_server(settings, store, index, writer, reception, durable=durable)
        parts.callback(_close, server, reception, writer, settings.listener.stop_grace_s)
        auditor = auditor_of(settings)
        parts.enter_context(_scanning(store, index, writer, hosts))
        if hosts is not None:
            parts.enter_context(repeating("hosts", _look_after(hosts, writer), every_s=BEAT_EVERY_S))
        parts.enter_context(repeating("meters", _numbers(meter, meters, writer), every_s=WRITE_EVERY_S))
        for name, work, every_s in _upkeep(settings, store, index):
            parts.enter_context(repeating(name, work, every_s=every_s))
        parts.enter_context(ways_in(settings, reception))
        port = int(listening.getsockname()[1])
        log.info("listener.started", host=settings.listener.host, port=port, ae_title=settings.listener.ae_title)
        if not settings.listener.peers and not admission.loopback_only(settings.listener):
            log.warning("listener.nobody_admitted", remedy="list the senders under listener.peers")
        if ready is not None:
            ready(port)
        alive = parts.enter_context(Heartbeat(heartbeat_file(settings.store.state_dir, "listener")))
        accept_until(stop, listening, settings.listener, server, meter, auditor, alive.beat)
    log.info("listener.stopped")


def _connection_server(
    settings: NodeSettings,
    store: FileStore,
    index: LazyIndex,
    writer: IndexWriter,
    reception: Reception,
    *,
    durable: bool,
) -> ConnectionServer:
    """Who serves the connections: this process, or several of its children."""
    if settings.listener.processes > 1:
        if settings.listener.tls is not None:
            tls.server_context(settings.listener.tls)  # complain here rather than in every child
        from listener.door.pool import ProcessPool

        return ProcessPool(settings, writer.put, writer.incomplete.set, durable=durable)
    return build_receiver(settings, store, index, reception)


def _close(server: ConnectionServer, reception: Reception, writer: IndexWriter, grace_s: float) -> None:
    server.close(grace_s=grace_s)
    if reception.finishing:  # an object hangs on the disk: its row may come after the writer has ended
        log.error("listener.object_unfinished", objects=reception.finishing, remedy="the scan at the next start")
        writer.incomplete.set()


@contextlib.contextmanager
def _auditing(settings: NodeSettings) -> Iterator[None]:
    """Report start and stop, and send the audit messages of all receiving processes, while the listener runs."""
    if settings.audit.host is None:
        yield
        return
    own, sender = SpoolingAuditor(settings), Sender(settings)
    own.activity(started=True)
    try:
        with repeating("audit", sender.run, every_s=SEND_EVERY_S):
            yield
    finally:
        own.activity(started=False)
        sender.run()
        sender.close()


def _look_after(hosts: Hosts, writer: IndexWriter) -> Callable[[], None]:
    """Tell the other hosts that we live, and scan for what a host that died had not yet put into the index."""

    def look() -> None:
        hosts.beat()
        if lost := hosts.lost():
            log.error("host.lost", hosts=lost, remedy="a scan of the shared store")
            writer.incomplete.set()

    return look


def _numbers(meter: Meter, meters: MeterFolder, writer: IndexWriter) -> Callable[[], None]:
    def write() -> None:
        meter.set("index_rows_waiting", writer.waiting)
        meter.set("index_incomplete", int(writer.incomplete.is_set()))
        meters.write(meter)

    return write


def _delete_old(settings: NodeSettings, index: LazyIndex, store: FileStore) -> None:
    opened = index.opened()  # also brings the tables up to date
    table = open_delivery_table(settings.index_url) if settings.results.destinations else None
    try:
        retention_of(settings, opened, store, table).run()
    finally:
        if table is not None:
            table.close()


def _upkeep(
    settings: NodeSettings, store: FileStore, index: LazyIndex
) -> Iterator[tuple[str, Callable[[], object], float]]:
    """(name, work, seconds between) of what goes on beside receiving; each in a thread of its own."""
    yield "conflicts", ConflictWatch(store, index.record_conflicts).look, CONFLICTS_EVERY_S
    if settings.commitment.enabled:
        yield "commitment", commitment.Reporter(settings, store).run_due, commitment.LOOK_EVERY_S
    if settings.store.retention_days is not None or settings.store.clean_below_bytes is not None:
        yield "retention", lambda: _delete_old(settings, index, store), RETENTION_EVERY_S
    if settings.arrival.query is not None:
        counter = pacs_count.PacsCounter(
            settings.arrival.query, settings.listener.ae_title, index, auditor=auditor_of(settings)
        )
        yield "pacs-query", counter.run, pacs_count.LOOK_EVERY_S


@contextlib.contextmanager
def _writing(index: LazyIndex, on_stored: OnStored | None, hosts: Hosts | None) -> Iterator[IndexWriter]:
    writer = IndexWriter(index.record_instances, on_recorded=on_stored)
    writer.start()
    try:
        yield writer
    finally:
        if not writer.close(timeout_s=FLUSH_S):
            log.error("index.not_flushed", waiting=writer.waiting, remedy="the scan at the next start writes them")
        elif hosts is not None:
            hosts.goodbye()


@contextlib.contextmanager
def _scanning(store: FileStore, index: LazyIndex, writer: IndexWriter, hosts: Hosts | None) -> Iterator[None]:
    """Scan in the background at start, and again whenever the writer had to drop rows."""
    stop = threading.Event()
    thread = threading.Thread(target=_scan, args=(store, index, writer, stop, hosts), name="reconcile", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(FLUSH_S)
        if thread.is_alive():
            writer.incomplete.set()  # it hangs on the file system: what it was to find is not in the index


def _scan(
    store: FileStore, index: LazyIndex, writer: IndexWriter, stop: threading.Event, hosts: Hosts | None = None
) -> None:
    writer.incomplete.set()  # the first scan is still to come
    outcome, pause_s, again_at = Scan.WELL, SCANS.first_s, math.inf
    while not stop.is_set():
        wanted = writer.incomplete.is_set() or is_rebuilding(store.root.parent)
        if wanted or time.monotonic() >= again_at:
            outcome = _scan_once(store, index, writer, stop, hosts)
            hopeful = outcome in (Scan.WELL, Scan.AWAY)
            pause_s = SCANS.first_s if hopeful else SCANS.next_s(pause_s)
            again_at = time.monotonic() + pause_s if outcome is Scan.UNREAD else math.inf
        stop.wait(pause_s if outcome is Scan.FAULT else SCANS.first_s)


class Scan(Enum):
    """How a scan ended. WELL: everything was looked at, or it was stopped. UNREAD: all but files that the disk does not
    give; later more. AWAY: index or store are not there at the moment. FAULT: of the program, so that another one soon
    would be of no use."""

    WELL, UNREAD, AWAY, FAULT = range(4)


def _scan_once(
    store: FileStore, index: LazyIndex, writer: IndexWriter, stop: threading.Event, hosts: Hosts | None
) -> Scan:
    """``incomplete`` stays set unless the scan came to its end."""
    writer.incomplete.clear()  # before the scan: what is dropped meanwhile sets it again
    finished, outcome = False, Scan.FAULT
    try:
        claims = hosts.claims() if hosts is not None else frozenset()
        with _reported("store.sweep_failed"):
            log.info("store.swept", temporary_files=store.sweep_temporary())
        index.verify()
        since = rebuilding_since(store.root.parent)
        report = reconcile(store, index, stop=stop, lost=since is not None)
        unread = report.unread + (index.restore(store.root.parent, since) if report.finished else 0)
        finished, outcome = report.finished, Scan.UNREAD if unread else Scan.WELL
        if finished and hosts is not None:
            hosts.settle(claims)
    except (Transient, OSError) as error:
        outcome = Scan.AWAY
        log.warning("store.scan_waits", error=brief(error))
    except Misconfigured as error:  # objects are received all the same: the scan after the remedy writes their rows
        log.error("store.scan_failed", error=str(error))
    except Exception:  # reception goes on
        log.exception("store.scan_failed")
    finally:
        if not finished:
            writer.incomplete.set()
    return outcome


@contextlib.contextmanager
def _reported(event: str, **facts: Any) -> Iterator[None]:
    try:
        yield
    except Exception:
        log.exception(event, **facts)
