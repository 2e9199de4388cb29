"""A receiver of webhooks, written from docs/integration.md alone: it imports nothing of the program."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WINDOW_S = 300


class Receiver:
    """Stored alerts by id. status: answered instead of anything else."""

    def __init__(self, key: str, now: Callable[[], float] = time.time) -> None:
        self.key, self.now = key, now
        self.alerts: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.status: int | None = None
        self._seen: set[str] = set()

    def answer(self, headers: dict[str, str], body: bytes) -> int:
        self.requests.append((headers, body))
        found = self.status or self._judged(headers, body)
        self.answers.append(found)
        return found

    def _judged(self, headers: dict[str, str], body: bytes) -> int:
        stamp = headers.get("ICANSee-Timestamp", "")
        wanted = "v1=" + hmac.new(self.key.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        given = headers.get("ICANSee-Signature", "").split(",")
        if not any(hmac.compare_digest(wanted, one) for one in given):
            return 401
        if abs(self.now() - int(stamp)) > WINDOW_S:
            return 401
        if wanted in self._seen:
            return 409
        self._seen.add(wanted)
        alert = json.loads(body)
        self.alerts.setdefault(alert["id"], alert)
        return 200


@contextlib.contextmanager
def serving(receiver: Receiver) -> Iterator[str]:
    """Its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(receiver.answer(dict(self.headers), body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/icansee"
        server.shutdown()
