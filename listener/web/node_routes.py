"""A site in, the pages about one patient and about the node itself out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, RedirectResponse

from listener.web import control, node_report, operations, pages, patient
from listener.web.access.bodies import form_fields
from listener.web.access.who import own_frame, who
from listener.web.api import Uid
from listener.web.health import health_of
from listener.web.held_routes import held_of
from listener.web.lines import name_words
from listener.web.list_routes import zone_of
from listener.web.scanners import scanner_facts, scanner_lines
from listener.web.site import Site
from listener.web.stage_routes import stage_lines
from triage.errors import Misconfigured
from workers.access_ports import Role
from workers.deliveries.stages import LONGEST_REASON
from workers.delivery_ports import Delivery, DeliveryState, ShadowKind, delivery_facts, released_by
from workers.ports import StudyState
from workers.rules.tally import RuleCount, rule_tally
from workers.studies.person import infusions_of_person, studies_of_person
from workers.studies.set_aside import list_aside

TIMED_STUDIES = 200
SHOWN_DEAD = 100
SHOWN_FAULTS = 20
STUDY_UID = re.compile(r"^[0-9][0-9.]{0,63}$")
MOST_LISTED = 2000
STAGE_SAID = {
    "promoted": "Promoted: decisions from now on are sent.",
    "demoted": "Taken back: decisions from now on are computed and not sent.",
    "same": "Nothing is recorded: it is so already.",
}


def add_patient(app: FastAPI, site: Site) -> None:
    """Add the page of the patient of a study: no name and no ID stands in its address."""

    @app.get("/studies/{uid}/patient", response_class=HTMLResponse, include_in_schema=False)
    def page(uid: Uid, request: Request) -> str:
        return pages.render("patient.html", own_frame(request), **_patient_values(site, uid))

    @app.get("/api/studies/{uid}/patient")
    def data(uid: Uid) -> dict[str, Any]:
        """What the page of the patient of a study shows: infusions, each region over time, what was found of each
        pattern at each date, and every study with its part in the newest decision."""
        values = _patient_values(site, uid)
        curves = [{"title": one.title, "unit": one.unit, "points": one.points} for one in values["curves"]]
        courses = [{"pattern": title, "found": found} for title, *found in values["courses"]]
        shown = {name: values[name] for name in ("name", "patient_id", "infusions", "dates")}
        return {**shown, "curves": curves, "courses": courses, "studies": [asdict(one) for one in values["studies"]]}


def _patient_values(site: Site, uid: str) -> dict[str, Any]:
    """What the template of the page wants.

    Raises:
        HTTPException: 404, there is no such study.
    """
    row = site.index.study(uid)
    if row is None:
        raise HTTPException(404, "no such study")
    person = {uid, *(one.study_instance_uid for one in studies_of_person(row, site.index))}
    rows = [one for one in site.index.studies_with_id(row.patient_id) if one.study_instance_uid in person]
    found = [(one.study_instance_uid, site.index.assessment(one.study_instance_uid)) for one in rows]
    documents = {study: document for study, document in found if document is not None}
    infusions = [one.day for one in infusions_of_person(row, site.index)[0]]
    dates, courses = patient.courses_of(rows, documents)
    return {
        "name": name_words(row.patient_name) if row.patient_name else "",
        "patient_id": row.patient_id or "no patient ID",
        "back": uid if uid in documents else None,
        "infusions": [day.isoformat() for day in infusions],
        "curves": patient.curves_of(list(documents.values()), infusions),
        "dates": dates,
        "courses": courses,
        "studies": patient.studies_of(rows, documents),
    }


def add_operations(app: FastAPI, site: Site) -> None:
    """Add the page of the node, what can be done there, and the same for programs."""

    @app.get("/operations", response_class=HTMLResponse, include_in_schema=False)
    def page(
        request: Request, retried: int | None = None, released: int | None = None, again: str = "", stage: str = ""
    ) -> str:
        said = {"said": _done_words(retried, released, again=again == "1"), "stage_said": STAGE_SAID.get(stage)}
        values = said | _node_values(site, health_of(site))
        frame, may_change = own_frame(request, "operations"), who(request).role is Role.ADMINISTRATOR
        return pages.render("operations.html", frame, may_change=may_change, **values)

    @app.post("/operations/retry", include_in_schema=False)
    def retry(fields: Annotated[dict[str, str], Depends(form_fields)]) -> RedirectResponse:
        number = fields.get("number", "")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            raise HTTPException(404, "no such delivery")
        _retried(site, int(number))
        return RedirectResponse(f"/operations?retried={int(number)}", 303)

    @app.get("/api/node")
    def node() -> dict[str, Any]:
        """What the operations page shows of the node: health, studies by state, throughput, flagged studies
        of each week with their limits, each scanner with its limits, the last faults with what to do, what
        each rule did today, what went out today, what shadow mode held back, objects that state another
        patient."""
        health = health_of(site)
        values = _node_values(site, health)
        shown = ("states", "conflicts", "shadow", "today", "rules", "throughput", "aside", "would")
        faults = [asdict(one) for one in values["faults"]]
        weeks = [{**asdict(one), "share": one.share, "unusual": one.unusual} for one in values["weeks"]]
        scanners = [scanner_facts(one) for one in values["scanners"]]
        told = {"health": health, "weeks": weeks, "faults": faults, "scanners": scanners}
        return told | {name: values[name] for name in shown}

    @app.get("/api/deliveries")
    def deliveries(
        state: DeliveryState | None = None, limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = SHOWN_DEAD
    ) -> list[dict[str, Any]]:
        """What goes or went to the destinations, the newest first."""
        states = () if state is None else (state,)
        found = [] if site.deliveries is None else site.deliveries.listed(states=states, limit=limit)
        return [delivery_facts(one) for one in found]

    @app.post("/api/deliveries/{number}/retry")
    def retry_one(number: Annotated[int, PathParameter(ge=1, le=10**18)]) -> dict[str, int]:
        """Try a dead delivery again, as the button of the operations page does."""
        _retried(site, number)
        return {"number": number}


def add_study_retry(app: FastAPI, site: Site) -> None:
    """Add what assesses a study once more that failed, by the page and by the API."""

    @app.post("/operations/study", include_in_schema=False)
    def retry_study(fields: Annotated[dict[str, str], Depends(form_fields)]) -> RedirectResponse:
        uid = fields.get("study", "")
        if not STUDY_UID.match(uid):
            raise HTTPException(404, "no such study")
        _assessed_again(site, uid)
        return RedirectResponse("/operations?again=1", 303)

    @app.post("/api/studies/{uid}/retry")
    def retry_one_study(uid: Uid) -> dict[str, str]:
        """Assess a study once more that failed or was quarantined, as the button of the operations page does."""
        _assessed_again(site, uid)
        return {"study_instance_uid": uid}


def _done_words(retried: int | None, released: int | None, *, again: bool) -> str | None:
    """What the page says of the act that led to it; None: nothing was done."""
    if again:
        return "The study is assessed once more."
    if released is not None:
        return f"Delivery {released} is released."
    return None if retried is None else f"Delivery {retried} is tried again."


def _retried(site: Site, number: int) -> None:
    """Raises:
    HTTPException: there is no such delivery, or it does not wait for a human.
    """
    if site.deliveries is None or site.deliveries.one(number) is None:
        raise HTTPException(404, "no such delivery")
    if not site.deliveries.retry([number], now=site.now()):
        raise HTTPException(409, "this delivery does not wait for a human any more")


def _assessed_again(site: Site, uid: str) -> None:
    """Raises:
    HTTPException: there is no such study, or it did not fail.
    """
    row = site.index.study(uid)
    if row is None:
        raise HTTPException(404, "no such study")
    if row.state is not StudyState.FAILED or not site.index.requeue(uid, now=site.now()):
        raise HTTPException(409, "this study has not failed: it needs no retry")


def _node_values(site: Site, health: Mapping[str, Any]) -> dict[str, Any]:
    """What the template of the page wants."""
    now, zone, ways = site.now(), zone_of(site), site.deliveries
    times = [] if site.worklist is None else site.worklist.flag_times_s(limit=TIMED_STUDIES)
    since = now - timedelta(weeks=control.WEEKS)
    flags = [] if site.worklist is None else site.worklist.flags_since(since)
    days = [] if site.worklist is None else site.worklist.scanners_since(since.astimezone(zone).date())
    tallies = {} if ways is None else ways.tallies()
    recent = [] if ways is None else ways.listed(limit=MOST_LISTED)
    set_aside = site.index.conflicts()
    return {
        **operations.node_facts(health),
        "states": operations.state_counts(site.index.tallies()),
        "conflicts": len(set_aside),
        "set_aside": operations.aside_lines(set_aside, zone, most=SHOWN_DEAD),
        "times": operations.percentiles(times),
        "timed": len(times),
        "weeks": control.weeks_of(flags, zone),
        "scanners": scanner_lines(days),
        "scanner_weeks": control.WEEKS,
        "throughput": _throughput(site),
        "faults": _fault_lines(site, recent),
        "aside": node_report.aside_studies(list_aside(site.index)[:SHOWN_DEAD]),
        "most_listed": MOST_LISTED,
        "would": node_report.shadow_lines([one for one in recent if one.shadow], zone),
        "dead": [] if ways is None else ways.listed(states=(DeliveryState.DEAD,), limit=SHOWN_DEAD),
        "held": held_of(site)[:SHOWN_DEAD],
        "today": operations.today_lines(recent, now, zone),
        "rules": _rule_lines(site),
        "stages": stage_lines(site),
        "longest_reason": LONGEST_REASON,
        "shadow": sum(number for (_, state), number in tallies.items() if state == DeliveryState.SHADOW),
    }


def _throughput(site: Site) -> list[dict[str, Any]]:
    """Of the last hour and the last day."""
    if site.worklist is None:
        return []
    spans = (("last hour", timedelta(hours=1)), ("last 24 hours", timedelta(hours=24)))
    return [{"span": words, **asdict(site.worklist.throughput(site.now() - span))} for words, span in spans]


def _fault_lines(site: Site, recent: Sequence[Delivery]) -> list[node_report.FaultLine]:
    faults = [] if site.worklist is None else site.worklist.faults(limit=SHOWN_FAULTS)
    wrong = [one for one in recent if one.failure and one.state in (DeliveryState.DEAD, DeliveryState.PLANNED)]
    return node_report.fault_lines(faults, wrong, zone_of(site), most=SHOWN_FAULTS)


def _rule_lines(site: Site) -> list[dict[str, Any]]:
    """The rules in their order; one line with the fault when the file cannot be used."""
    if site.settings.results.rules is None:
        return []
    from workers.rules.listing import listed_rules

    try:
        found = listed_rules(site.settings.results)
    except Misconfigured as error:
        return [{"name": str(error), "line": 0, "at": "", "shadow": False} | _counted(RuleCount())]
    released = frozenset() if site.deliveries is None else released_by(site.deliveries.releases())
    counts = rule_tally(site.settings.store.state_dir).of(site.now().astimezone(zone_of(site)).date())
    return [
        {
            "name": one.name,
            "line": one.line,
            "at": one.at.value,
            "shadow": one.shadow and (ShadowKind.RULE, one.name) not in released,
        }
        | _counted(counts.get(one.name, RuleCount()))
        for one in found
    ]


def _counted(one: RuleCount) -> dict[str, Any]:
    """``shadow`` says of a rule that it is in shadow mode; the count needs another name."""
    return {name if name != "shadow" else "shadow_fits": value for name, value in asdict(one).items()}
