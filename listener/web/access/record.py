"""Requests that show a patient or change something in, lines of the audit log out. Stands before the gate: who
is signed in and is refused there is on record too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from listener.web.access.bodies import OBJECT_GIVEN
from listener.web.access.cookies import hashed
from listener.web.access.forgery import SAFE
from listener.web.access.rules import PAGE_PARTS, PATIENTS, RULES
from listener.web.access.who import KEY, NAME_GIVEN, REFUSED_PLACE, Person
from triage.errors import IcanseeError
from workers.audit.journal import Journal
from workers.audit.messages import UserSign, Viewing
from workers.audit.spool import Auditor, NoAudit
from workers.files.uid_paths import valid_uid
from workers.identities import printable
from workers.log import brief, get_logger
from workers.ports import StudyRow

log = get_logger(__name__)

# beside every route that shows patients
ALSO_SHOWN = {"GET /operations", "GET /login/back"}
PARTS_EVERY_S = 60.0  # a program that reads hundreds of slices of a study makes one line in this time
REMEMBERED_PARTS = 1000
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
        self._parts: dict[tuple[str, str, str | None], datetime] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._record(scope, message["status"])  # before the answer: what was seen is on record
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)

    async def _record(self, scope: Scope, status: int) -> None:
        person = scope.get(KEY)
        if not isinstance(person, Person):
            return  # the gate refused somebody whom nobody knows
        refused = scope.get(REFUSED_PLACE)
        did = f"{scope['method']} {getattr(scope.get('route'), 'path', '')}" if refused is None else refused[0]
        about = {**scope.get(OBJECT_GIVEN, {}), **(scope.get("path_params", {}) if refused is None else refused[1])}
        uid = about.get("uid", about.get("study"))
        now = self._now()
        shown = did in ALSO_SHOWN or RULES.get(did) is PATIENTS or self._part_shown(did, person, uid, now)
        if refused is None and not shown and (scope["method"] in SAFE or did in NOT_RECORDED):
            return
        facts: dict[str, Any] = {
            "at": now.isoformat(),
            "who": person.name,
            "did": did,
            "study": _study_of(uid),
            "status": status,
        }
        facts |= {name: about[name] for name in ("number", "key") if name in about}
        if person.token is not None:
            facts["token"] = person.token
        if NAME_GIVEN in scope:
            facts["name"] = scope[NAME_GIVEN]
        address = scope["client"][0] if scope.get("client") else ""
        await run_in_threadpool(self._kept, facts, address, shown=shown and status < 300)

    def _part_shown(self, did: str, person: Person, uid: str | None, now: datetime) -> bool:
        """Whether this is a part of a page that was asked for without the page, and not a moment ago."""
        if RULES.get(did) is not PAGE_PARTS or person.token is None:
            return False
        key = (person.token, did, uid)
        known = self._parts.get(key)
        if known is not None and abs((now - known).total_seconds()) < PARTS_EVERY_S:
            return False
        self._parts[key] = now
        while len(self._parts) > REMEMBERED_PARTS:
            self._parts.pop(next(iter(self._parts)))
        return True

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
