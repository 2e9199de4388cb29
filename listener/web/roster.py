"""A roster of infusions from the browser or a program: what it would change, then taken over."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from listener.web import pages
from listener.web.access.bodies import form_fields
from listener.web.access.who import own_frame
from listener.web.site import Site
from triage.errors import Misconfigured
from triage.infusions import CORRECTION_DAYS
from workers.studies.roster import ROSTER_COLUMNS, RosterSummary, parse_roster, take_over, would_change

LONGEST = 500_000  # characters of a roster


class RosterAsked(BaseModel):
    """The body of POST /api/roster."""

    model_config = ConfigDict(extra="forbid")

    csv: Annotated[str, Field(max_length=LONGEST)]
    dry_run: bool = True


def add_roster(app: FastAPI, site: Site) -> None:
    """Add the routes."""

    @app.post("/api/roster")
    def roster(asked: RosterAsked) -> dict[str, Any]:
        """Take over a roster of infusions (CSV with a header), all of it or nothing. With dry_run, the usual, it only
        says what would change."""
        try:
            return {**asdict(_done(site, asked.csv, dry=asked.dry_run)), "dry_run": asked.dry_run}
        except Misconfigured as error:
            raise HTTPException(422, str(error)) from error

    @app.get("/operations/roster", response_class=HTMLResponse, include_in_schema=False)
    def page(request: Request) -> str:
        return _page(request)

    @app.post("/operations/roster", response_class=HTMLResponse, include_in_schema=False)
    def sent(request: Request, fields: Annotated[dict[str, str], Depends(form_fields)]) -> Response:
        text, dry = fields.get("csv", ""), fields.get("do") != "import"
        try:
            if len(text) > LONGEST:
                raise Misconfigured(f"ROSTER.csv: at most {LONGEST} characters; use `icansee patients import`")
            return HTMLResponse(_page(request, text=text if dry else "", done=_done(site, text, dry=dry), dry=dry))
        except Misconfigured as error:
            return HTMLResponse(_page(request, text=text, wrong=str(error).splitlines()), status_code=422)


def _done(site: Site, text: str, *, dry: bool) -> RosterSummary:
    lines = parse_roster(text.removeprefix("\ufeff"))
    return would_change(site.index, lines) if dry else take_over(site.index, lines, now=site.now())


def _page(
    request: Request,
    *,
    text: str = "",
    done: RosterSummary | None = None,
    dry: bool = True,
    wrong: list[str] | None = None,
) -> str:
    frame = own_frame(request, "operations")
    values = {"text": text, "done": done, "dry": dry, "wrong": wrong or []}
    return pages.render("roster.html", frame, columns=ROSTER_COLUMNS, near=CORRECTION_DAYS, **values)
