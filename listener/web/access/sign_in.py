"""The pages and the API of signing in and out."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from listener.web import pages
from listener.web.access.bodies import form_fields
from listener.web.access.cookies import DEVICE, DEVICE_S, SESSION, VISITOR, read, set_cookie
from listener.web.access.gate import SIGN_IN
from listener.web.access.people import NOBODY_YET, NotSignedIn, People, SignedIn, Workplace
from listener.web.access.who import NAME_GIVEN, Person, open_places, own_frame, who
from workers.access_ports import KeyUse, Role

WRONG = "The name or the password is wrong."
CODE_HELPS = "If this is not over soon, others make them: a code from an administrator lets you in meanwhile."
LOST = "There is no account any more: the index was lost. An administrator makes one with `icansee users add`."
LONGEST_CODE = 100  # characters
LONGEST_NEXT = 600  # characters; a list with every filter and the place of a window has 450


class KeysAsked(BaseModel):
    """The body of POST /api/session/keys."""

    model_config = ConfigDict(extra="forbid")

    keys: KeyUse


def add_sign_in(app: FastAPI, people: People | None) -> None:
    """Add the routes; without ``people`` nobody can sign in."""

    @app.get(SIGN_IN, response_class=HTMLResponse, include_in_schema=False)
    def login(request: Request, person: Annotated[Person, Depends(who)], next: str = "/", again: str = "") -> Response:  # noqa: A002
        """again: who is signed in proves once more to be there."""
        if person.role is not None and not (again == "1" and person.signed_in):
            return RedirectResponse(landing(next, person.role), status_code=303)
        return HTMLResponse(_page(people, request, next))

    @app.post(SIGN_IN, response_class=HTMLResponse, include_in_schema=False)
    async def sign_in(request: Request, fields: Annotated[dict[str, str], Depends(form_fields)]) -> Response:
        if people is None:
            return RedirectResponse("/", status_code=303)
        return await run_in_threadpool(_signed_in, people, request, fields)

    @app.post("/logout", include_in_schema=False)
    def logout(request: Request) -> Response:
        session, secure = jar_of(request).get(SESSION), over_tls(request)
        if people is not None and session is not None:
            people.sign_out(session)
        answer = RedirectResponse(SIGN_IN, status_code=303)
        answer.headers.append("set-cookie", set_cookie(SESSION, "", secure=secure, seconds=-1))
        answer.headers["Clear-Site-Data"] = '"cache"'
        return answer

    @app.get("/api/session")
    def session(person: Annotated[Person, Depends(who)]) -> dict[str, Any]:
        """Who asks, the token for changes, and after how many seconds without activity the page locks."""
        idle_lock_s = people.web.idle_lock_s if people is not None and person.signed_in else None
        role = None if person.role is None else person.role.value
        return {"name": person.name, "role": role, "csrf": person.csrf, "idle_lock_s": idle_lock_s}

    @app.post("/api/session/activity", status_code=204)
    def activity() -> None:
        """Somebody is at the page; the gate has noted it."""

    @app.post("/api/session/keys", status_code=204)
    def keys(asked: KeysAsked, person: Annotated[Person, Depends(who)]) -> None:
        """How single keys act on the pages of whoever asks: on, only with alt, or off."""
        if people is None or not person.signed_in:
            raise HTTPException(409, "nobody is signed in: the browser keeps it (cookie icansee-keys)")
        people.accounts.use_keys(person.name, asked.keys)


def offered(people: People | None) -> str | None:
    """What the link to the site's identity provider says; None: there is none."""
    return None if people is None or people.web.provider is None else people.web.provider.label


def own_path(text: str) -> str:
    """Where to go after the sign-in: a path of this site, never another site."""
    plain = text.isascii() and text.isprintable() and len(text) <= LONGEST_NEXT and "\\" not in text
    return text if plain and text.startswith("/") and not text.startswith("//") else "/"


def landing(text: str, role: Role) -> str:
    """Where a role goes after the sign-in: ``own_path``; who may not open the worklist gets the first page of his."""
    path = own_path(text)
    return next((place for _, place, _ in open_places(role)), path) if path == "/" else path


def _page(people: People | None, request: Request, wanted: str, name: str = "", error: str | None = None) -> str:
    found = None
    if people is not None and (token := jar_of(request).get(SESSION)) is not None:
        found = people.of_session(token)
    locked = people is not None and found is not None and people.locked(found[0])
    if people is not None and error is None and not people.somebody_can_sign_in():
        error = LOST if people.had_accounts() else NOBODY_YET
    frame, shown = own_frame(request), name or (found[1].name if found is not None else "")
    return pages.sign_in(
        frame, wanted=own_path(wanted), name=shown, locked=locked, error=error, provider=offered(people)
    )


def _signed_in(people: People, request: Request, fields: dict[str, str]) -> Response:
    name, wanted = fields.get("name", ""), fields.get("next", "/")
    request.scope[NAME_GIVEN] = name[:64]
    jar = jar_of(request)
    place = workplace_of(request, fields.get("code", "")[:LONGEST_CODE])
    done = people.sign_in(name, fields.get("password", ""), place)
    if isinstance(done, NotSignedIn):
        wait_s = math.ceil(done.wait_s)
        error = f"Too many attempts: the next one is accepted in {wait_s} s. {CODE_HELPS}" if wait_s else WRONG
        body = _page(people, request, wanted, name[:64], error)
        headers = {"Retry-After": str(wait_s)} if wait_s else None
        return HTMLResponse(body, status_code=429 if wait_s else 401, headers=headers)
    if (old := jar.get(SESSION)) is not None:
        people.sign_out(old)
    answer = RedirectResponse(landing(wanted, done.account.role), status_code=303)
    set_cookies(answer, done, secure=over_tls(request))
    return answer


def set_cookies(answer: Response, done: SignedIn, *, secure: bool) -> None:
    """Give the browser its session, and its name as a known device."""
    answer.headers.append("set-cookie", set_cookie(SESSION, done.session, secure=secure))
    answer.headers.append("set-cookie", set_cookie(DEVICE, done.device, secure=secure, seconds=DEVICE_S))


def workplace_of(request: Request, code: str = "") -> Workplace:
    """Where a request comes from."""
    jar, address = jar_of(request), request.client.host if request.client else "unknown"
    return Workplace(address, jar.get(DEVICE), jar.get(VISITOR) or jar.get(SESSION) or "", code)


def over_tls(request: Request) -> bool:
    """Did the browser come over TLS, here or at a proxy that is believed?"""
    return request.url.scheme == "https"


def jar_of(request: Request) -> dict[str, str]:
    """Our cookies of a request, by their plain names."""
    return dict(read(request.headers.get("cookie"), secure=over_tls(request)))
