"""The way to the site's identity provider and back: two addresses, and a cookie that ties them to one browser."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from listener.web import pages
from listener.web.access.cookies import FLOW, FLOW_S, SESSION, new_token, set_cookie
from listener.web.access.gate import SIGN_IN
from listener.web.access.people import NotAdmitted, People
from listener.web.access.provider import NotProved, ProvidedIdentity, Provider, ProviderSignIn
from listener.web.access.sign_in import jar_of, landing, over_tls, own_path, set_cookies, workplace_of
from listener.web.access.who import NAME_GIVEN, own_frame
from workers.log import get_logger

log = get_logger(__name__)

GO, BACK = "/login/provider", "/login/back"
AGAIN = "This sign-in is not known any more. Please begin again."
LONGEST_CODE = 4096


@dataclass(frozen=True)
class Begun:
    """What the cookie says about a sign-in. token: state, nonce and verifier are made from it."""

    token: str
    asked_at: datetime
    anew: bool
    wanted: str


class Flows:
    """Sign-ins that began, in cookies with our signature: nothing is kept here, and nothing can be filled up. They end
    with the process."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def written(self, one: Begun) -> str:
        path = base64.urlsafe_b64encode(one.wanted.encode()).decode().rstrip("=")
        text = f"{one.token}.{int(one.asked_at.timestamp())}.{int(one.anew)}.{path}"
        return f"{text}.{self._signature(text)}"

    def read(self, cookie: str | None, now: datetime) -> Begun | None:
        """None: it is none of ours, or too old."""
        text, _, signature = (cookie or "").rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(text).encode()):
            return None
        token, at, anew, path = text.split(".")
        asked_at = datetime.fromtimestamp(int(at), UTC)
        if not 0 <= (now - asked_at).total_seconds() + 1 <= FLOW_S:
            return None
        wanted = base64.urlsafe_b64decode(path + "=" * (-len(path) % 4)).decode()
        return Begun(token, asked_at, anew == "1", wanted)

    def _signature(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Answered:
    """What the address of the way back says."""

    code: str
    state: str
    issuer: str | None
    error: str


def add_provider(app: FastAPI, people: People | None, provider: Provider | None) -> None:
    """Add the routes; without ``provider`` both lead to the sign-in with a password."""
    way = None if people is None or provider is None else Way(people, provider)

    @app.get(GO, include_in_schema=False)
    def go(request: Request, next: str = "/") -> Response:  # noqa: A002
        """To the provider."""
        return RedirectResponse(SIGN_IN, status_code=303) if way is None else way.begun(request, own_path(next))

    @app.get(BACK, response_class=HTMLResponse, include_in_schema=False)
    def back(request: Request, code: str = "", state: str = "", iss: str | None = None, error: str = "") -> Response:
        """From the provider, with a code that is good once."""
        if way is None:
            return RedirectResponse(SIGN_IN, status_code=303)
        return way.ended(request, Answered(code, state, iss, error))


class Way:
    """To the provider and back."""

    def __init__(self, people: People, provider: Provider) -> None:
        self._people, self._provider, self._flows = people, provider, Flows()

    def begun(self, request: Request, wanted: str) -> Response:
        """A locked page asks for the password there again: anybody may sit before it."""
        session = jar_of(request).get(SESSION)
        locked = session is not None and self._people.of_session(session) is not None
        begun = Begun(new_token(), self._people.now(), self._provider.settings.ask_again or locked, wanted)
        answer = RedirectResponse(self._provider.address(_sign_in(begun, request)), status_code=303)
        _keep(answer, request, self._flows.written(begun))
        return answer

    def ended(self, request: Request, said: Answered) -> Response:
        """A session, or the sign-in page with the reason why not."""
        begun = self._flows.read(jar_of(request).get(FLOW), self._people.now())
        if begun is None or not hmac.compare_digest(said.state.encode(), _made(begun.token, "state").encode()):
            return self._refused(request, "/", AGAIN)
        if said.error or not 0 < len(said.code) <= LONGEST_CODE:
            return self._refused(request, begun.wanted, "The identity provider refused the sign-in.")
        try:
            person = self._provider.identity(said.code, said.issuer, _sign_in(begun, request))
        except NotProved as refusal:
            log.warning("web.provider_not_believed", why=str(refusal))
            return self._refused(request, begun.wanted, f"You are not signed in: {refusal}.")
        return self._admitted(request, begun, person)

    def _admitted(self, request: Request, begun: Begun, person: ProvidedIdentity) -> Response:
        request.scope[NAME_GIVEN] = person.name[:64]
        jar = jar_of(request)
        done = self._people.admitted(person.subject, person.name, person.role, workplace_of(request))
        if isinstance(done, NotAdmitted):
            log.warning("web.provider_not_admitted", why=done.why)
            return self._refused(request, begun.wanted, done.why, 403)
        if (old := jar.get(SESSION)) is not None:
            self._people.sign_out(old)
        answer = RedirectResponse(landing(begun.wanted, done.account.role), status_code=303)
        set_cookies(answer, done, secure=over_tls(request))
        _keep(answer, request, "")
        return answer

    def _refused(self, request: Request, wanted: str, why: str, status: int = 401) -> Response:
        label = self._provider.settings.label
        page = pages.sign_in(own_frame(request), wanted=wanted, name="", locked=False, error=why, provider=label)
        answer = HTMLResponse(page, status_code=status)
        _keep(answer, request, "")
        return answer


def _sign_in(one: Begun, request: Request) -> ProviderSignIn:
    back = f"{request.url.scheme}://{request.url.netloc}{BACK}"
    state, nonce, verifier = (_made(one.token, name) for name in ("state", "nonce", "verifier"))
    return ProviderSignIn(state, nonce, verifier, back, one.asked_at, one.anew)


def _made(token: str, name: str) -> str:
    """64 characters, as long as a verifier may be (RFC 7636 section 4.1)."""
    return hmac.new(token.encode(), name.encode(), hashlib.sha256).hexdigest()


def _keep(answer: Response, request: Request, cookie: str) -> None:
    seconds = FLOW_S if cookie else -1
    answer.headers.append("set-cookie", set_cookie(FLOW, cookie, secure=over_tls(request), seconds=seconds))
