"""Settings in, the ways in beside the DICOM port out: the HTTP server of STOW-RS, and the drop folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from listener.http_port import http_port
from listener.intake import drop
from listener.intake.stow import SENDER, StowApp
from listener.intake.taking import FileTaker
from listener.receiving.reception import Reception
from triage.errors import Misconfigured
from workers.audit.spool import auditor_of
from workers.intake_settings import StowSettings
from workers.log import get_logger
from workers.remote.tls import server_context
from workers.settings import NodeSettings

log = get_logger(__name__)

STOP_S = 10.0


@contextmanager
def stow_server(settings: NodeSettings, reception: Reception) -> Iterator[int | None]:
    """Serve STOW-RS meanwhile; its port, None: it is off.

    Raises:
        Misconfigured: host and port cannot be bound, or certificate or token cannot be read.
    """
    stow = settings.stow
    if stow.port is None:
        yield None
        return
    import uvicorn

    def taker(study: str | None) -> FileTaker:
        return FileTaker(reception, settings.listener, sender=SENDER, study_instance_uid=study)

    app = StowApp(stow, taker, token=_token(stow), auditor=auditor_of(settings))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=5
    )
    config.load()
    if stow.tls is not None:
        config.ssl = server_context(stow.tls, section="stow.tls")
    listening = http_port(stow.host, stow.port, section="stow")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined] # ours set ``stop``
    thread = threading.Thread(target=lambda: server.run(sockets=[listening]), name="stow", daemon=True)
    thread.start()
    port = int(listening.getsockname()[1])
    log.info("stow.listening", port=port, tls=stow.tls is not None)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(STOP_S)
        listening.close()


def drop_folder_of(settings: NodeSettings, reception: Reception) -> drop.DropFolder | None:
    """The drop folder of the settings; None: there is none.

    Raises:
        Misconfigured: see listener.intake.drop.drop_folder.
    """
    if settings.store.drop_dir is None:
        return None
    return drop.drop_folder(
        settings, lambda: FileTaker(reception, settings.listener, sender=drop.SENDER), auditor_of(settings)
    )


def _token(stow: StowSettings) -> str | None:
    if stow.token_file is None:
        return None
    try:
        token = stow.token_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Misconfigured(f"stow.token_file: cannot be read ({error.strerror})") from error
    if not token:
        raise Misconfigured("stow.token_file: it is empty")
    return token
