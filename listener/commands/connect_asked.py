"""Settings in, how each system answers that the node asks out: archives, PACS, worklist, FHIR server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from time import monotonic

import httpx

from workers.arrival.order_texts import WORKLIST_FIND
from workers.config import Settings
from workers.feed_settings import FhirFeedSettings
from workers.feeds.fhir_poll import open_client
from workers.prior_settings import PriorSource
from workers.priors.dicom_archive import STUDY_ROOT_GET, STUDY_ROOT_MOVE
from workers.priors.web_archive import web_archive
from workers.remote.find import STUDY_ROOT_FIND, TIMEOUT_S
from workers.remote.probe import NOBODY, probed_peer

BEFORE_ALL = date(1900, 1, 1)
RETRIEVALS = {"get": (STUDY_ROOT_GET, "C-GET"), "move": (STUDY_ROOT_MOVE, "C-MOVE")}


def asked_peers(settings: Settings) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """Key of the settings, and what calls it and says in words what came. The calls raise Transient, Misconfigured and
    errors of the network."""
    own_ae = settings.listener.ae_title
    for source in settings.priors.sources:
        yield f"priors.sources[{source.name}]", partial(_archive, source, own_ae)
    if settings.feeds.worklist is not None:
        services = {WORKLIST_FIND: "C-FIND of a worklist"}
        yield "feeds.worklist", partial(probed_peer, settings.feeds.worklist, own_ae, services, find=WORKLIST_FIND)
    if settings.arrival.query is not None:
        services = {STUDY_ROOT_FIND: "C-FIND"}
        yield "arrival.query", partial(probed_peer, settings.arrival.query, own_ae, services, find=STUDY_ROOT_FIND)
    if settings.feeds.fhir.url is not None:
        yield "feeds.fhir", partial(_fhir, settings.feeds.fhir, settings.feeds.fhir.url)


def _archive(source: PriorSource, own_ae: str) -> list[str]:
    if source.retrieve == "web":
        with web_archive(source, silence_s=TIMEOUT_S, ends_s=monotonic() + TIMEOUT_S) as archive:
            found = archive.studies(NOBODY, until=BEFORE_ALL)
        return [f"answers QIDO-RS for a patient who is not there: {len(found)} found"]
    retrieval, name = RETRIEVALS[source.retrieve]
    services = {STUDY_ROOT_FIND: "C-FIND", retrieval: name}
    return probed_peer(source.target, own_ae, services, find=STUDY_ROOT_FIND)


def _fhir(settings: FhirFeedSettings, url: str) -> list[str]:
    with open_client(settings) as client:
        answer = client.get(f"{url.rstrip('/')}/metadata")
    return [f"{'' if answer.status_code == httpx.codes.OK else 'REFUSES us: '}GET metadata {answer.status_code}"]
