"""A site in, the pages about one patient and about the node itself out."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from listener.web import operations, pages, patient
from listener.web.access.bodies import form_fields
from listener.web.access.who import own_frame
from listener.web.api import Uid
from listener.web.health import health_of
from listener.web.lines import name_words
from listener.web.site import Site
from workers.delivery_ports import DeliveryState
from workers.ports import PatientKey

TIMED_STUDIES = 200
SHOWN_DEAD = 100


def add_patient(app: FastAPI, site: Site) -> None:
    """Add the page of the patient of a study: no name and no ID stands in its address."""

    @app.get("/studies/{uid}/patient", response_class=HTMLResponse, include_in_schema=False)
    def page(uid: Uid, request: Request) -> str:
        row = site.index.study(uid)
        if row is None:
            raise HTTPException(404, "no such study")
        rows = [one for one in site.index.studies_with_id(row.patient_id) if one.issuer == row.issuer]
        found = [(one.study_instance_uid, site.index.assessment(one.study_instance_uid)) for one in rows]
        documents = {study: document for study, document in found if document is not None}
        infusions = [one.day for one in site.index.infusions_of(PatientKey(row.patient_id, row.issuer))]
        dates, courses = patient.courses_of(rows, documents)
        names = [one.patient_name for one in site.index.instances(uid)[:1]]
        return pages.render(
            "patient.html",
            own_frame(request),
            name=name_words(names[0]) if names else "",
            patient_id=row.patient_id or "no patient ID",
            back=uid if uid in documents else None,
            infusions=[day.isoformat() for day in infusions],
            curves=patient.curves_of(list(documents.values()), infusions),
            dates=dates,
            courses=courses,
            studies=patient.studies_of(rows, documents),
        )


def add_operations(app: FastAPI, site: Site) -> None:
    """Add the page of the node, and what can be done there."""

    @app.get("/operations", response_class=HTMLResponse, include_in_schema=False)
    def page(request: Request, retried: int | None = None) -> str:
        times = [] if site.worklist is None else site.worklist.flag_times_s(limit=TIMED_STUDIES)
        ways = site.deliveries
        dead = [] if ways is None else ways.listed(states=(DeliveryState.DEAD,), limit=SHOWN_DEAD)
        tallies = {} if ways is None else ways.tallies()
        return pages.render(
            "operations.html",
            own_frame(request, "operations"),
            **operations.node_facts(health_of(site)),
            states=operations.state_counts(site.index.tallies()),
            conflicts=len(site.index.conflicts()),
            times=operations.percentiles(times),
            timed=len(times),
            dead=dead,
            shadow=sum(number for (_, state), number in tallies.items() if state == DeliveryState.SHADOW),
            said=None if retried is None else f"Delivery {retried} is tried again.",
        )

    @app.post("/operations/retry", include_in_schema=False)
    def retry(fields: Annotated[dict[str, str], Depends(form_fields)]) -> RedirectResponse:
        number = fields.get("number", "")
        if site.deliveries is None or not number.isascii() or not number.isdigit() or len(number) > 18:
            raise HTTPException(404, "no such delivery")
        if not site.deliveries.retry([int(number)], now=site.now()):
            raise HTTPException(409, "this delivery does not wait for a human any more")
        return RedirectResponse(f"/operations?retried={int(number)}", 303)
