"""Was a request that changes something made by our own page? Two answers are needed: from the browser, and from a token
that only our page knows."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

from listener.web.access.bodies import fields_in, is_form

HEADER, FIELD = "x-csrf-token", "csrf"
SAFE = ("GET", "HEAD", "OPTIONS")


def from_a_browser(request: Request) -> bool:
    """Every browser of today says with a changing request where it comes from."""
    return "origin" in request.headers or "sec-fetch-site" in request.headers


def require_own_page(request: Request) -> None:
    """Does nothing when the browser says that our own page sent the request, or says nothing.

    Raises:
        HTTPException: 403, a page of somebody else sent it.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site != "same-origin":
        raise HTTPException(403, "the request comes from another site")
    if origin is None:
        return
    said = urlsplit(origin)
    if said.netloc.lower() != request.headers.get("host", "").lower() or said.scheme != request.url.scheme:
        raise HTTPException(403, "the request comes from another site")


def require_token(request: Request, body: bytes, wanted: str) -> None:
    """Does nothing when the request brings the token of its session.

    Raises:
        HTTPException: 403, it does not.
    """
    given = request.headers.get(HEADER)
    if given is None and is_form(request):
        given = fields_in(body).get(FIELD)
    if not wanted or given is None or not hmac.compare_digest(given.encode(), wanted.encode()):
        raise HTTPException(403, "the page is out of date: load it again (its token does not fit)")
