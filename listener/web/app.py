"""HTTP requests in, worklist, documents, pictures and health out. Reads only; bound to loopback unless the site says
otherwise."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from listener.web import pages
from listener.web.metrics import sweeper_age_s
from listener.web.worklist import open_worklist
from triage.errors import IcanseeError, Misconfigured, Transient
from workers.config import Settings
from workers.log import brief, get_logger
from workers.outputs.results import ResultFolder
from workers.ports import StudyIndex
from workers.queue import broker

log = get_logger(__name__)

# Begins with a digit: "." and ".." are no study.
Uid = Annotated[str, Path(pattern=r"^[0-9][0-9.]{0,63}$")]

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",  # patients: nothing stays in a browser's cache
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A study that is due and nobody takes: the workers or the beat are gone.
LONGEST_DUE_S = 300.0
SWEEPER_SILENT_S = 60.0  # it looks twice a second


@dataclass(frozen=True)
class Site:
    """What the pages are made from."""

    settings: Settings
    index: StudyIndex
    results: ResultFolder
    ping_broker: Callable[[], str]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def create_app(site: Site) -> FastAPI:
    """The application; no external assets, no interactive documentation (it would load scripts from elsewhere)."""
    app = FastAPI(title="ICANSee", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    hosts = _allowed_hosts(site.settings)
    if hosts:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)  # against DNS rebinding

    @app.middleware("http")
    async def headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers[name] = value
        return response

    @app.exception_handler(Transient)
    async def away(_request: Request, error: Transient) -> JSONResponse:
        log.warning("web.not_possible_now", error=str(error))
        return JSONResponse({"detail": "the index cannot be reached now"}, status_code=503)

    _add_api(app, site)
    _add_pages(app, site)
    return app


def _add_api(app: FastAPI, site: Site) -> None:
    @app.get("/api/studies")
    def studies() -> list[dict[str, Any]]:
        return open_worklist(site.index, now=site.now())

    @app.get("/api/studies/{uid}")
    def study(uid: Uid) -> dict[str, Any]:
        return _document(site, uid)

    @app.get("/api/studies/{uid}/versions")
    def versions(uid: Uid) -> list[dict[str, Any]]:
        return site.index.assessments(uid)

    @app.get("/api/studies/{uid}/evidence.png")
    def picture(uid: Uid) -> FileResponse:
        path = site.results.picture(uid)
        if path is None:
            raise HTTPException(404, "no picture of this study")
        return FileResponse(path, media_type="image/png")

    @app.get("/metrics")
    def metrics() -> Response:
        from listener.web.metrics import CONTENT_TYPE, Health, door_numbers, render

        facts, state_dir = health_of(site), site.settings.store.state_dir.absolute()
        health = Health(tuple(facts["problems"]), facts["free_bytes"], facts["oldest_due_s"], facts["due"])
        return Response(render(door_numbers(state_dir), site.index, health, state_dir), media_type=CONTENT_TYPE)

    @app.get("/healthz")
    def health() -> JSONResponse:
        facts = health_of(site)
        return JSONResponse(facts, status_code=200 if facts["ok"] else 503)


def _add_pages(app: FastAPI, site: Site) -> None:
    @app.get("/", response_class=HTMLResponse)
    def home() -> str:
        entries = open_worklist(site.index, now=site.now())
        return pages.home([(entry, site.index.assessment(entry["study_instance_uid"])) for entry in entries])

    @app.get("/studies/{uid}", response_class=HTMLResponse)
    def one(uid: Uid) -> str:
        return pages.study(_document(site, uid), has_picture=site.results.picture(uid) is not None)

    @app.get("/style.css")
    def style() -> Response:
        return Response(pages.STYLE, media_type="text/css")


def _document(site: Site, uid: str) -> dict[str, Any]:
    document = site.index.assessment(uid)
    if document is not None:
        return document
    row = site.index.study(uid)
    raise HTTPException(404, "no such study" if row is None else f"no decision yet (state {row.state.value})")


def health_of(site: Site) -> dict[str, Any]:
    """ok only when index and broker answer, disk is left, the sweeper looks, no due study waits for longer than five minutes
    and none is tried again and again."""
    problems: list[str] = []
    oldest_due_s, waiting, tried_often = 0.0, 0, 0
    try:
        now = site.now()
        due = site.index.due(now=now)
        waiting = len(due)
        oldest_due_s = max(((now - (row.due_at or row.ready_at or now)).total_seconds() for row in due), default=0.0)
        tried_often = site.index.tried_often(site.settings.queue.max_attempts)
    except Exception as error:  # noqa: BLE001, RUF100 - also of a damaged database: it is what this page is for
        log.error("health.index", error=brief(error), exc_info=None if isinstance(error, IcanseeError) else error)
        problems.append("index")
    try:
        site.ping_broker()
    except IcanseeError:
        problems.append("broker")
    free_bytes = _free_bytes(site.settings)
    if free_bytes < site.settings.store.min_free_bytes:
        problems.append("disk")
    if oldest_due_s > LONGEST_DUE_S or tried_often:
        problems.append("queue")
    if (sweeper_age_s(site.settings.store.state_dir) or 0.0) > SWEEPER_SILENT_S:
        problems.append("sweeper")
    return {
        "ok": not problems,
        "problems": problems,
        "free_bytes": free_bytes,
        "oldest_due_s": round(oldest_due_s, 1),
        "due": waiting,
        "tried_often": tried_often,
    }


def _free_bytes(settings: Settings) -> int:
    try:
        return shutil.disk_usage(settings.store.files_dir).free
    except OSError:
        return 0


def _allowed_hosts(settings: Settings) -> list[str]:
    """Host names a browser may use; empty: any (the site put the page behind its own name)."""
    if settings.web.allowed_hosts:
        return list(settings.web.allowed_hosts)
    loopback = ["localhost", "127.0.0.1", "[::1]", "::1"]
    return loopback if settings.web.host in loopback else []


def run(settings: Settings, *, stop: threading.Event, ready: Callable[[int], None]) -> None:
    """Serve until ``stop``.

    Raises:
        Misconfigured: web.host and web.port cannot be bound.
    """
    import uvicorn

    from workers.container import open_index, open_results

    listening = _bind(settings)
    site = Site(
        settings, open_index(settings), open_results(settings), lambda: broker.ping(broker.broker_url(settings))
    )
    server = uvicorn.Server(uvicorn.Config(create_app(site), log_config=None, access_log=False, server_header=False))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined] # ours set ``stop``
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), name="web", daemon=True)
    thread.start()
    ready(listening.getsockname()[1])
    while not stop.wait(0.2) and thread.is_alive():
        pass
    server.should_exit = True
    thread.join(5.0)


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.web.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.web.host, settings.web.port))
    except OSError as error:
        listening.close()
        raise Misconfigured(
            f"web.host/web.port: {settings.web.host}:{settings.web.port} cannot be used ({error.strerror})"
        ) from error
    listening.listen(128)
    return listening
