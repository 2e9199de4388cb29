"""The page of one study: everything that is stored about it, gathered for the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from listener.web import pages
from listener.web.access.who import own_frame
from listener.web.acts import acts_shown
from listener.web.api import OlderVersion, Uid, document_of, shown_picture
from listener.web.list_routes import zone_of
from listener.web.site import Site
from listener.web.study_figures import without_side
from listener.web.study_page import Around, links_of
from listener.web.study_versions import version_name
from listener.web.viewer_api import NotWrittenYet, viewer_index
from workers.delivery_ports import delivery_facts

SaidOf = Annotated[Literal["older"] | None, Query()]


def add_study(app: FastAPI, site: Site) -> None:
    """Add the page of one study."""
    digest = site.settings.sha256()

    @app.get("/studies/{uid}", response_class=HTMLResponse, include_in_schema=False)
    def study(uid: Uid, request: Request, version: OlderVersion = None, said: SaidOf = None) -> str:
        versions = site.index.assessments(uid)
        newest = version is None or (bool(versions) and version == version_name(versions[-1]))
        document = document_of(site, uid) if newest else _older(versions, str(version))
        picture = shown_picture(site, uid, None if newest else version) is not None
        around = replace(
            _around(site, document, digest, versions, None if newest else version), said_of_older=said is not None
        )
        return pages.study(document, has_picture=picture, around=around, frame=own_frame(request))

    @app.get("/api/studies/{uid}/codes")
    def codes(uid: Uid) -> dict[str, str]:
        """The codes that the DICOM results state for the regions and quantities of the newest decision."""
        document = document_of(site, uid)
        known = _codes()
        named = [name for m in document["measurements"] for name in (without_side(m["region"]), str(m["quantity"]))]
        return {name: known[name] for name in sorted(set(named)) if name in known}


def _older(versions: Sequence[Mapping[str, Any]], version: str) -> dict[str, Any]:
    found = next((one["document"] for one in versions if version_name(one) == version), None)
    if found is None:
        raise HTTPException(404, "this study has no such decision")
    return dict(found)


def _around(
    site: Site, document: Mapping[str, Any], digest: str, versions: Sequence[Mapping[str, Any]], older: str | None
) -> Around:
    uid = str(document["study"]["study_instance_uid"])
    row = site.index.study(uid)
    viewer, written = None, True
    try:
        viewer = viewer_index(site, uid, older)
    except HTTPException as answer:  # no images, or not yet: the page stands without them
        written = not isinstance(answer, NotWrittenYet)
    deliveries = () if site.deliveries is None else site.deliveries.listed(study_instance_uid=uid)
    return Around(
        viewer=viewer,
        versions=versions,
        older=older,
        deliveries=[delivery_facts(one) for one in deliveries],
        limits=site.settings.triage,
        digest=digest,
        links=links_of(site.settings.web.viewers, document, "" if row is None else row.accession_number),
        acts=acts_shown(site, uid),
        acknowledged=() if site.acting is None else site.acting.deliveries.acknowledged(uid),
        zone=zone_of(site),
        row=row,
        now=site.now(),
        written=written,
    )


@cache
def _codes() -> Mapping[str, str]:
    """Region or quantity -> its code. The dictionary of codes takes a second to load: no page waits for it."""
    from workers.outputs.dicom.codes import QUANTITIES, REGIONS

    found = {**REGIONS, **QUANTITIES}
    return {name: f"{one.code.scheme_designator} {one.code.value} {one.code.meaning}" for name, one in found.items()}
