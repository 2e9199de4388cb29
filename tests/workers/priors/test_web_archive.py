"""Queries to a DICOMweb archive that answers in parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import httpx
import pytest

from triage.errors import Transient
from workers.priors.web_archive import WebArchive

HELD = 251
MORE = {"Warning": '299 server "The number of results exceeded the maximum supported by the server."'}
FUZZY = {"Warning": '299 server "The fuzzymatching parameter is not supported."'}


def _study(number: int) -> dict[str, Any]:
    return {"0020000D": {"vr": "UI", "Value": [f"1.2.3.{number}"]}}


Answers = Callable[[int, int], httpx.Response]


def _capped(most: int, headers: dict[str, str], *, pages: bool = True) -> Answers:
    def answer(limit: int, offset: int) -> httpx.Response:
        first = offset if pages else 0
        last = min(HELD, first + min(limit, most))
        return httpx.Response(200, headers=headers if last < HELD else {}, json=[_study(n) for n in range(first, last)])

    return answer


def _strict(limit: int, offset: int) -> httpx.Response:
    return httpx.Response(400) if limit > 200 else _capped(200, {})(limit, offset)


def _no_content(limit: int, offset: int) -> httpx.Response:
    return _capped(limit, FUZZY)(limit, offset) if offset < HELD else httpx.Response(204)


def _trickle(_limit: int, _offset: int) -> httpx.Response:
    def pieces() -> Iterator[bytes]:
        while True:
            time.sleep(0.01)
            yield b" "

    return httpx.Response(200, content=pieces())


def archive(answers: Answers, *, within_s: float = 60.0) -> WebArchive:
    def handle(request: httpx.Request) -> httpx.Response:
        return answers(int(request.url.params["limit"]), int(request.url.params["offset"]))

    client = httpx.Client(transport=httpx.MockTransport(handle))
    return WebArchive(client, "http://archive/dicom-web", "VNA", ends_s=time.monotonic() + within_s)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(_capped(1000, {}), id="as it should"),
        pytest.param(_strict, id="a large limit is an error"),
        pytest.param(_capped(100, MORE), id="it gives fewer, and says so"),
        pytest.param(_capped(30, MORE), id="it gives very few, and says so"),
        pytest.param(_no_content, id="nothing more is no content"),
        pytest.param(lambda _limit, _offset: _capped(HELD, {})(HELD, 0), id="it knows no pages"),
    ],
)
def test_every_answer_is_read(answers: Answers) -> None:
    found = archive(answers).studies("P1", until=date(2024, 1, 1))
    assert len({one.study_instance_uid for one in found}) == HELD == len(found)


@pytest.mark.parametrize("headers", [{}, MORE], ids=["without a word", "with a warning"])
def test_what_is_not_whole_is_no_answer(headers: dict[str, str]) -> None:
    with pytest.raises(Transient, match="does not give the rest"):
        archive(_capped(100, headers, pages=False)).studies("P1", until=date(2024, 1, 1))


def test_an_answer_without_end_ends() -> None:
    with pytest.raises(Transient, match="time"):
        archive(_trickle, within_s=0.1).studies("P1", until=date(2024, 1, 1))
