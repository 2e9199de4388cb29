"""The embedded broker: the real server of this environment, started, killed, started again, stopped."""

from __future__ import annotations

import os
import signal
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from triage.errors import Misconfigured, Transient
from workers.config import Settings
from workers.queue import broker
from workers.queue.bell import CeleryBell, make_app
from workers.queue.broker import Address, EmbeddedBroker
from workers.settings import QueueSettings, StoreSettings

pytestmark = pytest.mark.server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    server = EmbeddedBroker(tmp_path / "broker")
    server.start()
    yield server
    server.stop()


def settings_in(tmp_path: Path) -> Settings:
    return Settings(store=StoreSettings(state_dir=tmp_path))


def wait_until_dead(server: EmbeddedBroker) -> None:
    while server.alive():
        time.sleep(0.01)


def test_answers_and_asks_for_its_password(server: EmbeddedBroker) -> None:
    assert broker.ping(server.url)
    password = server.url.split(":")[2].split("@")[0]
    with pytest.raises(Transient):
        broker.ping(server.url.replace(password, "wrong"))


def test_only_the_owner_reads_password_and_socket(server: EmbeddedBroker, tmp_path: Path) -> None:
    for name in ("url", "server.conf", "s"):
        path = tmp_path / "broker" / name
        if path.exists():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, name
    command = Path(f"/proc/{server.pid}/cmdline").read_bytes()
    assert server.url.split(":")[2].split("@")[0].encode() not in command


def test_its_address_is_written_again_when_somebody_deletes_it(server: EmbeddedBroker, tmp_path: Path) -> None:
    [address] = (tmp_path / "broker").glob("url")
    said = address.read_text()
    address.unlink()
    assert server.healthy()
    assert (address.read_text(), address.stat().st_mode & 0o777) == (said, 0o600)


def test_killed_and_started_again_keeps_address_and_data(server: EmbeddedBroker) -> None:
    url, before = server.url, broker.ping(server.url)
    connection = broker.client(url, timeout_s=10)
    connection.rpush("queue", "ring")
    connection.execute_command("WAITAOF", 1, 0, 0)  # what is younger than a second may be lost: wait for the fsync
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    wait_until_dead(server)
    with pytest.raises(Transient):
        broker.ping(url)

    assert server.start() == url
    assert broker.ping(url) != before
    assert broker.client(url).lrange("queue", 0, -1) == [b"ring"]


def test_a_server_left_behind_by_a_killed_node_is_ended(server: EmbeddedBroker, tmp_path: Path) -> None:
    left_behind = server.pid
    successor = EmbeddedBroker(tmp_path / "broker")
    successor.start()
    try:
        wait_until_dead(server)
        assert broker.ping(successor.url)
        assert successor.pid != left_behind
    finally:
        successor.stop()


def test_a_pid_file_that_names_a_stranger_is_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    (folder / "server.pid").write_text(str(os.getpid()))
    server = EmbeddedBroker(folder)
    server.start()  # and this process lives on
    server.stop()


def test_a_damaged_append_only_file_is_set_aside(tmp_path: Path) -> None:
    server = EmbeddedBroker(tmp_path / "broker")
    server.start()
    broker.client(server.url).rpush("queue", "ring")
    server.stop()
    (data,) = (tmp_path / "broker" / "appendonlydir").glob("*.incr.aof")
    data.write_bytes(b"*3\r\n$nonsense" + data.read_bytes())
    try:
        server.start()
        assert broker.ping(server.url)
    finally:
        server.stop()
    assert list((tmp_path / "broker").glob("appendonlydir.damaged-*"))


def test_stop_leaves_nobody_to_talk_to(tmp_path: Path) -> None:
    server = EmbeddedBroker(tmp_path / "broker")
    url = server.start()
    assert broker.broker_url(settings_in(tmp_path)) == url
    server.stop()
    with pytest.raises(Transient):
        broker.ping(url)
    with pytest.raises(Misconfigured, match=r"queue\.url"):
        broker.broker_url(settings_in(tmp_path))


def test_a_long_state_folder_still_gets_an_address(tmp_path: Path) -> None:
    server = EmbeddedBroker(tmp_path / ("x" * 120) / "broker")
    url = server.start()
    try:
        assert broker.ping(url)
        assert len(url.split("@")[1]) < broker.SOCKET_PATH_LIMIT
    finally:
        server.stop()


def test_a_loopback_port_works_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EmbeddedBroker, "_choose_address", lambda _self: Address(None, broker.free_port()))
    for _ in range(3):  # between choosing and taking it the port may become somebody else's
        server = EmbeddedBroker(tmp_path / "broker")
        with suppress(Transient):
            url = server.start()
            break
    try:
        assert "@127.0.0.1:" in url
        assert broker.ping(url)
    finally:
        server.stop()


def test_noop_a_site_with_its_own_broker(tmp_path: Path) -> None:
    url = "redis://broker.example:6379/0"
    assert broker.broker_url(settings_in(tmp_path).model_copy(update={"queue": QueueSettings(url=url)})) == url


def test_the_bell_rings_again_after_the_server_died(server: EmbeddedBroker) -> None:
    """The beat rings while the server is dead (it may be the first to notice) and must not stay deaf afterwards."""
    url = server.url
    bell = CeleryBell(make_app(url, Settings()))
    bell.ring("1.2.3")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    wait_until_dead(server)
    for _ in range(2):
        with pytest.raises(Transient, match="does not take the ring"):
            bell.ring("1.2.3")

    assert server.start() == url
    bell.ring("1.2.3")
    bell.prepare_later("1.2.3")
