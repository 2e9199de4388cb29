"""Marks in, events out: that something changed, never what; nothing while nothing changes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from listener.web import live
from listener.web.live import ChangeWatch
from tests.listener.web.signing import Secured
from triage.errors import Transient
from workers.access_ports import Role
from workers.worklist_ports import Marks


class Marked:
    """The marks of an index that a test sets. asked: how often somebody looked."""

    def __init__(self) -> None:
        self.now, self.away, self.asked = Marks("0", "0"), False, 0
        self.slow_s = 0.0

    def marks(self, _known: Marks | None) -> Marks:
        self.asked += 1
        time.sleep(self.slow_s)
        if self.away:
            raise Transient("locked")
        return self.now


async def next_name(events: object, within_s: float = 5.0) -> str:
    event: bytes = await asyncio.wait_for(events.__anext__(), within_s)  # type: ignore[attr-defined]
    return event.decode().split("\n")[0]


def run(test: Callable[[Marked, ChangeWatch], Awaitable[None]]) -> Marked:
    async def whole() -> Marked:
        marked = Marked()
        await test(marked, ChangeWatch(marked.marks, pause_s=0.005))
        return marked

    # in a thread of its own: the browser tests of the same process leave a loop running in this one
    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(asyncio.run, whole()).result()


async def looked_again(marked: Marked) -> None:
    asked = marked.asked
    while marked.asked < asked + 3:
        await asyncio.sleep(0.005)


def test_each_page_hears_of_a_decision() -> None:
    async def test(marked: Marked, watch: ChangeWatch) -> None:
        pages = [watch.events(), watch.events()]
        assert [await next_name(page) for page in pages] == ["event: hello"] * 2
        await looked_again(marked)
        marked.now = Marks("1", "0")
        assert [await next_name(page) for page in pages] == ["event: changed"] * 2
        for page in pages:
            await page.aclose()

    run(test)


def test_nobody_takes_the_connections_of_others() -> None:
    async def test(_marked: Marked, watch: ChangeWatch) -> None:
        assert not watch.full("mina"), "noop: no page is open"
        pages = [watch.events("mina") for _ in range(live.MOST_PAGES)]
        assert [await next_name(page) for page in pages] == ["event: hello"] * live.MOST_PAGES
        assert watch.full("mina")
        assert not watch.full("omar")
        await pages.pop().aclose()
        assert not watch.full("mina"), "one was closed"
        for page in pages:
            await page.aclose()
        assert not watch._pages

    run(test)


def test_one_page_too_many_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_PAGES", 0)
    answer = Secured(tmp_path).signed_in(Role.READER).get("/events")
    assert (answer.status_code, answer.json()["detail"]) == (429, "too many pages of yours are open")


def test_a_decision_right_after_the_page_was_greeted_is_told() -> None:
    """The page loads its list when it is greeted: what comes a moment later is not in it."""

    async def test(marked: Marked, watch: ChangeWatch) -> None:
        marked.slow_s = 0.1
        page = watch.events()
        assert await next_name(page) == "event: hello"
        marked.now = Marks("1", "0")
        assert await next_name(page) == "event: changed"
        await page.aclose()

    run(test)


def test_what_is_no_decision_is_told_later_and_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "OTHER_PAUSE_S", 0.2)

    async def test(marked: Marked, watch: ChangeWatch) -> None:
        page = watch.events()
        await next_name(page)
        await looked_again(marked)
        marked.now = Marks("0", "1")
        assert await next_name(page) == "event: changed"
        await page.aclose()

    run(test)


def test_noop_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.1)

    async def test(_marked: Marked, watch: ChangeWatch) -> None:
        page = watch.events()
        assert await next_name(page) == "event: hello"
        assert [await next_name(page) for _ in range(3)] == [": nothing changed"] * 3
        await page.aclose()

    run(test)


def test_an_index_that_is_away_and_comes_back() -> None:
    async def test(marked: Marked, watch: ChangeWatch) -> None:
        page = watch.events()
        await next_name(page)
        await looked_again(marked)
        marked.away = True
        assert await next_name(page) == "event: away"
        marked.away = False
        assert await next_name(page) == "event: changed", "something may have been missed"
        await page.aclose()

    run(test)


def test_an_index_that_is_locked_and_answers_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SLOW_LOOK_S", 0.1)

    async def test(marked: Marked, watch: ChangeWatch) -> None:
        page = watch.events()
        await next_name(page)
        await looked_again(marked)
        marked.slow_s = 0.6
        began = time.monotonic()
        assert await next_name(page) == "event: away"
        marked.slow_s = 0.0
        assert await next_name(page) == "event: changed", "something may have been missed"
        assert time.monotonic() - began > 0.5
        await page.aclose()

    run(test)


def test_nobody_looks_when_no_page_is_open() -> None:
    async def test(marked: Marked, watch: ChangeWatch) -> None:
        page = watch.events()
        await next_name(page)
        await looked_again(marked)
        await page.aclose()
        await asyncio.sleep(0.1)
        asked = marked.asked
        await asyncio.sleep(0.1)
        assert marked.asked == asked

    run(test)
