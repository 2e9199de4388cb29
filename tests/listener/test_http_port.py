"""Host and port in, a listening socket out; small answers of the servers on it go out at once."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from listener.http_port import http_port
from triage.errors import Misconfigured


def delays(listening: socket.socket) -> bool:
    """Does a connection that asyncio accepts on it wait for confirmations (Nagle's algorithm)?"""

    async def connected() -> bool:
        found: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            option = writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            found.set_result(option == 0)
            writer.close()

        async with await asyncio.start_server(take, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname()[:2])
            answer = await asyncio.wait_for(found, 10.0)
            writer.close()
            return answer

    # in a thread of its own: the browser tests of the same process leave a loop running in this one
    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(asyncio.run, connected()).result()


@pytest.mark.parametrize("host", [pytest.param("127.0.0.1", id="IPv4"), pytest.param("::1", id="IPv6")])
def test_small_answers_do_not_wait(host: str) -> None:
    assert not delays(http_port(host, 0, section="web"))


def test_what_the_stated_protocol_is_for() -> None:
    plain = socket.create_server(("127.0.0.1", 0))
    assert delays(plain), "asyncio does it alone now: http_port may be simpler"


def test_a_port_that_is_taken_is_refused_by_name() -> None:
    with http_port("127.0.0.1", 0, section="stow") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=rf"stow\.host/stow\.port: 127\.0\.0\.1:{port} cannot be used"):
            http_port("127.0.0.1", port, section="stow")
