"""The process that looks for missing baselines: follow-ups in the index in, searches planned and run."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from triage.errors import Misconfigured, Transient
from triage.model import SequenceKind
from workers.audit.messages import RemoteNode
from workers.audit.spool import auditor_of
from workers.backoff import Backoff
from workers.config import Settings
from workers.heartbeat import Heartbeat, heartbeat_file
from workers.log import brief, get_logger, study_hash
from workers.node_name import node_name
from workers.ports import Clock, PatientKey, StudyRow
from workers.prior_ports import PriorSearch, PriorSearches, SearchState
from workers.prior_settings import PriorSource
from workers.priors.archive import Archive
from workers.priors.needs import needs_prior
from workers.priors.orders import OrderLook
from workers.priors.parts import ArchiveAnswer, SearchParts
from workers.priors.search import CannotBeRetrievedError, run_search
from workers.priors.search_again import ask_again

log = get_logger(__name__)

LEASE_MARGIN_S = 120.0  # beyond the time limit of an attempt
LONGEST_RETRY_S = 3600.0
LONGEST_AWAY_S = 300.0  # pause of an archive that was away, for all searches
LONGEST_LOOK_S = 300.0  # at many studies, and orders of each
LONGEST_PAUSE_S = 30.0  # while the index is away
LOOKED_AT = 500  # newest studies
LOOK_AGAIN = timedelta(seconds=30)  # at those whose archives were asked already


class PriorFinder:
    """One look after another for follow-ups without a baseline; keeps nothing that matters in memory."""

    def __init__(self, parts: SearchParts, searches: PriorSearches, clock: Clock, *, owner: str) -> None:
        self._parts, self._searches, self._clock, self._owner = parts, searches, clock, owner
        self._sources = {one.name: one for one in parts.settings.sources}
        self._look_again_at = self._looked_again_at = datetime.min.replace(tzinfo=UTC)
        self._away = Backoff(parts.settings.retry_s, LONGEST_AWAY_S)
        self._pauses_s, self._paused_until_s = dict[str, float](), dict[str, float]()
        self._retries = Backoff(parts.settings.retry_s, LONGEST_RETRY_S)

    def begin(self) -> None:
        """Take up what an earlier process of this node left when it was killed.

        Raises:
            Transient: the index is away.
        """
        released = self._searches.release(self._owner, now=self._clock.now())
        if released:
            log.info("prior.taken_up", searches=released)

    def look(self) -> int:
        """Plan searches for follow-ups that need one, also for those whose archives are to be asked again; how many
        follow-ups.

        Raises:
            Transient: the index is away.
        """
        now, found = self._clock.now(), 0
        rows = self._parts.index.studies(limit=LOOKED_AT)
        uids = [row.study_instance_uid for row in rows]
        known, fetched = self._searches.of_studies(uids), self._searches.fetched(uids)
        again = now >= self._look_again_at or now < self._looked_again_at
        if again:
            self._looked_again_at, self._look_again_at = now, now + LOOK_AGAIN
        for row in rows:
            mine = known.get(row.study_instance_uid, [])
            if row.study_instance_uid not in fetched and (not mine or again):
                found += self._plan(row, mine, now)
        return found

    def _plan(self, row: StudyRow, known: Sequence[PriorSearch], now: datetime) -> bool:
        """Whether any archive is to be asked for this study."""
        parts = self._parts
        window = needs_prior(row, parts.index, parts.settings, latest_days=parts.latest_days, now=now)
        if window is None:
            return False
        patient, searches = PatientKey(row.patient_id, row.issuer.strip()), {one.source: one for one in known}
        wanted = [
            PriorSearch(row.study_instance_uid, source.name, position, patient, now, asked_for=str(window))
            for position, source in enumerate(parts.settings.sources)
        ]
        self._searches.plan([one for one in wanted if one.source not in searches])
        planned = [one.source for one in wanted if one.source not in searches]
        for one in wanted:
            again = ask_again(searches.get(one.source), one, most=parts.settings.max_attempts)
            if again is not None and self._searches.plan_again(again, now=now):
                planned.append(again.source)
        if planned:
            log.info("prior.wanted", study=study_hash(row.study_instance_uid), sources=len(planned), again=bool(known))
        return bool(planned)

    def run_one(self) -> bool:
        """Run one search that is due; False: none is.

        Raises:
            Transient: the index is away.
        """
        lease_s = self._parts.settings.time_limit_s + LEASE_MARGIN_S
        paused = [name for name, until_s in self._paused_until_s.items() if self._clock.elapsed_s() < until_s]
        search = self._searches.take(owner=self._owner, now=self._clock.now(), for_s=lease_s, without=paused)
        if search is None:
            return False
        answer, source = ArchiveAnswer(), self._sources.get(search.source)
        if source is None:
            self._searches.finish(search, SearchState.NOT_NEEDED, {}, now=self._clock.now())
            return True
        try:
            state = run_search(search, source, self._parts, answer)
            self._pauses_s.pop(source.name, None)
        except (Transient, OSError) as error:
            self._failed(search, answer, brief(error))
        except CannotBeRetrievedError as error:
            self._failed(search, answer, str(error), lasting=True)
        except Misconfigured as error:
            self._failed(search, answer, str(error))
        except Exception as error:  # a fault of one archive's answers must not end the search at the others
            log.exception("prior.search_failed", source=source.name)
            self._failed(search, answer, f"a fault of the program ({type(error).__name__})")
        else:
            self._searches.finish(search, state, answer.document(), now=self._clock.now())
            log.info(
                "prior.answered",
                study=study_hash(search.study_instance_uid),
                source=source.name,
                state=state.value,
                images=answer.images,
            )
        return True

    def _failed(self, search: PriorSearch, answer: ArchiveAnswer, reason: str, *, lasting: bool = False) -> None:
        study = study_hash(search.study_instance_uid)
        log.warning("prior.failed", study=study, source=search.source, attempt=search.attempts, error=reason)
        # it is away: meanwhile the others are asked, for every follow-up that waits
        if not answer.candidates and not lasting:
            pause_s = self._pauses_s.get(search.source)
            pause_s = self._away.first_s if pause_s is None else self._away.next_s(pause_s)
            self._pauses_s[search.source] = pause_s
            self._paused_until_s[search.source] = self._clock.elapsed_s() + pause_s
        if lasting or search.attempts >= self._parts.settings.max_attempts:
            self._searches.give_up(search, failure=reason, answer=answer.document(), now=self._clock.now())
            return
        pause = timedelta(seconds=self._retries.pause_s(search.attempts - 1))
        due_at = self._clock.now() + pause
        self._searches.put_off(search, failure=reason, answer=answer.document(), due_at=due_at)


def run(settings: Settings, stop: threading.Event, ready: Callable[[], None]) -> None:
    """The whole process, until ``stop``. It waits for an index that is away."""
    from workers.arrival.header_process import HeaderProcess

    headers, pauses = HeaderProcess(), Backoff(settings.priors.look_every_s, LONGEST_PAUSE_S)
    alive = Heartbeat(heartbeat_file(settings.store.state_dir, "priors"))
    work: _Work | None = None
    pause_s = pauses.first_s
    _clear(settings)
    ready()
    headers.start()
    try:
        while not stop.is_set():
            alive.beat()
            try:
                work = work or _begun(settings, headers.kind_of, stop)
                with alive.during(LONGEST_LOOK_S):
                    work.look()
                with alive.during(settings.priors.time_limit_s + LEASE_MARGIN_S):
                    more = work.finder.run_one()
                if more:
                    continue
                pause_s = pauses.first_s
            except Transient as error:
                log.warning("priors.waiting", error=brief(error))
                pause_s = pauses.next_s(pause_s)
            stop.wait(pause_s)
    finally:
        headers.close()
        alive.end()


@dataclass(frozen=True)
class _Work:
    """What one process does again and again. orders None: no worklist is asked."""

    finder: PriorFinder
    orders: OrderLook | None

    def look(self) -> None:
        if self.orders is not None:
            self.orders.look()
        self.finder.look()


def _begun(settings: Settings, kind_of: Callable[[Path], SequenceKind], stop: threading.Event) -> _Work:
    """The parts over an index that can be reached.

    Raises:
        Transient: it cannot.
    """
    from workers.container import node_index, open_searches, order_texts
    from workers.files.store import open_files
    from workers.index.index_clock import clock_of
    from workers.index.order_priorities import priorities_of_orders

    index, clock = node_index(settings), clock_of(settings)
    searches = open_searches(settings)
    parts = SearchParts(
        index=index,
        store=open_files(settings),
        settings=settings.priors,
        latest_days=settings.baseline.latest_days_before_infusion,
        open_archive=archive_of(settings),
        kind_of=kind_of,
        audited=auditor_of(settings),
        scratch=_folder(settings) / "looked-at",
        note_fetched=searches.note_fetched,
        stopping=stop.is_set,
    )
    finder = PriorFinder(parts, searches, clock, owner=name_in_leases(settings))
    finder.begin()
    orders, worklist = priorities_of_orders(settings), order_texts(settings)
    both = None if orders is None or worklist is None else OrderLook(index, orders, clock, worklist.priority)
    return _Work(finder, both)


def _folder(settings: Settings) -> Path:
    """For objects while they arrive, and those that are only looked at."""
    return settings.store.state_dir.absolute() / "run" / "priors"


def _clear(settings: Settings) -> None:
    """Remove what a process that was killed left: one process of a state folder runs at a time."""
    shutil.rmtree(_folder(settings), ignore_errors=True)


def name_in_leases(settings: Settings) -> str:
    """The node in a lease: one process of a state folder runs at a time."""
    return node_name(settings.store.state_dir)[:200]


def archive_of(settings: Settings) -> Callable[[PriorSource, float], AbstractContextManager[Archive]]:
    """How an archive of the settings is connected to."""
    auditor = auditor_of(settings)
    temporary = _folder(settings) / "incoming"

    def connect(source: PriorSource, ends_s: float) -> AbstractContextManager[Archive]:
        silence_s = settings.priors.silence_limit_s
        if source.retrieve == "web":
            from workers.priors.web_archive import web_archive

            return web_archive(source, silence_s=silence_s, ends_s=ends_s)
        from workers.priors.dicom_archive import dicom_archive
        from workers.remote.find import STUDY_ROOT_FIND, encoded

        peer = RemoteNode(source.ae_title or "", source.host or "")
        return dicom_archive(
            source.target,
            settings.listener.ae_title,
            move=source.retrieve == "move",
            silence_s=silence_s,
            temporary=temporary,
            ends_s=ends_s,
            asked=lambda keys: auditor.queried(peer, STUDY_ROOT_FIND, encoded(keys)),
        )

    return connect
