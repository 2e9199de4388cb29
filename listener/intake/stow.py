"""STOW-RS: an HTTP request with Part-10 files in, stored objects and an answer for each out. An ASGI application.

The body passes in pieces into the store; nothing is kept in memory but a piece. The work on the disk is done in
threads, so that a slow disk delays one request only.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from listener.associations.admission import parse_address
from listener.intake.stow_answer import UNAVAILABLE, answer
from listener.intake.taking import FileTaker, Taken, TakenFile
from triage.errors import Rejected
from workers.audit.messages import RemoteNode
from workers.audit.spool import Auditor, NoAudit
from workers.dicom_status import CANNOT_UNDERSTAND, OUT_OF_RESOURCES
from workers.files.multipart import (
    Event,
    MalformedError,
    MultipartReader,
    PartBegins,
    PartData,
    PartEnds,
    boundary_of,
    type_of_parts,
)
from workers.files.uid_paths import valid_uid
from workers.identities import printable
from workers.intake_settings import StowSettings
from workers.log import get_logger

log = get_logger(__name__)

SENDER = "STOW"
RETRY_AFTER_S = 60
PATH = re.compile(r"/studies(?:/([0-9.]{1,64}))?/?\Z")
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
DICOM, ANY_JSON = "application/dicom", ("application/dicom+json", "application/json", "application/*", "*/*")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class RefusedRequest(Exception):  # noqa: N818 - a request that is refused
    """The request as a whole. status: of HTTP."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class StowApp:
    """See the module.

    Args:
        taker: (study UID of the request or None) -> the taker of one request.
        token: that a sender must show; None: none.
    """

    def __init__(
        self,
        settings: StowSettings,
        taker: Callable[[str | None], FileTaker],
        *,
        token: str | None = None,
        auditor: Auditor | None = None,
    ) -> None:
        self._settings, self._taker, self._token = settings, taker, token
        self._networks = (*LOOPBACK, *(ipaddress.ip_network(peer, strict=False) for peer in settings.peers))
        self._auditor = auditor or NoAudit()
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            status, body = await self._answered(scope, receive)
            kind = b"application/dicom+json"
        except RefusedRequest as refusal:
            log.warning("stow.refused", status=refusal.status, reason=str(refusal))
            status, body, kind = refusal.status, f"{refusal}\n".encode(), b"text/plain; charset=utf-8"
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        if status == 405:
            headers.append((b"allow", b"POST"))
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if status == UNAVAILABLE:
            headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
        headers.append((b"connection", b"close"))  # of a refused request the body was not read
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answered(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        address = str((scope.get("client") or ("", 0))[0])
        self._admit(address, headers)
        study = _study_of(scope)
        reader = _reader_of(headers)
        if self._open >= self._settings.max_requests:
            raise RefusedRequest(UNAVAILABLE, "too many requests at the same time")
        self._open += 1
        try:
            return await self._take(_Parts(self._taker(study), self._settings.max_parts), reader, receive, address)
        finally:
            self._open -= 1

    def _admit(self, address: str, headers: Mapping[str, str]) -> None:
        try:
            known = any(parse_address(address) in network for network in self._networks)
        except ValueError:
            known = False
        if not known:
            self._auditor.alert(RemoteNode("", address), "address_not_listed")
            raise RefusedRequest(403, "the address is not listed")
        if self._token is None:
            return
        shown = headers.get("authorization", "")
        # in constant time: how much of a guess was right must not show
        if not hmac.compare_digest(shown.encode("utf-8", "replace"), f"Bearer {self._token}".encode()):
            self._auditor.alert(RemoteNode("", address), "token_not_known")
            raise RefusedRequest(401, "the token is not known")

    async def _take(self, parts: _Parts, reader: MultipartReader, receive: Receive, address: str) -> tuple[int, bytes]:
        complete = False
        try:
            more = True
            while more:
                message = await asyncio.wait_for(receive(), self._settings.silence_limit_s)
                if message["type"] == "http.disconnect":
                    raise RefusedRequest(400, "the sender hung up")
                more = bool(message.get("more_body"))
                await asyncio.to_thread(_feed, reader, message.get("body") or b"", parts)
            reader.close()
            complete = True
        except TimeoutError as error:
            raise RefusedRequest(408, "nothing came for too long") from error
        except MalformedError as error:
            if not parts.taken:
                raise RefusedRequest(400, str(error)) from error
            log.warning("stow.malformed", reason=str(error))
            parts.taken.append(Taken(CANNOT_UNDERSTAND, reason=str(error)))
        finally:
            await asyncio.to_thread(parts.close)
            for transfer in parts.taker.tally.studies.values():
                self._auditor.transferred(RemoteNode(SENDER, address), transfer, complete=complete)
        if not parts.taken:
            raise RefusedRequest(400, "the request has no part")
        return answer(parts.taken)


class _Parts:
    """The parts of one request."""

    def __init__(self, taker: FileTaker, most: int) -> None:
        self.taker, self._most = taker, most
        self.taken: list[Taken] = []
        self._file: TakenFile | None = None

    def go_on(self, event: Event) -> None:
        if isinstance(event, PartBegins):
            self._file = self._begin(event)
        elif self._file is not None and isinstance(event, PartData):
            self._file.write(event.content)
        elif self._file is not None and isinstance(event, PartEnds):
            self.taken.append(self._file.end())
            self.close()

    def _begin(self, event: PartBegins) -> TakenFile | None:
        if len(self.taken) > self._most:
            return None  # one refusal says it for all the others
        file = self.taker.begin()
        if len(self.taken) == self._most:
            file.refuse(Rejected(OUT_OF_RESOURCES, "too_many_parts", f"more than {self._most} parts"))
        kind = event.headers.get("content-type", DICOM).partition(";")[0].strip().lower()
        if kind != DICOM:
            file.refuse(Rejected(CANNOT_UNDERSTAND, "not_dicom", "a part is not application/dicom"))
        return file

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.__exit__()


def _feed(reader: MultipartReader, piece: bytes, parts: _Parts) -> None:
    for event in reader.feed(piece):
        parts.go_on(event)


def _study_of(scope: Scope) -> str | None:
    found = PATH.match(str(scope["path"]))
    if found is None or (found[1] is not None and not valid_uid(found[1])):
        raise RefusedRequest(404, "only /studies and /studies/{uid} are there")
    if scope["method"] != "POST":
        raise RefusedRequest(405, "only POST is answered")
    return found[1]


def _reader_of(headers: Mapping[str, str]) -> MultipartReader:
    accepted = headers.get("accept", "*/*").lower()
    if not any(one.partition(";")[0].strip() in ANY_JSON for one in accepted.split(",")):
        raise RefusedRequest(406, "answers are application/dicom+json")
    if encoding := headers.get("content-encoding", "identity").strip().lower().replace("identity", ""):
        raise RefusedRequest(415, f"a body that is encoded as {printable(encoding)} is not taken")
    stated = headers.get("content-type", "")
    try:
        boundary, kind = boundary_of(stated), type_of_parts(stated)
    except MalformedError as error:
        raise RefusedRequest(415, str(error)) from error
    if kind not in ("", DICOM):
        raise RefusedRequest(
            415, f"parts of type {printable(kind)} (metadata and bulk data) are not taken: send {DICOM}"
        )
    return MultipartReader(boundary)
