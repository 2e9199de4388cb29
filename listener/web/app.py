"""HTTP requests in, worklist, documents, pictures and health out. Bound to loopback unless the site says
otherwise."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from listener.http_port import http_port
from listener.web import pages
from listener.web.access.gate import Gate
from listener.web.access.people import NOBODY_YET, People
from listener.web.access.provider import Provider
from listener.web.access.record import Recorder
from listener.web.access.rules import require_rules
from listener.web.access.sign_in import add_sign_in
from listener.web.access.through_provider import add_provider
from listener.web.access.tokens import add_tokens
from listener.web.acts import add_acts
from listener.web.api import add_api, add_state
from listener.web.api_page import add_api_page
from listener.web.aside import add_aside
from listener.web.described import PROBLEMS, PlainJson
from listener.web.held_routes import add_held
from listener.web.list_routes import add_worklist
from listener.web.node_routes import add_operations, add_patient, add_study_retry
from listener.web.refusal import answer_refused
from listener.web.roster import add_roster
from listener.web.search_api import add_search
from listener.web.site import Site
from listener.web.stage_routes import add_stage_routes
from listener.web.study import add_study
from listener.web.view_routes import add_views
from listener.web.viewer_api import add_viewer
from triage.errors import Misconfigured, Transient
from workers.audit.journal import Journal, journal_file
from workers.audit.spool import auditor_of
from workers.config import Settings
from workers.heartbeat import Heartbeat, heartbeat_file
from workers.log import get_logger
from workers.queue import broker
from workers.remote.tls import server_context
from workers.web_settings import LOOPBACK_NAMES

log = get_logger(__name__)

ASSETS = "/static"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser does not tell our own forms from forged ones
    "Cache-Control": "no-store",  # patients: nothing stays in a browser's cache
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_app(site: Site, people: People | None = None) -> FastAPI:
    """The application; no external assets, no interactive documentation (it would load scripts from elsewhere).

    Args:
        people: who may sign in; None: made from the accounts of ``site``.

    Raises:
        Misconfigured: a route has no rule, or other machines can reach the page and there are no accounts at all.
    """
    if people is None and site.accounts is not None:
        people = People(site.accounts, site.settings, now=site.now)
    if people is not None:
        _say_when_closed(people)
    elif site.settings.web.beyond_loopback:
        raise Misconfigured(NOBODY_YET)
    closed: dict[str, Any] = {"docs_url": None, "redoc_url": None}
    answers: dict[str, Any] = {"responses": PROBLEMS, "default_response_class": PlainJson}
    app = FastAPI(title="ICANSee", openapi_url="/api/openapi.json", **closed, **answers)
    journal, auditor = Journal(journal_file(site.settings)), auditor_of(site.settings)
    app.add_middleware(Gate, routes=app.routes, people=people)
    app.add_middleware(Recorder, journal=journal, now=site.now, auditor=auditor, study=site.index.study)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_allowed_hosts(site.settings))  # against DNS rebinding

    app.add_middleware(SafeHeaders)

    _add_faults(app)
    add_sign_in(app, people)
    chosen = site.settings.web.provider
    add_provider(app, people, None if chosen is None else Provider(chosen, now=site.now))
    add_tokens(app, people)
    add_api(app, site)
    add_state(app, site)
    add_api_page(app)
    add_viewer(app, site)
    if site.worklist is not None:
        add_worklist(app, site, site.worklist)
        add_search(app, site, site.worklist)
    add_views(app, site)
    add_patient(app, site)
    add_operations(app, site)
    add_held(app, site)
    add_stage_routes(app, site)
    add_study_retry(app, site)
    add_roster(app, site)
    add_aside(app, site)
    app.mount(ASSETS, StaticFiles(directory=pages.STATIC))
    add_study(app, site)
    add_acts(app, site)
    require_rules(app.routes)
    return app


class SafeHeaders:
    """Adds HEADERS to every answer. Plain ASGI: what FastAPI offers for it costs a millisecond each time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if scope["path"].startswith(ASSETS):  # no patient is in them: kept, and asked whether they changed
                    headers["Cache-Control"] = "no-cache"
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)


def _add_faults(app: FastAPI) -> None:
    @app.exception_handler(Transient)
    async def away(request: Request, error: Transient) -> Response:
        log.warning("web.not_possible_now", error=str(error))
        return answer_refused(request, 503, "the index cannot be reached now")

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> Response:
        said = "; ".join(str(one["msg"]) for one in error.errors())
        return answer_refused(request, 422, jsonable_encoder(error.errors()), why=said)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return answer_refused(request, error.status_code, error.detail, headers=error.headers)


def _say_when_closed(people: People) -> None:
    """A page that others reach and that nobody can sign in to starts closed: the node must receive images meanwhile."""
    try:
        if people.web.beyond_loopback and not people.somebody_can_sign_in():
            log.error("web.closed", why=NOBODY_YET)
    except Transient as error:
        log.warning("web.not_possible_now", error=str(error))


def _allowed_hosts(settings: Settings) -> list[str]:
    """Host names a browser may use: those of the settings, else those of this machine and the bound address; and always
    those of loopback, by which the machine asks itself.

    Never any name: a page of another site could then read the worklist through its own name. It cannot make loopback's.
    """
    if settings.web.allowed_hosts:
        return [*LOOPBACK_NAMES, *settings.web.allowed_hosts]
    own = [] if settings.web.host in LOOPBACK_NAMES else [socket.gethostname()]
    bound = [] if settings.web.host in ("0.0.0.0", "::", *LOOPBACK_NAMES) else [settings.web.host]  # noqa: S104 - a comparison
    return [*LOOPBACK_NAMES, *own, *bound]


def run(settings: Settings, *, stop: threading.Event, ready: Callable[[int], None]) -> None:
    """Serve until ``stop``.

    Raises:
        Misconfigured: web.host and web.port cannot be bound.
    """
    import uvicorn

    from listener.web.patience import PatientProtocol

    listening = http_port(settings.web.host, settings.web.port, section="web")
    site = _site(settings)
    alive = Heartbeat(heartbeat_file(settings.store.state_dir, "web"))

    async def beat() -> None:
        alive.beat()

    config = uvicorn.Config(
        create_app(site),
        log_config=None,
        access_log=False,
        server_header=False,
        http=PatientProtocol,
        proxy_headers=bool(settings.web.proxies),
        forwarded_allow_ips=list(settings.web.proxies),
    )
    config.load()
    if settings.web.tls is not None:
        config.ssl = server_context(settings.web.tls, section="web.tls")
    config.timeout_graceful_shutdown = 2  # seconds; event streams never end by themselves
    config.callback_notify, config.timeout_notify = beat, 1  # seconds; by the loop that serves the requests
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined] # ours set ``stop``
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), name="web", daemon=True)
    thread.start()
    ready(listening.getsockname()[1])
    while not stop.wait(0.2) and thread.is_alive():
        pass
    server.should_exit = True
    thread.join(5.0)
    alive.end()


def _site(settings: Settings) -> Site:
    from workers import container
    from workers.index.index_clock import clock_of

    return Site(
        settings,
        container.node_index(settings),
        container.open_results(settings),
        lambda: broker.ping(broker.broker_url(settings)),
        container.open_searches(settings) if settings.priors.wanted else None,
        container.open_deliveries(settings),
        container.open_acting(settings),
        container.open_accounts(settings),
        worklist=container.open_list(settings),
        views=container.open_views(settings),
        images=container.open_images(settings),
        now=clock_of(settings).now,
    )
