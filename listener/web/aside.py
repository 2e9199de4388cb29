"""Objects that state another patient than their study, for programs: list, restore, discard; as `icansee set-aside`."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from listener.web.access.who import Person, who
from listener.web.api import Uid
from listener.web.site import Site
from triage.errors import Misconfigured
from workers.identities import ObjectAnswer
from workers.studies.set_aside import answer_aside, aside_facts, aside_in, list_aside

MOST_OBJECTS = 10_000  # of one answer; an ID names more
LONGEST_ID = 512  # characters

Asks = Annotated[Person, Depends(who)]
ObjectUid = Annotated[str, Field(pattern=r"^[0-9][0-9.]{0,63}$")]


class AsideAnswered(BaseModel):
    """The body of POST /api/studies/{uid}/set-aside.

    objects: SOP Instance UIDs; patient_id: every object that states it. Without both: every object that is set aside
    and that nobody answered about.
    """

    model_config = ConfigDict(extra="forbid")

    answer: ObjectAnswer
    objects: Annotated[list[ObjectUid], Field(max_length=MOST_OBJECTS)] = []
    patient_id: Annotated[str, Field(max_length=LONGEST_ID)] | None = None


def add_aside(app: FastAPI, site: Site) -> None:
    """Add the routes."""

    @app.get("/api/set-aside")
    def everything(answered: bool = False) -> list[dict[str, Any]]:
        """Studies with objects that state another patient ID or birth date. answered: also those that somebody
        answered about."""
        return [aside_facts(one) for one in list_aside(site.index, answered=answered)]

    @app.get("/api/studies/{uid}/set-aside")
    def of_study(uid: Uid) -> dict[str, Any]:
        """The objects of one study that state another patient, and what was said about them."""
        if site.index.study(uid) is None:
            raise HTTPException(404, "no such study")
        return aside_facts(aside_in(uid, site.index))

    @app.post("/api/studies/{uid}/set-aside")
    def answer(uid: Uid, said: AsideAnswered, person: Asks) -> dict[str, Any]:
        """Restore objects (they are measured with the study) or discard them (they are not of it). The study is decided
        again by itself."""
        if site.index.study(uid) is None:
            raise HTTPException(404, "no such study")
        try:
            count = answer_aside(
                site.index,
                uid,
                said.answer,
                by=person.name,
                now=site.now(),
                objects=said.objects,
                patient_id=said.patient_id,
            )
        except Misconfigured as error:
            raise HTTPException(422, str(error)) from error
        return {"answer": said.answer.value, "objects": count, "study": aside_facts(aside_in(uid, site.index))}
