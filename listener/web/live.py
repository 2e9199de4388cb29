"""Marks of the index in, server-sent events out: that the list changed, and never what.

One watcher serves all open pages of a process. It asks for the marks only while a page is open.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

from triage.errors import Transient
from workers.log import brief, get_logger
from workers.worklist_ports import Marks

log = get_logger(__name__)

PAUSE_S = 0.05  # between two looks; a decision is on the screen at most this much later than it could be
# While images arrive, each look counts the rows anew: 8 ms with 10,000 studies. Looks take a tenth of the time, so that
# the pause follows how long the last one took; but a look is never later than this.
PAUSES_PER_LOOK, LATEST_LOOK_S = 9, 0.2
SLOW_LOOK_S = 3.0  # an index that does not answer within this time is away for the pages, before it gives up itself
OTHER_PAUSE_S = 2.0  # images arrive many times a second: this often a page hears of them
HEARTBEAT_S = 20.0  # proxies close a connection on which nothing happens, often after 30 s or 60 s
MOST_PAGES = 100  # of one person; a process may have 1024 connections and files by default, and a hidden page has none
HELLO, CHANGED, AWAY = "hello", "changed", "away"


class ChangeWatch:
    """Tells pages that something changed.

    Args:
        marks: the present marks, or the ones given when they are the same. It may raise Transient.
    """

    def __init__(self, marks: Callable[[Marks | None], Marks], *, pause_s: float = PAUSE_S) -> None:
        self._marks, self._pause_s = marks, pause_s
        self._number, self._away, self._pages = 0, False, Counter[str]()  # open pages, by person
        self._run = f"{time.time_ns():x}"  # a page that outlives this process must not take its number for a later one
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()  # the watcher knows what it compares with

    def full(self, person: str) -> bool:
        """Whether a person has so many pages open that another one would take connections from others."""
        return self._pages[person] >= MOST_PAGES

    async def events(self, person: str = "") -> AsyncIterator[bytes]:
        """The event stream of one page, without end."""
        self._pages[person] += 1
        if self._task is None or self._task.done():
            self._looked = asyncio.Event()
            self._task = asyncio.create_task(self._watch(self._looked))
        try:
            await self._looked.wait()  # a page loads its list on HELLO: what comes later must differ from the marks
            seen = (self._number, self._away)
            yield self._event(HELLO)
            while True:
                try:
                    async with asyncio.timeout(HEARTBEAT_S), self._changed:
                        while (self._number, self._away) == seen:
                            await self._changed.wait()
                except TimeoutError:
                    yield b": nothing changed\n\n"
                    continue
                seen = (self._number, self._away)
                yield self._event(AWAY if self._away else CHANGED)
        finally:
            self._pages[person] -= 1
            self._pages += Counter()  # forgets who has none

    def _event(self, name: str) -> bytes:
        return f"event: {name}\ndata: {self._run}-{self._number}\n\n".encode()

    async def _watch(self, looked: asyncio.Event) -> None:
        """Until the last page is closed. What changed before it began is no change: each page loads its list anew when
        it is connected."""
        try:
            await self._look_again_and_again(looked)
        finally:
            looked.set()

    async def _look_again_and_again(self, looked: asyncio.Event) -> None:
        found: Marks | None = None  # now
        told: Marks | None = None  # when the pages last heard of a change
        told_at = time.monotonic()
        while self._pages:
            away, before, began = False, self._number, time.monotonic()
            try:
                found = await self._look(found)
            except Transient as error:
                away = True
                if not self._away:
                    log.warning("web.list_not_watched", error=brief(error))
            else:
                told = told or found
                waited = time.monotonic() - told_at >= OTHER_PAUSE_S
                if found.decided != told.decided or (waited and found.other != told.other):
                    told, told_at = found, time.monotonic()
                    self._number += 1
            looked.set()
            if self._number != before or self._away != away:
                await self._tell(away=away)
            await asyncio.sleep(self._pause_after(time.monotonic() - began))

    async def _look(self, known: Marks | None) -> Marks:
        """The present marks. While a locked index keeps the answer back, the pages hear that it is away."""
        look = asyncio.create_task(asyncio.to_thread(self._marks, known))
        done, _ = await asyncio.wait({look}, timeout=SLOW_LOOK_S)
        if not done and not self._away:
            log.warning("web.list_not_watched", error="the index does not answer")
            await self._tell(away=True)
        return await look

    async def _tell(self, *, away: bool) -> None:
        async with self._changed:
            self._away = away
            self._changed.notify_all()

    def _pause_after(self, look_s: float) -> float:
        return max(self._pause_s, min(LATEST_LOOK_S, PAUSES_PER_LOOK * look_s))
