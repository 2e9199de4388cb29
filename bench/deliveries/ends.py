"""Receivers of webhooks as the bench needs them: live, slow, one that drops at random, one that is dead at first."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class End:
    """One receiver. It stores each alert once by its id, as docs/integration.md asks, and counts what came again.

    answer_s: how long an answer takes. drops: share of requests whose connection it closes instead of an answer; of
    these it has stored the half.
    """

    name: str
    answer_s: float = 0.0
    drops: float = 0.0
    stored: dict[str, tuple[str, float]] = field(default_factory=dict)  # id -> study, time
    bodies: dict[str, bytes] = field(default_factory=dict)
    repeats: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    requests: int = 0
    server: ThreadingHTTPServer | None = None
    port: int = 0
    _chance: random.Random = field(default_factory=lambda: random.Random(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reserve(self) -> None:
        """A port on which nobody listens yet."""
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]

    def open(self) -> None:
        end = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                time.sleep(end.answer_s)
                status = end.taken(body)
                if status is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

            def handle(self) -> None:
                with contextlib.suppress(OSError, ValueError):  # the sender was killed, its body cut short
                    super().handle()

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()

    def taken(self, body: bytes) -> int | None:
        """The status of the answer; None: the connection is dropped."""
        with self._lock:
            self.requests += 1
            dropped, stored = self._chance.random() < self.drops, self._chance.random() < 0.5
            if dropped and not stored:
                return None
            alert = json.loads(body)
            known = alert["id"] in self.stored
            if known:
                self.repeats[alert["id"]] += 1
                self.changed += self.bodies[alert["id"]] != body
            else:
                study = alert["document"]["study"]["study_instance_uid"]
                self.stored[alert["id"]], self.bodies[alert["id"]] = (study, time.time()), body
            return None if dropped else (409 if known else 200)
