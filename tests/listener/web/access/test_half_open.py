"""Requests that never end: they are closed, and everybody else is served meanwhile."""

from __future__ import annotations

import resource
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from listener.web import patience
from listener.web.app import run
from tests.patience import PATIENCE_S
from workers.config import Settings
from workers.settings import StoreSettings
from workers.web_settings import WebSettings

HALF_OPEN = 1500
DESCRIPTORS = 2 * HALF_OPEN + 500  # both ends of each connection are in this process


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(patience, "HEAD_S", 1.0)
    store = StoreSettings(state_dir=tmp_path, min_free_bytes=0)
    stop, started, ports = threading.Event(), threading.Event(), list[int]()

    def ready(port: int) -> None:
        ports.append(port)
        started.set()

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert before[1] >= DESCRIPTORS, f"ulimit -Hn is {before[1]}; {DESCRIPTORS} are needed"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], DESCRIPTORS), before[1]))
    arguments = {"stop": stop, "ready": ready}
    thread = threading.Thread(
        target=run, args=(Settings(store=store, web=WebSettings(port=0)),), kwargs=arguments, daemon=True
    )
    thread.start()
    assert started.wait(PATIENCE_S)
    yield ports[0]
    stop.set()
    thread.join(PATIENCE_S)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def answered(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/static/style.css", timeout=PATIENCE_S) as answer:
        return int(answer.status)


def test_half_open_requests_are_closed_and_others_are_served(port: int) -> None:
    beginnings = (b"", b"G", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"GET / HTTP/1.1\r\nX: ")
    held = []
    for number in range(HALF_OPEN):
        one = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        one.sendall(beginnings[number % len(beginnings)])
        held.append(one)
    assert answered(port) == 200
    assert [one.recv(1) for one in held] == [b""] * HALF_OPEN, "each is closed"
    for one in held:
        one.close()


def test_a_second_request_on_a_connection_must_end_too(port: int) -> None:
    whole = b"GET /static/icon.svg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as one:
        for _ in range(2):
            one.sendall(whole)
            assert one.recv(12) == b"HTTP/1.1 200"
            one.settimeout(20)
            rest = b""
            while not rest.rstrip().endswith(b"</svg>"):
                rest += one.recv(65536)
        one.sendall(whole[:30])
        assert one.recv(1) == b""


def test_noop_a_request_in_pieces_is_answered(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as one:
        for piece in (b"GET /static/icon.svg ", b"HTTP/1.1\r\nHost: 127", b".0.0.1\r\n", b"\r\n"):
            one.sendall(piece)
        assert one.recv(12) == b"HTTP/1.1 200"


def test_slow_senders_are_closed_and_others_are_served(port: int) -> None:
    """Slow loris: one sign more each time keeps nobody's connection open."""
    held = [socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) for _ in range(50)]
    stop, ended = threading.Event(), list[int]()

    def drip(number: int, one: socket.socket) -> None:
        one.sendall(b"GET / HTTP/1.1\r\nX: ")
        while not stop.wait(0.1):
            try:
                one.sendall(b"a")
            except OSError:
                ended.append(number)
                return

    threads = [threading.Thread(target=drip, args=pair, daemon=True) for pair in enumerate(held)]
    for thread in threads:
        thread.start()
    assert answered(port) == 200
    for thread in threads:
        thread.join(PATIENCE_S)
    stop.set()
    assert sorted(ended) == list(range(50))
    for one in held:
        one.close()
