"""Requests that show a patient or change something in, lines of the audit log out. Stands behind the gate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from listener.web.access.forgery import SAFE
from listener.web.access.who import KEY, NAME_GIVEN, Person
from workers.audit.journal import Journal

# what a person looks at; the parts of such a page (pictures, volumes, events) are not recorded one by one
SHOWN = {
    "GET /",
    "GET /studies/{uid}",
    "GET /studies/{uid}/patient",
    "GET /api/studies",
    "GET /api/studies/{uid}",
    "GET /operations",
    "GET /login/back",
}
NOT_RECORDED = {"POST /api/session/activity"}


class Recorder:
    """Writes who did it, when, what, to which study, and how it was answered."""

    def __init__(self, app: ASGIApp, *, journal: Journal, now: Callable[[], datetime]) -> None:
        self._app, self._journal, self._now = app, journal, now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._record(scope, message["status"])  # before the answer: what was seen is on record
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)

    async def _record(self, scope: Scope, status: int) -> None:
        did = f"{scope['method']} {getattr(scope.get('route'), 'path', '')}"
        if did not in SHOWN and (scope["method"] in SAFE or did in NOT_RECORDED):
            return
        person = scope.get(KEY)
        facts = {
            "at": self._now().isoformat(),
            "who": person.name if isinstance(person, Person) else "",
            "did": did,
            "study": scope.get("path_params", {}).get("uid"),
            "status": status,
        }
        if isinstance(person, Person) and person.token is not None:
            facts["token"] = person.token
        if NAME_GIVEN in scope:
            facts["name"] = scope[NAME_GIVEN]
        await run_in_threadpool(self._journal.add, facts)
