"""HL7 messages over MLLP in, acknowledgements out: a listener that answers AA only when the message is safe on the
disk."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from listener.mllp.frames import AckCode, acknowledgement
from listener.refusals import RefusalLog
from workers.feeds.hl7_fields import Header, MalformedMessageError
from workers.feeds.hl7_messages import LONGEST_BYTES, LONGEST_HEADER_BYTES, msh_of
from workers.log import brief, get_logger
from workers.remote.mllp import END, START

log = get_logger(__name__)

FRAME_TIMEOUT_S = 30.0  # a frame that has begun must be whole after this long
IDLE_TIMEOUT_S = 3600.0  # interface engines keep a connection open
HANDSHAKE_TIMEOUT_S = 10.0
MOST_CONNECTIONS = 64
NAME = ("ICANSEE", "RADIOLOGY")

Take = Callable[[bytes], tuple[Header, str]]
"""Store one message durably: its header, and a word on what becomes of it. Raises MalformedMessageError (answered AE),
OSError or Transient (answered AR: nothing was kept, send it again)."""


@dataclass(frozen=True)
class Door:
    """Who may connect, and what takes the messages. networks: allowed peers."""

    take: Take
    networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]
    tls: ssl.SSLContext | None = None


class MllpServer:
    """One listening port. ``async with`` it; ``port`` is known inside."""

    def __init__(self, door: Door, *, host: str, port: int) -> None:
        self._door, self._host, self._wanted = door, host, port
        self._server: asyncio.Server | None = None
        self._open = 0
        self._refusals = RefusalLog("hl7.refused")

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("the server does not listen yet")
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> MllpServer:
        # only with TLS: asyncio refuses the timeout without it
        patience = {} if self._door.tls is None else {"ssl_handshake_timeout": HANDSHAKE_TIMEOUT_S}
        self._server = await asyncio.start_server(
            self._serve, self._host, self._wanted, ssl=self._door.tls, limit=LONGEST_BYTES + 1024, **patience
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        self._open += 1
        try:
            if not self._allowed(address):
                self._refusals.refused(address, "not a listed peer")
            elif self._open > MOST_CONNECTIONS:
                self._refusals.refused(address, "too many connections")
            else:
                await self._messages(reader, writer)
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError) as error:
            log.warning("hl7.connection_ended", address=address, error=type(error).__name__)
        finally:
            self._open -= 1
            writer.close()

    def _allowed(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
        except ValueError:
            return False
        return any(found in network for network in self._door.networks)

    async def _messages(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            first = await asyncio.wait_for(reader.read(1), IDLE_TIMEOUT_S)
            if not first:
                return
            if first != START:
                continue  # between frames everything is ignored, as MLLP asks
            frame, length = await asyncio.wait_for(_frame(reader), FRAME_TIMEOUT_S)
            writer.write(await asyncio.to_thread(self._answer, frame, length))
            await writer.drain()

    def _answer(self, raw: bytes, length: int) -> bytes:
        header: Header | None = None
        try:
            if length > len(raw):
                raise MalformedMessageError(f"{length} bytes, more than the {LONGEST_BYTES} allowed", msh_of(raw))
            header, text = self._door.take(raw)
            code = AckCode.AA
        except MalformedMessageError as error:
            code, text = AckCode.AE, str(error)
            header = error.header
            log.warning("hl7.malformed", reason=text)
        except Exception as error:  # whatever it is: the sender keeps the message and sends it again
            code, text = AckCode.AR, "the message could not be stored now; send it again"
            log.error("hl7.not_stored", error=brief(error))
        return acknowledgement(header, code, text, now=datetime.now(UTC), number=secrets.token_hex(8), name=NAME)


async def _frame(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    """A frame up to its end, and its length. Of one that is too long only the beginning is kept: its sender must be
    answered, or it sends the same again and again and everything behind it waits."""
    beginning, length = b"", 0
    while True:
        try:
            part = (await reader.readuntil(END)).removesuffix(END)
            return beginning or part, length + len(part)
        except asyncio.LimitOverrunError as error:
            part = await reader.readexactly(error.consumed)
            beginning, length = beginning or part[:LONGEST_HEADER_BYTES], length + len(part)
