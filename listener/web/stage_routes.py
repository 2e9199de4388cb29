"""Shadow mode and its end by the page of the node and by the API, as ``icansee deliveries promote | demote``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from listener.web.access.bodies import form_fields
from listener.web.access.who import Person, who
from listener.web.list_routes import zone_of
from listener.web.node_report import site_time_words
from listener.web.site import Site
from triage.errors import Misconfigured
from workers.deliveries.stages import (
    LONGEST_REASON,
    Promoter,
    StageKey,
    UnknownStage,
    move_stage,
    readable_stages,
    stage_facts,
    stage_words,
)
from workers.delivery_ports import Deliveries, ShadowKind

LONGEST_NAME = 2000  # characters; a rule may have any name
Decides = Annotated[Person, Depends(who)]


class StageMoved(BaseModel):
    """The body of a promotion, and of its way back.

    kind, name: as GET /api/stages names the stage; the name of the site is empty. why: the reason; it is needed, and
    kept.
    """

    model_config = ConfigDict(extra="forbid")

    kind: ShadowKind
    name: Annotated[str, Field(max_length=LONGEST_NAME)] = ""
    why: Annotated[str, Field(max_length=LONGEST_REASON)]


def add_stage_routes(app: FastAPI, site: Site) -> None:
    """Add the routes."""

    @app.get("/api/stages")
    def stages() -> list[dict[str, Any]]:
        """What the settings put into shadow mode: kind, name, whether it still is, and who promoted it or took that
        back, when and why, oldest first."""
        return stage_facts(readable_stages(site.settings.results), _known(site).releases())

    @app.post("/api/stages/promote")
    def promote(asked: StageMoved, person: Decides) -> dict[str, Any]:
        """End the shadow mode of the site, a destination, a scanner, a pattern or a rule, as `icansee deliveries
        promote` does: decisions from now on are sent. Who and why is kept. changed: false when it was released already;
        nothing is recorded then."""
        return _moved(site, (asked.kind, asked.name), asked.why, person, promoted=True)

    @app.post("/api/stages/demote")
    def demote(asked: StageMoved, person: Decides) -> dict[str, Any]:
        """Take a promotion back, as `icansee deliveries demote` does. changed: false when it is in shadow mode already;
        nothing is recorded then."""
        return _moved(site, (asked.kind, asked.name), asked.why, person, promoted=False)

    @app.post("/operations/stage", include_in_schema=False)
    def form(fields: Annotated[dict[str, str], Depends(form_fields)], person: Decides) -> RedirectResponse:
        promoted = {"promote": True, "demote": False}.get(fields.get("do", ""))
        try:
            stage = ShadowKind(fields.get("kind", "")), fields.get("name", "")
        except ValueError:
            raise HTTPException(404, "nothing of this kind is in shadow mode") from None
        if promoted is None:
            raise HTTPException(422, "do: promote or demote")
        changed = _moved(site, stage, fields.get("why", ""), person, promoted=promoted)["changed"]
        return RedirectResponse(f"/operations?stage={fields['do'] + 'd' if changed else 'same'}#h-shadow", 303)


def stage_lines(site: Site) -> list[dict[str, Any]]:
    """The stages as the page of the node shows them; none where nothing is known of deliveries."""
    if site.deliveries is None:
        return []
    zone = zone_of(site)
    lines = stage_facts(readable_stages(site.settings.results), site.deliveries.releases())
    for line in lines:
        line["words"] = stage_words((ShadowKind(line["kind"]), line["name"]))
        line["history"] = [one | {"at": site_time_words(one["at"], zone)} for one in reversed(line["history"])]
    return lines


def _known(site: Site) -> Deliveries:
    if site.deliveries is None:
        raise HTTPException(404, "nothing is known here of results on their way")
    return site.deliveries


def _moved(site: Site, stage: StageKey, why: str, person: Person, *, promoted: bool) -> dict[str, Any]:
    """Raises:
    HTTPException: 404, the settings do not put it into shadow mode; 422, there is no reason.
    """
    known, promoter = _known(site), Promoter(person.name, why, token=person.token)
    try:
        record = move_stage(site.settings, known, stage, promoter, promoted=promoted, now=site.now())
    except UnknownStage as error:
        raise HTTPException(404, str(error)) from error
    except Misconfigured as error:
        raise HTTPException(422, str(error)) from error
    (facts,) = stage_facts([stage], known.releases())
    return {"changed": record is not None, **facts}
