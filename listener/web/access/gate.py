"""Every request in; it goes on with the person behind it, or is answered here: sign in, not yours, not from our page.

An ASGI middleware: it stands before every route, also those that are no FastAPI function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from listener.web.access import bodies, forgery
from listener.web.access.cookies import SESSION, VISITOR, csrf_of, new_token, read, set_cookie
from listener.web.access.people import NOBODY_YET, People
from listener.web.access.rules import ASSET, RouteRule, route_asked, rule_of
from listener.web.access.who import KEY, REFUSED_PLACE, THIS_MACHINE, Person
from listener.web.refusal import answer_refused, asked_for, wants_html, wants_page
from triage.errors import Transient
from workers.access_ports import Account, Role, WebSession
from workers.log import get_logger

log = get_logger(__name__)

FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
SIGN_IN = "/login"


BEARER_ONLY = (
    "a personal token is needed: Authorization: Bearer TOKEN, once (a proxy that signs people in itself must not pass "
    "its own Authorization on)"
)


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The request is answered here."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


@dataclass(frozen=True)
class Asking:
    """Who asks, as the cookies tell. visitor: a new cookie that the answer has to set."""

    person: Person
    visitor: str | None = None


NOT_ASKED = Asking(Person("", None, ""))


class Gate:
    """Lets a request pass when the table of rules says so."""

    def __init__(self, app: ASGIApp, *, routes: Sequence[BaseRoute], people: People | None) -> None:
        self._app, self._routes, self._people = app, routes, people

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})  # nothing here speaks it
            return
        request, rule, asked = Request(scope), rule_of(self._routes, scope), NOT_ASKED
        try:
            asked = NOT_ASKED if rule is ASSET else await run_in_threadpool(self._asked, request)
            _require_permission(rule, asked.person)
            if rule is not ASSET and request.method not in forgery.SAFE:
                receive = await self._not_forged(request, asked, receive)
        except (Refused, HTTPException) as error:
            refused = error if isinstance(error, Refused) else Refused(error.status_code, error.detail)
            if asked.person.signed_in:
                scope[KEY], scope[REFUSED_PLACE] = asked.person, route_asked(self._routes, scope)
            await _refusal(request, refused)(scope, receive, send)
        except Transient as error:
            log.warning("web.not_possible_now", error=str(error))
            await _refusal(request, Refused(503, "the index cannot be reached now"))(scope, receive, send)
        else:
            scope[KEY] = asked.person
            await self._app(scope, receive, _with_cookie(asked.visitor, request, send))

    def _asked(self, request: Request) -> Asking:
        """A locked session is a visitor's: its owner proves at the sign-in to be there.

        A request that names an authorization is that of its token and of nobody else: no cookie is looked at, also when
        the token is not good. Another page cannot make a browser send this header, and the rights of a token never add
        to those of a session.

        Raises:
            Refused: the authorization is not good, or a proxy sends the request and there is no account.
            Transient: the index is away.
        """
        if said := request.headers.getlist("authorization"):
            return self._by_token(said)
        jar = read(request.headers.get("cookie"), secure=request.url.scheme == "https")
        people = self._people
        if people is not None and SESSION in jar:
            found = people.of_session(jar[SESSION])
            if found is not None and not people.locked(found[0]):
                if _somebody_acts(request):
                    people.seen(found[0])
                return Asking(_person(found[1], found[0], csrf_of(jar[SESSION])))
        visitor = jar.get(VISITOR)
        new = new_token() if visitor is None and wants_html(request) else None
        csrf = csrf_of(visitor or new or "") if visitor or new else ""
        if people is None or not people.needed():
            if any(name in request.headers for name in FORWARDED):
                raise Refused(403, NOBODY_YET.replace("web.host: ", ""))
            return Asking(Person(THIS_MACHINE, Role.ADMINISTRATOR, csrf), new)
        return Asking(Person("", None, csrf), new)

    def _by_token(self, said: Sequence[str]) -> Asking:
        """Raises:
        Refused: it is no token, or two, or it is unknown, has ended or was revoked.
        """
        kind, _, text = said[0].partition(" ")
        if self._people is None or kind.lower() != "bearer" or len(said) > 1:
            raise Refused(401, BEARER_ONLY)
        found = self._people.of_token(text.strip())
        if found is None:
            raise Refused(401, "the token is unknown, has ended or was revoked")
        token, account = found
        return Asking(Person(account.name, account.role, "", token.scopes, signed_in=True, token=token.key))

    async def _not_forged(self, request: Request, asked: Asking, receive: Receive) -> Receive:
        """The body, whole.

        Raises:
            HTTPException: the request was not made by our page, or its body is too large or too slow.
        """
        if asked.person.scopes is not None:  # no page of somebody else can send this header
            return bodies.replayed(await bodies.whole_body(receive), receive)
        forgery.require_own_page(request)
        body = await bodies.whole_body(receive)
        if asked.person.name != THIS_MACHINE or forgery.from_a_browser(request):
            forgery.require_token(request, body, asked.person.csrf)
        return bodies.replayed(body, receive)


def _require_permission(rule: RouteRule | None, person: Person) -> None:
    """Raises:
    Refused: the person may not use the route.
    """
    if rule is None:
        raise Refused(403, "nobody decided who may use this")
    if rule.everybody:
        return
    if person.role is None:
        raise Refused(401, "sign in first")
    if person.role not in rule.roles:
        raise Refused(403, f"this is not for the role {person.role.value}")
    if person.scopes is not None and rule.scope is None:
        raise Refused(403, "a token is not enough for this: sign in")
    if person.scopes is not None and rule.scope not in person.scopes:
        raise Refused(403, f"the token has no scope {rule.scope}")


def _person(account: Account, session: WebSession, csrf: str) -> Person:
    return Person(account.name, account.role, csrf, signed_in=True, keys=account.keys, proved_at=session.opened_at)


def _somebody_acts(request: Request) -> bool:
    """Did a person cause the request? A page that loads itself again keeps no session open."""
    if request.method not in forgery.SAFE or request.headers.get("sec-fetch-user") == "?1":
        return True
    return "sec-fetch-site" not in request.headers and wants_html(request)


def _refusal(request: Request, refused: Refused) -> Response:
    """The sign-in, a page that says why, or JSON for a program."""
    if refused.status == 401 and request.method in forgery.SAFE and wants_html(request):
        return RedirectResponse(f"{SIGN_IN}?next={quote(asked_for(request), safe='/')}", status_code=303)
    headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 and not wants_page(request) else None
    return answer_refused(request, refused.status, refused.why, headers=headers)


def _with_cookie(visitor: str | None, request: Request, send: Send) -> Send:
    if visitor is None:
        return send
    cookie = set_cookie(VISITOR, visitor, secure=request.url.scheme == "https")

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("set-cookie", cookie)
        await send(message)

    return sending
