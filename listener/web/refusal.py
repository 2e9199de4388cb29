"""Why a request is not answered as it was meant: a page for a person, JSON for a program."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from listener.web import pages
from listener.web.access.forgery import SAFE
from listener.web.access.who import KEY, own_frame
from listener.web.described import PlainJson
from listener.web.frame import frame_for

API = "/api/"


def answer_refused(
    request: Request, status: int, detail: object, *, why: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """detail: for a program. why: the same for a person; without it the detail itself."""
    if not wants_page(request):
        return PlainJson({"detail": detail}, status_code=status, headers=dict(headers or {}))
    frame = own_frame(request) if KEY in request.scope else frame_for(request.cookies)
    body = pages.not_possible(frame, status, why or str(detail), back=page_behind(request))
    return HTMLResponse(body, status_code=status, headers=dict(headers or {}))


def wants_page(request: Request) -> bool:
    """The API answers in JSON, whoever asks."""
    return wants_html(request) and not request.url.path.startswith(API)


def wants_html(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def asked_for(request: Request) -> str:
    """The path that was asked for, with its query: what an address of ours holds is the state of its page."""
    return _whole(request.url.path, request.url.query)


def page_behind(request: Request) -> str:
    """The path of the page that stood open, with its query: the one itself that was asked for, or the one whose form
    was sent."""
    if request.method in SAFE:
        return asked_for(request)
    said = urlsplit(request.headers.get("referer", ""))
    own = said.netloc == request.headers.get("host") and said.path.startswith("/")
    return _whole(said.path, said.query) if own else "/"


def _whole(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path
