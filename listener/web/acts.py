"""What a reader says about a decision: the API, the forms of the study page, and the running agreement."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from listener.web import pages
from listener.web.access.bodies import form_fields
from listener.web.access.sign_in import own_path
from listener.web.access.who import Person, own_frame, who
from listener.web.api import Uid
from listener.web.site import Site
from triage.errors import Misconfigured
from workers.act_ports import LONGEST_NOTE, Act, ActKind, act_facts
from workers.feedback.acting import Acting, Said
from workers.feedback.agreement import NO_PATTERN, NOT_ASSESSED, Agreement, agreements
from workers.feedback.assessments import as_assessments

WITHOUT_PATTERN = {NO_PATTERN: "no pattern", NOT_ASSESSED: "decided as not assessable"}
SAID_OF_OLDER = "?said=older"  # of the study page: what was said is about a decision that is not the newest any more
Asks = Annotated[Person, Depends(who)]


class ActAsked(BaseModel):
    """The body of POST /api/studies/{uid}/acts.

    revision and stage: the decision that the reader sees; without them the newest. finding: a pattern, with accept and
    reject.
    """

    model_config = ConfigDict(extra="forbid")

    kind: ActKind
    finding: str | None = None
    note: Annotated[str, Field(max_length=LONGEST_NOTE)] = ""
    revision: Annotated[int, Field(ge=0)] | None = None
    stage: str | None = None


def add_acts(app: FastAPI, site: Site) -> None:
    """Add the routes."""

    @app.get("/api/studies/{uid}/acts")
    def acts(uid: Uid) -> list[dict[str, Any]]:
        """What readers said, oldest first."""
        return [act_facts(one) for one in _acting(site).acts.acts_of(uid)]

    @app.get("/api/studies/{uid}/assessments")
    def assessments(uid: Uid) -> dict[str, Any]:
        """Which findings were accepted or rejected, by whom, when and why; shaped for IHE AIRA."""
        return as_assessments(_acting(site).acts.acts_of(uid))

    @app.post("/api/studies/{uid}/acts", status_code=201)
    def act(uid: Uid, asked: ActAsked, person: Asks) -> dict[str, Any]:
        """Acknowledge a study, agree or disagree with its decision, accept or reject a finding."""
        return act_facts(_said(site, uid, Said(**asked.model_dump()), person))

    @app.post("/studies/{uid}/acts", include_in_schema=False)
    def form(uid: Uid, person: Asks, fields: Annotated[dict[str, str], Depends(form_fields)]) -> Response:
        act = _said(site, uid, _said_in(fields), person)
        newest = site.index.assessments(uid)[-1]
        older = (act.revision, act.stage) != (newest["revision"], newest["stage"])
        back = fields.get("next", f"/studies/{uid}{SAID_OF_OLDER if older else ''}")
        return RedirectResponse(own_path(back), status_code=303)

    @app.get("/api/agreement")
    def agreement() -> list[dict[str, Any]]:
        """How often readers agree with each pattern, with the Wilson interval of 95 %."""
        return [asdict(one) for one in _agreements(site)]

    @app.get("/agreement", response_class=HTMLResponse, include_in_schema=False)
    def agreement_page(request: Request) -> str:
        found = _agreements(site)
        return pages.render("agreement.html", own_frame(request, "agreement"), agreements=found, words=WITHOUT_PATTERN)


def acts_shown(site: Site, uid: str) -> list[Act]:
    """What readers said, for the study page; nothing where nobody can say anything."""
    return [] if site.acting is None else site.acting.acts.acts_of(uid)


def _agreements(site: Site) -> list[Agreement]:
    acts = _acting(site).acts
    return agreements(acts.all_acts(), acts.not_assessed())


def _acting(site: Site) -> Acting:
    if site.acting is None:
        raise HTTPException(404, "nothing is kept here of what readers say")
    return site.acting


def _said(site: Site, uid: str, said: Said, person: Person) -> Act:
    versions = site.index.assessments(uid)
    if not versions:
        raise HTTPException(404, "no such study, or no decision yet")
    try:
        return _acting(site).say(uid, said, versions, by=person.name, now=site.now())
    except Misconfigured as error:
        raise HTTPException(422, str(error)) from error


def _said_in(fields: dict[str, str]) -> Said:
    """Raises:
    HTTPException: 422, a field cannot be what it should.
    """
    revision = fields.get("revision", "")
    try:
        kind, number = ActKind(fields.get("kind", "")), int(revision) if revision else None
    except ValueError:
        raise HTTPException(422, f"kind: one of {', '.join(ActKind)}; revision: a number") from None
    return Said(kind, fields.get("finding") or None, fields.get("note", ""), number, fields.get("stage") or None)
