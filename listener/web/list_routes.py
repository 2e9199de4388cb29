"""A site in, the routes of the worklist out: the page, its rows, its search, its events, its small pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, tzinfo
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from markupsafe import Markup

from listener.web import asked as addresses
from listener.web import pages
from listener.web.access.who import own_frame, who
from listener.web.api import Uid
from listener.web.asked import ListAddress, Searches
from listener.web.described import pictures
from listener.web.kept_rows import KeptRows, ListedRows
from listener.web.lines import list_lines
from listener.web.live import ChangeWatch
from listener.web.site import Site
from listener.web.view_routes import views_shown
from listener.web.worklist import images_words
from workers.ports import StudyIndex
from workers.worklist_ports import Worklist, WorklistRow

LONGEST_FORM = 8192  # bytes
EVENT_STREAM = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the second: nginx must not collect events


def add_worklist(app: FastAPI, site: Site, worklist: Worklist) -> None:
    """Add the routes of the worklist."""
    searches, watch, kept = Searches(), ChangeWatch(worklist.marks), KeptRows(worklist.version)

    def listed(one: ListAddress, text: str | None) -> ListedRows:
        now = site.now()
        key = (one, text, now.replace(second=0, microsecond=0))  # ages are told in minutes
        return kept.rows(key, lambda: _rows_of(site, worklist, one, text, now))

    def asked_in(request: Request) -> tuple[ListAddress, str | None]:
        one = addresses.asked(request.query_params.multi_items())
        return one, searches.get(one.find) if one.find else ""

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def home(request: Request) -> str:
        one, text = asked_in(request)
        rows = listed(one, text)
        return pages.render(
            "worklist.html",
            own_frame(request, "worklist"),
            rows=Markup(rows.html),  # noqa: S704 - of worklist_rows.html, which escapes
            tag=rows.tag,
            asked=one,
            text=text,
            orders=addresses.ORDER_WORDS,
            arrivals=addresses.ARRIVED_WORDS,
            views=addresses.VIEWS,
            own_views=views_shown(site, who(request)),
            zone=site.now().astimezone(zone_of(site)).strftime("%Z"),
        )

    @app.get("/rows", response_class=HTMLResponse, include_in_schema=False)
    def rows(request: Request) -> Response:
        """304 when the page has these very rows."""
        found = listed(*asked_in(request))
        headers = {"ETag": found.tag}
        if request.headers.get("if-none-match") == found.tag:
            return Response(status_code=304, headers=headers)
        return HTMLResponse(found.html, headers=headers)

    @app.get("/events", include_in_schema=False)
    async def events(request: Request) -> StreamingResponse:
        person = who(request).name
        if watch.full(person):
            raise HTTPException(429, "too many pages of yours are open")
        return StreamingResponse(watch.events(person), media_type="text/event-stream", headers=EVENT_STREAM)

    _add_search_form(app, searches)
    add_small_pictures(app, site)


def _add_search_form(app: FastAPI, searches: Searches) -> None:
    @app.post("/search", include_in_schema=False)
    async def search(request: Request) -> RedirectResponse:
        """The text comes in the body and is exchanged for a word of the address."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LONGEST_FORM:
                raise HTTPException(413, "the search is too long")
        fields = dict(parse_qsl(body.decode("utf-8", "replace")))
        text = fields.get("find", "")
        word = searches.put(text) if text.strip() else ""
        return RedirectResponse(replace(addresses.from_query(fields.get("back", "")).first, find=word).path, 303)


def add_small_pictures(app: FastAPI, site: Site) -> None:
    """Add the route of the pictures in the rows."""
    empty = (pages.STATIC / "empty.svg").read_bytes()

    @app.get(
        "/api/studies/{uid}/small.png",
        response_class=Response,
        responses=pictures("image/png", "image/svg+xml"),
    )
    def small(uid: Uid) -> Response:
        """A picture without anything on it when the decision has none: a list must not be full of broken images."""
        row = site.index.study(uid)
        path = None if row is None else site.results.small_picture(uid, row.decided_revision)
        try:  # a few kB, so no FileResponse: it asks a thread three times for them, and a list shows thirty
            content = None if path is None else path.read_bytes()
        except FileNotFoundError:  # its images are being removed
            content = None
        if content is None:
            return Response(empty, media_type="image/svg+xml")
        return Response(content, media_type="image/png")


def _rows_of(site: Site, worklist: Worklist, one: ListAddress, text: str | None, now: datetime) -> str:
    """The rows as HTML. text: of the search; None: its word is not known any more."""
    window = worklist.window(one.wanted(text or "", now))
    uids = [row.study_instance_uid for row in window.rows]
    counts = site.index.study_counts(uids)
    notes = {uid: tuple(said) for uid, said in _notes(site.index, window.rows)}
    return pages.part(
        "worklist_rows.html",
        window=window,
        lines=list_lines(window.rows, now=now, zone=zone_of(site), counts=counts, notes=notes),
        asked=one,
        text=text,
        filters=addresses.active_filters(one, text),
        following=replace(one, after=window.end).path if window.end else None,
        groups=addresses.GROUP_WORDS,
        orders=addresses.ORDER_WORDS,
    )


def zone_of(site: Site) -> tzinfo | None:
    """The site's zone; None: this machine's."""
    name = site.settings.web.time_zone
    return ZoneInfo(name) if name else None


def _notes(index: StudyIndex, rows: tuple[WorklistRow, ...]) -> Iterator[tuple[str, list[str]]]:
    """What was kept aside of each study, by its UID."""
    from workers.studies.corrections import corrections_among

    conflicts = index.conflicts()
    if not conflicts:
        return
    aside = Counter(one.study_instance_uid for one in conflicts)
    here = [row.study_instance_uid for row in rows if row.study_instance_uid in aside]
    known = [row for uid in here if (row := index.study(uid)) is not None]
    corrected = {one.study_instance_uid: one for one in corrections_among(known, conflicts, index)}
    for uid in here:
        if uid in corrected:
            yield (
                uid,
                [
                    f"{images_words(corrected[uid].images)} came again with corrected headers, patient ID "
                    f"{corrected[uid].new.patient_id}: accept or reject it (icansee patients corrections)"
                ],
            )
        else:
            yield uid, [f"{aside[uid]} with other content under a known UID, kept aside"]
