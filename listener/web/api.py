"""A site in, the JSON API, the metrics and the health check out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from listener.web.described import pictures
from listener.web.health import ailing, health_of
from listener.web.site import Site
from listener.web.worklist import open_worklist
from workers.delivery_ports import delivery_facts
from workers.studies.prior_notes import noted
from workers.studies.tag_notes import tagged

# Begins with a digit: "." and ".." are no study.
Uid = Annotated[str, PathParameter(pattern=r"^[0-9][0-9.]{0,63}$")]
VERSION = r"^r[0-9]{1,9}-(first_look|full)$"
OlderVersion = Annotated[str | None, Query(pattern=VERSION, description="as the viewer names it; without: the newest")]


def add_api(app: FastAPI, site: Site) -> None:
    """Add the routes that answer with data."""

    @app.get("/api/studies")
    def studies(response: Response) -> list[dict[str, Any]]:
        """The worklist, as `icansee studies --json`: every P1, then the most urgent. X-Total-Count says how many
        studies there are."""
        entries = open_worklist(site.index, now=site.now(), images=site.images)
        response.headers["X-Total-Count"] = str(max(site.index.number_of_studies(), len(entries)))
        return entries

    @app.get("/api/studies/{uid}")
    def study(uid: Uid) -> dict[str, Any]:
        """The newest decision of a study, as `icansee show --json`."""
        return document_of(site, uid)

    @app.get("/api/studies/{uid}/versions")
    def versions(uid: Uid) -> list[dict[str, Any]]:
        """Every decision of a study, the oldest first."""
        return site.index.assessments(uid)

    @app.get("/api/studies/{uid}/evidence.png", response_class=Response, responses=pictures("image/png"))
    def picture(uid: Uid, version: OlderVersion = None) -> FileResponse:
        """The picture of the decision (PNG)."""
        path = shown_picture(site, uid, version)
        if path is None:
            raise HTTPException(404, "no picture of this study")
        return FileResponse(path, media_type="image/png")

    @app.get("/api/studies/{uid}/deliveries")
    def deliveries(uid: Uid) -> list[dict[str, Any]]:
        """Where the decision went, and what the receivers said."""
        if site.deliveries is None:
            return []
        return [delivery_facts(one) for one in site.deliveries.listed(study_instance_uid=uid)]


def add_state(app: FastAPI, site: Site) -> None:
    """Add what programs watch: metrics and health."""

    @app.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> Response:
        """Numbers for Prometheus; no patient."""
        from listener.web.metrics import CONTENT_TYPE, Health, door_numbers, render

        facts, state_dir = health_of(site), site.settings.store.state_dir.absolute()
        works = {name: name not in ailing(facts["processes"]) for name in facts["processes"]}
        health = Health(
            tuple(facts["problems"]),
            facts["free_bytes"],
            facts["oldest_due_s"],
            facts["due"],
            works,
            facts["deliveries"],
        )
        return Response(render(door_numbers(state_dir), site.index, health, state_dir), media_type=CONTENT_TYPE)

    @app.get("/healthz", responses={503: {"description": "something is wrong"}})
    def health() -> JSONResponse:
        """What is wrong with the node; 503 when something is."""
        facts = health_of(site)
        return JSONResponse(facts, status_code=200 if facts["ok"] else 503)


def shown_picture(site: Site, uid: str, version: str | None = None) -> Path | None:
    """The picture of the decision that is shown; None: it has none. version: an older one."""
    if version is not None:
        revision, _, stage = version[1:].partition("-")
        path = site.results.place(uid, int(revision), stage) / "evidence.png"
        return path if path.is_file() else None
    row = site.index.study(uid)
    return None if row is None else site.results.picture(uid, row.decided_revision)


def document_of(site: Site, uid: str) -> dict[str, Any]:
    """The newest decision of a study; 404 without one."""
    document = site.index.assessment(uid)
    if document is not None:
        return tagged(noted(document, site.searches, uid), site.images, uid)
    row = site.index.study(uid)
    raise HTTPException(404, "no such study" if row is None else f"no decision yet (state {row.state.value})")
