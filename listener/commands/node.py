"""Commands that run the node: serve (everything), or one process each: listener, worker, beat, web."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from listener.commands.common import ConfigOption, load_settings
from listener.node.private import keep_private
from listener.node.processes import counted, note_start
from listener.node.running import announce, ready_file, withdraw
from listener.node.signals import end_with_parent, stop_on_signals
from workers import log
from workers.config import Settings

ParentOption = Annotated[int | None, typer.Option("--parent", hidden=True)]
UrgentOption = Annotated[
    bool, typer.Option("--urgent", help="only studies taken after a known infusion, one at a time")
]
ReadyOption = Annotated[Path | None, typer.Option("--ready-file", help="written (JSON) once everything runs")]


def serve(config: ConfigOption = None, ready: ReadyOption = None, parent: ParentOption = None) -> None:
    """Run the whole node in the foreground: broker (unless queue.url names one) and every process of the settings."""
    settings = load_settings(config)
    keep_private(settings)
    log.configure(settings.log, process="serve")
    if parent is not None:
        end_with_parent(parent)
    from listener.node.supervisor import Supervisor

    stop = stop_on_signals()
    Supervisor(settings, config_path=config, ready_file=ready).run(stop)


def listener(config: ConfigOption = None, parent: ParentOption = None) -> None:
    """Receive DICOM objects (C-STORE, C-ECHO)."""
    settings = load_settings(config)
    keep_private(settings)
    note_start(settings.store.state_dir, "listener")
    from listener.door import program as door

    door.become(settings.node(), parent)


def worker(config: ConfigOption = None, urgent: UrgentOption = False, parent: ParentOption = None) -> None:
    """Assess studies that are due."""
    name = "urgent" if urgent else "worker"
    settings = begin(config, name, parent)
    from celery import signals

    from triage.libraries import load_now
    from workers.container import open_deps
    from workers.files.store import open_files
    from workers.queue.app import make_worker_app, run_worker
    from workers.queue.bell import CeleryBell, make_app
    from workers.queue.broker import broker_url

    load_now()  # before the children are forked: they share its memory
    url = broker_url(settings)
    open_files(settings)  # complain here rather than in every child
    bell = CeleryBell(make_app(url, settings))
    app = make_worker_app(url, settings, lambda: open_deps(settings, bell, prepare_later=bell.prepare_later))
    path = ready_file(settings, name)

    def ready(**_: object) -> None:
        announce(path)

    signals.worker_ready.connect(ready, weak=False)
    try:
        with counted(settings.store.state_dir, name):
            run_worker(app, settings, only_urgent=urgent)
    finally:
        withdraw(path)


def beat(config: ConfigOption = None, parent: ParentOption = None) -> None:
    """Notice complete studies, and tell the workers which studies are due."""
    settings = load_settings(config)
    keep_private(settings)
    note_start(settings.store.state_dir, "beat")
    from listener.node.settings_descriptor import turn_into

    turn_into("listener.node.beat_program", settings.node(), parent)


def web(config: ConfigOption = None, parent: ParentOption = None) -> None:
    """Worklist page and HTTP API."""
    settings = begin(config, "web", parent)
    from listener.web import app as site

    def ready(port: int) -> None:
        announce(ready_file(settings, "web"), port=port, host=settings.web.host)

    run_until_stopped(settings, "web", lambda stop: site.run(settings, stop=stop, ready=ready))


def begin(config: Path | None, name: str, parent: int | None) -> Settings:
    """The settings of a process of the node, with its log configured and its start on record."""
    settings = load_settings(config)
    keep_private(settings)
    note_start(settings.store.state_dir, name)
    log.configure(settings.log, process=name)
    if parent is not None:
        end_with_parent(parent)
    return settings


def run_until_stopped(settings: Settings, name: str, body: Callable[[threading.Event], None]) -> None:
    """The work of a process until a signal stops it."""
    try:
        with counted(settings.store.state_dir, name):
            body(stop_on_signals())
    finally:
        withdraw(ready_file(settings, name))
