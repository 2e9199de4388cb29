"""Saved views of the worklist: an account keeps and drops its own, by the page and by the API."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi import Path as PathParameter
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from listener.web import asked as addresses
from listener.web.access.bodies import form_fields
from listener.web.access.who import Person, who
from listener.web.asked import SavedView
from listener.web.site import Site
from workers.worklist_ports import KeptView, KeptViews

MOST_VIEWS = 30  # of one account: the list of them is a line of the page
LONGEST_NAME, LONGEST_QUERY = 40, 400
UNNAMED = "unnamed"

Asks = Annotated[Person, Depends(who)]
Number = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]


class ViewAsked(BaseModel):
    """The body of POST /api/views. query: of an address of the worklist, e.g. ``g=p1&sort=newest``."""

    model_config = ConfigDict(extra="forbid")

    words: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    query: Annotated[str, Field(max_length=LONGEST_QUERY)] = ""


def add_views(app: FastAPI, site: Site) -> None:
    """Add the routes."""

    @app.get("/api/views")
    def views(person: Asks) -> list[dict[str, Any]]:
        """The saved views of whoever asks."""
        return [_facts(one) for one in _views(site).views_of(person.name)]

    @app.post("/api/views", status_code=201)
    def keep(person: Asks, asked: ViewAsked) -> dict[str, Any]:
        """Save a view, or give one of this name another list. What no list offers is left out of its query, and so is a
        search for a patient."""
        return _facts(_kept(site, person, asked.words, asked.query))

    @app.delete("/api/views/{number}", status_code=204)
    def drop(number: Number, person: Asks) -> None:
        """Remove a view."""
        if not _views(site).drop_view(person.name, number):
            raise HTTPException(404, "no such view")

    @app.post("/views", include_in_schema=False)
    def keep_form(person: Asks, fields: Annotated[dict[str, str], Depends(form_fields)]) -> RedirectResponse:
        one = _kept(site, person, fields.get("words", ""), fields.get("query", ""))
        return RedirectResponse(f"/?{one.query}" if one.query else "/", 303)

    @app.post("/views/drop", include_in_schema=False)
    def drop_form(person: Asks, fields: Annotated[dict[str, str], Depends(form_fields)]) -> RedirectResponse:
        number = fields.get("number", "")
        if number.isascii() and number.isdigit() and len(number) < 10:
            _views(site).drop_view(person.name, int(number))  # twice is as good as once
        return RedirectResponse(addresses.from_query(fields.get("back", "")).path, 303)


def views_shown(site: Site, person: Person) -> list[SavedView]:
    """Those of the account, for the page."""
    if site.views is None:
        return []
    found = site.views.views_of(person.name)
    return [SavedView(one.words, f"/?{one.query}" if one.query else "/", one.number) for one in found]


def _facts(one: KeptView) -> dict[str, Any]:
    return {"number": one.number, "words": one.words, "query": one.query}


def _views(site: Site) -> KeptViews:
    if site.views is None:
        raise HTTPException(404, "no views are kept here")
    return site.views


def _kept(site: Site, person: Person, words: str, query: str) -> KeptView:
    """What cannot be printed is left out of the name.

    Raises:
        HTTPException: 409, the account has too many.
    """
    plain = "".join(sign if sign.isprintable() else " " for sign in words)
    words = " ".join(plain.split())[:LONGEST_NAME] or UNNAMED
    views = _views(site)
    known = {one.words for one in views.views_of(person.name)}
    if words not in known and len(known) >= MOST_VIEWS:
        raise HTTPException(409, f"an account has at most {MOST_VIEWS} views: remove one")
    kept = replace(addresses.from_query(query[:LONGEST_QUERY]).first, find="").query
    return views.keep_view(KeptView(person.name, words, kept))
