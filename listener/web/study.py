"""The page of one study: everything that is stored about it, gathered for the template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse

from listener.web import pages
from listener.web.access.who import own_frame
from listener.web.acts import acts_shown
from listener.web.api import Uid, document_of, shown_picture
from listener.web.list_routes import zone_of
from listener.web.site import Site
from listener.web.study_page import Around, links_of
from listener.web.viewer_api import viewer_index
from workers.delivery_ports import delivery_facts


def add_study(app: FastAPI, site: Site) -> None:
    """Add the page of one study."""
    digest = site.settings.sha256()

    @app.get("/studies/{uid}", response_class=HTMLResponse, include_in_schema=False)
    def study(uid: Uid, request: Request) -> str:
        document = document_of(site, uid)
        picture = shown_picture(site, uid) is not None
        return pages.study(
            document, has_picture=picture, around=_around(site, document, digest), frame=own_frame(request)
        )


def _around(site: Site, document: Mapping[str, Any], digest: str) -> Around:
    uid = str(document["study"]["study_instance_uid"])
    row = site.index.study(uid)
    try:
        viewer = viewer_index(site, uid)
    except HTTPException:  # no images, or not yet: the page stands without them
        viewer = None
    deliveries = () if site.deliveries is None else site.deliveries.listed(study_instance_uid=uid)
    return Around(
        viewer=viewer,
        versions=site.index.assessments(uid),
        deliveries=[delivery_facts(one) for one in deliveries],
        limits=site.settings.triage,
        digest=digest,
        links=links_of(site.settings.web.viewers, document, "" if row is None else row.accession_number),
        acts=acts_shown(site, uid),
        zone=zone_of(site),
    )
