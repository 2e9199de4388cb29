"""Audit messages of every receiving process in, messages at a TLS syslog server (RFC 5425) out.

A message is a small file until it is sent: it outlasts a server that is away, and a restart. When the spool is full the
oldest go first, and that is counted and logged.
"""

from __future__ import annotations

import itertools
import os
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from workers.audit import messages
from workers.audit.messages import AuditSource, Configured, RemoteNode, Transfer, UserSign, Viewing
from workers.listing import files_in
from workers.log import brief, get_logger
from workers.remote import tls
from workers.settings import AuditSettings, NodeSettings

log = get_logger(__name__)

SEND_EVERY_S = 1.0
CONNECT_S = 10.0
ALERT_PAUSE_S = 60.0  # repeated alerts about one peer are reported once in this time for each reason
REMEMBERED_ALERTS = 1000
PRIORITY = 10 * 8 + 5  # RFC 5424 section 6.2.1: security messages, notice
MESSAGE_ID = "DICOM+RFC3881"  # PS3.15 section A.6.2


class Auditor(Protocol):
    """Takes what the node reports for the audit."""

    def transferred(self, peer: RemoteNode, transfer: Transfer, *, complete: bool) -> None: ...

    def alert(self, peer: RemoteNode, reason: str) -> None: ...

    def queried(self, peer: RemoteNode, sop_class_uid: str, keys: bytes) -> None: ...

    def viewed(self, viewing: Viewing) -> None: ...

    def signed(self, sign: UserSign) -> None: ...

    def configured(self, change: Configured) -> None: ...


class NoAudit:
    """Audit is switched off."""

    def transferred(self, peer: RemoteNode, transfer: Transfer, *, complete: bool) -> None:
        pass

    def alert(self, peer: RemoteNode, reason: str) -> None:
        pass

    def queried(self, peer: RemoteNode, sop_class_uid: str, keys: bytes) -> None:
        pass

    def viewed(self, viewing: Viewing) -> None:
        pass

    def signed(self, sign: UserSign) -> None:
        pass

    def configured(self, change: Configured) -> None:
        pass


