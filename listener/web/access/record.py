"""Requests that show a patient or change something in, lines of the audit log out. Stands behind the gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from listener.web.access.cookies import hashed
from listener.web.access.forgery import SAFE
from listener.web.access.who import KEY, NAME_GIVEN, Person
from triage.errors import IcanseeError
from workers.audit.journal import Journal
from workers.audit.messages import UserSign, Viewing
from workers.audit.spool import Auditor, NoAudit
from workers.files.uid_paths import valid_uid
from workers.identities import printable
from workers.log import brief, get_logger
from workers.ports import StudyRow

log = get_logger(__name__)

# what a person looks at; the parts of such a page (pictures, volumes, events) are not recorded one by one
SHOWN = {
    "GET /",
    "GET /studies/{uid}",
    "GET /studies/{uid}/patient",
    "GET /api/studies/{uid}/patient",
    "GET /api/studies",
    "GET /api/studies/{uid}",
    "GET /api/set-aside",
    "GET /api/studies/{uid}/set-aside",
    "GET /operations",
    "GET /login/back",
}
SIGNS_IN, SIGNS_OUT = ("POST /login", "GET /login/back"), "POST /logout"
NOT_LOOKED_AT = 429  # an attempt that came too early: ten thousand of them make no ten thousand messages
NOT_RECORDED = {"POST /api/session/activity"}


class Recorder:
    """Writes who did it, when, what, to which study, and how it was answered. A patient who was shown is reported to
    the audit repository as well.

    study: finds the patient of a study.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        journal: Journal,
        now: Callable[[], datetime],
        auditor: Auditor | None = None,
        study: Callable[[str], StudyRow | None] = lambda _uid: None,
    ) -> None:
        self._app, self._journal, self._now = app, journal, now
        self._auditor, self._study = auditor or NoAudit(), study

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
            "study": _study_of(scope.get("path_params", {}).get("uid")),
            "status": status,
        }
        if isinstance(person, Person) and person.token is not None:
            facts["token"] = person.token
        if NAME_GIVEN in scope:
            facts["name"] = scope[NAME_GIVEN]
        address = scope["client"][0] if scope.get("client") else ""
        await run_in_threadpool(self._kept, facts, address, shown=did in SHOWN and status < 300)

    def _kept(self, facts: Mapping[str, Any], address: str, *, shown: bool) -> None:
        self._journal.add(facts)
        if (sign := _sign_of(facts, address)) is not None:
            self._auditor.signed(sign)
        if not shown or facts["study"] is None:
            return
        uid = str(facts["study"])
        try:
            row = self._study(uid)
        except IcanseeError as error:  # the page was answered; its patient is not known at this moment
            log.warning("audit.patient_not_known", error=brief(error))
            row = None
        patient_id, accession = ("", "") if row is None else (row.patient_id, row.accession_number)
        self._auditor.viewed(Viewing(str(facts["who"]), address, str(facts["did"]), uid, patient_id, accession))


def _study_of(uid: str | None) -> str | None:
    """The study that was asked for. What is no UID may be any text, also a person's name: its digest stands for it."""
    return uid if uid is None or valid_uid(uid) else f"SHA-256 {hashed(uid)}"


def _sign_of(facts: Mapping[str, Any], address: str) -> UserSign | None:
    """What a request says about somebody's presence; None: nothing."""
    if facts["did"] == SIGNS_OUT:
        return UserSign(str(facts["who"]), address, signs_in=False)
    if facts["did"] not in SIGNS_IN or "name" not in facts or facts["status"] == NOT_LOOKED_AT:
        return None
    # anybody may type a name; XML cannot hold control characters
    return UserSign(printable(str(facts["name"])), address, succeeded=facts["status"] == 303)
