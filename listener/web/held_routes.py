"""What a rule, the alert budget or a restored index holds back, and its release by page and by API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi import Path as PathParameter
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from listener.web.access.bodies import form_fields
from listener.web.access.who import Person, who
from listener.web.api import Uid
from listener.web.site import Site
from workers.deliveries.retracting import Told, release
from workers.deliveries.stored import stored_document_of
from workers.delivery_ports import Delivery, DeliveryState

LONGEST_WHY = 500
MOST_HELD = 2000
Releases = Annotated[Person, Depends(who)]


class ReleaseAsked(BaseModel):
    """The body of a release. why: the reason; it is kept."""

    model_config = ConfigDict(extra="forbid")

    why: Annotated[str, Field(max_length=LONGEST_WHY)] = ""


def add_held(app: FastAPI, site: Site) -> None:
    """Add the routes."""

    @app.post("/api/deliveries/{number}/release")
    def release_one(
        number: Annotated[int, PathParameter(ge=1, le=10**18)], asked: ReleaseAsked, person: Releases
    ) -> dict[str, Any]:
        """Send what is held back, as `icansee deliveries release` does. Who let it go, and why, stands with it."""
        return {"released": _let_go(site, _one(site, number), asked.why, person)}

    @app.post("/api/studies/{uid}/deliveries/release")
    def release_study(uid: Uid, asked: ReleaseAsked, person: Releases) -> dict[str, Any]:
        """Send everything of a study that is held back."""
        return {"released": _let_go(site, held_of(site, uid), asked.why, person)}

    @app.post("/operations/release", include_in_schema=False)
    def form(fields: Annotated[dict[str, str], Depends(form_fields)], person: Releases) -> RedirectResponse:
        number = fields.get("number", "")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            raise HTTPException(404, "no such delivery")
        _let_go(site, _one(site, int(number)), _why_in(fields), person)
        return RedirectResponse(f"/operations?released={int(number)}", 303)

    @app.post("/studies/{uid}/release", include_in_schema=False)
    def study_form(
        uid: Uid, fields: Annotated[dict[str, str], Depends(form_fields)], person: Releases
    ) -> RedirectResponse:
        _let_go(site, held_of(site, uid), _why_in(fields), person)
        return RedirectResponse(f"/studies/{uid}#out-title", 303)


def held_of(site: Site, uid: str | None = None) -> list[Delivery]:
    """What is held back of a study, or of all; the newest first."""
    if site.deliveries is None:
        return []
    return site.deliveries.listed(states=(DeliveryState.HELD,), study_instance_uid=uid, limit=MOST_HELD)


def _one(site: Site, number: int) -> list[Delivery]:
    found = None if site.deliveries is None else site.deliveries.one(number)
    if found is None:
        raise HTTPException(404, "no such delivery")
    return [found]


def _let_go(site: Site, found: Sequence[Delivery], why: str, person: Person) -> list[int]:
    """The numbers of what is sent now.

    Raises:
        HTTPException: 409, nothing of it is held back any more.
    """
    held = [one.number for one in found if one.state is DeliveryState.HELD]
    said = person.name + (f": {why.strip()}" if why.strip() else "")
    if site.deliveries is None or not held:
        raise HTTPException(409, "nothing of this is held back")
    told = Told(site.deliveries, stored_document_of(site.index), site.settings.results.retract_earlier)
    if not release(told, held, by=said, now=site.now()):
        raise HTTPException(409, "nothing of this is held back")
    return sorted(held)


def _why_in(fields: dict[str, str]) -> str:
    why = fields.get("why", "")
    if len(why) > LONGEST_WHY:
        raise HTTPException(422, f"why: at most {LONGEST_WHY} characters")
    return why