class SpoolingAuditor:
    """Writes messages into the spool; any number of processes may. Never raises: receiving goes on without audit."""

    def __init__(self, settings: NodeSettings, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        source = settings.audit.source_id or settings.listener.ae_title
        self._source = AuditSource(settings.listener.ae_title, os.getpid(), source)
        self._spool = AuditSpool(settings.store.state_dir, settings.audit)
        self._now = now
        self._lock = threading.Lock()
        self._alerts: OrderedDict[tuple[RemoteNode, str], float] = OrderedDict()

    def activity(self, *, started: bool) -> None:
        self._put(messages.application_activity(self._source, self._now(), started=started))

    def transferred(self, peer: RemoteNode, transfer: Transfer, *, complete: bool) -> None:
        self._put(messages.instances_transferred(self._source, peer, transfer, self._now(), complete=complete))

    def alert(self, peer: RemoteNode, reason: str) -> None:
        key, now = (peer, reason), time.monotonic()
        with self._lock:
            if now - self._alerts.get(key, -ALERT_PAUSE_S) < ALERT_PAUSE_S:
                return
            self._alerts[key] = now
            while len(self._alerts) > REMEMBERED_ALERTS:
                self._alerts.popitem(last=False)
        self._put(messages.security_alert(self._source, peer, reason, self._now()))

    def queried(self, peer: RemoteNode, sop_class_uid: str, keys: bytes) -> None:
        self._put(messages.query(self._source, peer, sop_class_uid, keys, self._now(), answered=True))

    def viewed(self, viewing: Viewing) -> None:
        self._put(messages.instances_accessed(self._source, viewing, self._now()))

    def signed(self, sign: UserSign) -> None:
        self._put(messages.user_authentication(self._source, sign, self._now()))

    def configured(self, change: Configured) -> None:
        self._put(messages.configuration_changed(self._source, change, self._now()))

    def _put(self, text: str) -> None:
        try:
            self._spool.put(frame(text, self._now(), socket.gethostname(), os.getpid()))
        except (OSError, ValueError) as error:
            log.error("audit.not_written", error=type(error).__name__)


def auditor_of(settings: NodeSettings) -> Auditor:
    """What a receiving process reports to."""
    return SpoolingAuditor(settings) if settings.audit.host else NoAudit()


class AuditSpool:
    """Messages that wait, one file each, named so that they sort by time."""

    def __init__(self, state_dir: Path, settings: AuditSettings) -> None:
        self._folder = state_dir.absolute() / "audit"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._most = settings.spool_messages
        self._numbers = itertools.count()
        self.dropped = 0

    def put(self, framed: bytes) -> None:
        name = f"{time.time_ns():020}-{os.getpid()}-{next(self._numbers)}"
        temporary = self._folder / f".{name}.tmp"
        temporary.write_bytes(framed)
        temporary.replace(self._folder / f"{name}.msg")

    def waiting(self) -> list[Path]:
        """Oldest first; drops what is beyond the limit. Raises OSError: the folder cannot be read now."""
        found = files_in(self._folder, ending=".msg")
        for path in found[: -self._most]:
            path.unlink(missing_ok=True)
            self.dropped += 1
        if len(found) > self._most:
            log.error("audit.dropped", messages=len(found) - self._most, in_all=self.dropped)
        return found[-self._most :]


class Sender:
    """Empties the spool into the server; one process does this."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings.audit
        self._spool = AuditSpool(settings.store.state_dir, settings.audit)
        self._connection: ssl.SSLSocket | None = None
        self._away = False
        self._not_given: set[str] = set()
        self._sending = threading.Lock()  # the last run, at the stop, may meet one that still goes on

    def run(self) -> int:
        """Send what waits; how many messages. A server that is away is logged once."""
        with self._sending:
            return self._send_waiting()

    def _send_waiting(self) -> int:
        sent = 0
        for path in self._spool.waiting():
            message = self._read(path)
            if message is None:
                continue
            try:
                connection = self._connected()
                connection.sendall(message)
            except OSError as error:
                self.close()
                if not self._away:
                    log.warning("audit.server_away", error=type(error).__name__)
                self._away = True
                return sent
            path.unlink(missing_ok=True)
            sent += 1
        return sent

    def _read(self, path: Path) -> bytes | None:
        """None: the disk does not give it; the messages behind it do not wait for that."""
        try:
            return path.read_bytes()
        except OSError as error:
            if path.name not in self._not_given:  # one line for each
                log.error("audit.message_not_readable", error=brief(error))
            self._not_given.add(path.name)
            return None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connected(self) -> ssl.SSLSocket:
        if self._connection is not None and _closed_by_peer(self._connection):
            self.close()
        if self._connection is None:
            host = self._settings.host or ""
            if self._settings.tls is None:
                raise ConnectionError("audit.tls is not set")
            context = tls.client_context(self._settings.tls)
            plain = socket.create_connection((host, self._settings.port), timeout=CONNECT_S)
            try:
                self._connection = context.wrap_socket(plain, server_hostname=host)
            except OSError:
                plain.close()
                raise
            if self._away:
                log.info("audit.server_back")
            self._away = False
        return self._connection


def _closed_by_peer(connection: ssl.SSLSocket) -> bool:
    """A syslog server never speaks: what can be read is its end of the connection."""
    connection.settimeout(0.0)
    try:
        return connection.recv(1) == b""
    except (ssl.SSLWantReadError, BlockingIOError):
        return False
    except OSError:
        return True
    finally:
        connection.settimeout(CONNECT_S)


def frame(text: str, at: datetime, host: str, process_id: int) -> bytes:
    """A syslog message with its length before it (RFC 5424 section 6, RFC 5425 section 4.3)."""
    header = f"<{PRIORITY}>1 {at.isoformat(timespec='milliseconds')} {host} ICANSEE {process_id} {MESSAGE_ID} - "
    body = header.encode("ascii", "replace") + b"\xef\xbb\xbf" + text.encode()
    return str(len(body)).encode() + b" " + body
