"""Settings in, the running feeds out: an MLLP port that stores messages, a thread that applies them to the index."""

from __future__ import annotations

import asyncio
import ipaddress
import threading
import time
from collections.abc import Callable

from listener.mllp.server import Door, MllpServer, Take
from triage.errors import Misconfigured
from workers.config import Settings
from workers.feed_settings import FhirFeedSettings, Hl7FeedSettings
from workers.feeds.apply import Applier, PatientFacts, Readings
from workers.feeds.facts import Fact
from workers.feeds.fhir_poll import FhirPoll, open_client
from workers.feeds.folders import feeds_folder, fhir_progress, open_inbox, open_orders
from workers.feeds.hl7_fields import Header
from workers.feeds.inbox import Inbox
from workers.feeds.loop import Job, Loop
from workers.heartbeat import Heartbeat, heartbeat_file
from workers.log import get_logger
from workers.remote.tls import server_context

log = get_logger(__name__)

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
FORGET_EVERY_S = 3600.0

OpenIndex = Callable[[], PatientFacts]
OpenReadings = Callable[[], Readings | None]


class LateIndex:
    """Applies facts to the index, which is opened at the first fact: messages are taken while the database is away."""

    def __init__(self, settings: Settings, open_index: OpenIndex, open_readings: OpenReadings | None = None) -> None:
        self._settings = settings
        self._open, self._open_readings = open_index, open_readings
        self._applier: Applier | None = None
        self._one_at_a_time = threading.Lock()

    def __call__(self, facts: tuple[Fact, ...], source: str) -> None:
        with self._one_at_a_time:
            if self._applier is None:
                readings = None if self._open_readings is None else self._open_readings()
                self._applier = Applier(self._open(), open_orders(self._settings), readings)
            self._applier(facts, source)


def run(
    settings: Settings,
    *,
    stop: threading.Event,
    ready: Callable[[int | None], None],
    index: OpenIndex,
    readings: OpenReadings | None = None,
) -> None:
    """Until ``stop``. What was acknowledged and not applied by then is applied at the next start.

    Raises:
        Misconfigured: feeds.hl7.host and port cannot be bound, or the certificates cannot be used.
    """
    feeds_folder(settings).mkdir(parents=True, exist_ok=True, mode=0o700)
    inbox, apply = open_inbox(settings), LateIndex(settings, index, readings)
    alive = Heartbeat(heartbeat_file(settings.store.state_dir, "feeds"))
    loop = Loop(jobs(inbox, _alive_before_each(apply, alive.beat)), alive=alive.beat)
    # a FHIR server that is slow holds up no message
    slow = Loop(fhir_jobs(settings.feeds.fhir, apply, settings), alive=lambda: None)
    threads = [threading.Thread(target=one.run, args=(stop,), name="feeds") for one in (loop, slow)]
    for thread in threads:
        thread.start()
    try:
        if settings.feeds.hl7.port is None:
            ready(None)
            stop.wait()
        else:
            asyncio.run(_listen(settings.feeds.hl7, _waking(inbox.take, loop), stop, ready))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        alive.end()


def _alive_before_each(
    apply: Callable[[tuple[Fact, ...], str], None], alive: Callable[[], None]
) -> Callable[[tuple[Fact, ...], str], None]:
    """Many messages that wait are no silence."""

    def applied(facts: tuple[Fact, ...], source: str) -> None:
        alive()
        apply(facts, source)

    return applied


def jobs(inbox: Inbox, apply: Callable[[tuple[Fact, ...], str], None]) -> list[Job]:
    def forget_old() -> int:
        inbox.forget_old(now_s=time.time())
        return 0

    return [Job("hl7", lambda: inbox.apply_waiting(apply)), Job("hl7_forget", forget_old, FORGET_EVERY_S)]


def fhir_jobs(fhir: FhirFeedSettings, apply: LateIndex, settings: Settings) -> list[Job]:
    """The polls of the FHIR server, when one is configured."""
    if fhir.url is None:
        return []
    poll = FhirPoll(fhir, apply, fhir_progress(settings), open_client(fhir))
    return [Job("fhir", poll.poll, fhir.every_s)]


def door_of(settings: Hl7FeedSettings, take: Take) -> Door:
    """Who may connect: this machine, and the listed peers."""
    listed = tuple(ipaddress.ip_network(peer, strict=False) for peer in settings.peers)
    tls = None if settings.tls is None else server_context(settings.tls, section="feeds.hl7.tls")
    return Door(take, (*LOOPBACK, *listed), tls)


async def _listen(
    settings: Hl7FeedSettings, take: Take, stop: threading.Event, ready: Callable[[int | None], None]
) -> None:
    door = door_of(settings, take)
    try:
        async with MllpServer(door, host=settings.host, port=settings.port or 0) as server:
            log.info("hl7.listening", port=server.port, tls=door.tls is not None)
            ready(server.port)
            await asyncio.to_thread(stop.wait)
    except OSError as error:
        raise Misconfigured(
            f"feeds.hl7.host/feeds.hl7.port: {settings.host}:{settings.port} cannot be used ({error.strerror})"
        ) from error


def _waking(take: Take, loop: Loop) -> Take:
    def taken(raw: bytes) -> tuple[Header, str]:
        found = take(raw)
        loop.wake("hl7")
        return found

    return taken
