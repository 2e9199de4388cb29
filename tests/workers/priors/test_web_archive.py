"""Queries to a DICOMweb archive that answers in parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders_dicom import a_series
from triage.errors import Rejected, Transient
from workers.files.part10 import Announced
from workers.files.store import FileStore, Spool
from workers.files.stored import Stored
from workers.priors.archive import SeriesFailedError
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


def _partial(_limit: int, offset: int) -> httpx.Response:
    """As PS3.18 had it before 2017: 206 while there is more, also with fewer than were asked for."""
    last = min(HELD, offset + 40)
    return httpx.Response(206 if last < HELD else 200, json=[_study(n) for n in range(offset, last)])


def _overlapping(limit: int, offset: int) -> httpx.Response:
    """It counts from one: the last answer of a page is the first one of the next."""
    return _capped(1000, {})(limit, max(0, offset - 1))


@pytest.mark.parametrize("answers", [_partial, _overlapping])
def test_every_answer_of_an_odd_archive_is_read(answers: Answers) -> None:
    found = archive(answers).studies("P1", until=date(2024, 1, 1))
    assert len({one.study_instance_uid for one in found}) == HELD == len(found)


@pytest.mark.parametrize("status", [400, 401, 404, 500, 302])
def test_an_error_is_no_answer(status: int) -> None:
    with pytest.raises(Transient, match=str(status)):
        archive(lambda _limit, _offset: httpx.Response(status)).studies("P1", until=date(2024, 1, 1))


@pytest.mark.parametrize(
    ("stated", "modalities"),
    [
        pytest.param(["MR", "SR"], ("MR", "SR"), id="no-op"),
        pytest.param(["MR\\SR"], ("MR", "SR"), id="one text"),
        pytest.param([], (), id="not measured: not stated"),
    ],
)
def test_modalities_of_a_study(stated: list[str], modalities: tuple[str, ...]) -> None:
    answer = _study(1) | {"00080061": {"vr": "CS", "Value": stated}}
    (found,) = archive(lambda _limit, _offset: httpx.Response(200, json=[answer])).studies("P", until=date(2024, 1, 1))
    assert found.modalities == modalities


class Taken:
    """workers.priors.archive.Taker that counts."""

    def __init__(self, folder: Path) -> None:
        self._store, self.files, self.why = FileStore(folder, min_free_bytes=0), 0, ""

    def begin(self, announced: Announced) -> Spool:
        return self._store.spool(announced)

    def finish(self, spool: Spool) -> Stored:
        self.files += 1
        return spool.finish()

    def refused(self, refusal: Rejected) -> None:
        self.why = refusal.reason


def _enveloped(
    *parts: bytes, boundary: str = "b", head: str = "Content-Type: application/dicom", before: str = ""
) -> bytes:
    begun = b"".join(b"--" + boundary.encode() + f"\r\n{head}\r\n\r\n".encode() + one + b"\r\n" for one in parts)
    return before.encode() + begun + b"--" + boundary.encode() + b"--\r\nepilogue"


MULTIPART = 'multipart/related; type="application/dicom"; boundary='


@pytest.mark.parametrize(
    ("kind", "made", "files"),
    [
        pytest.param(f"{MULTIPART}b", lambda one: _enveloped(one, one), 2, id="no-op"),
        pytest.param(f'{MULTIPART}"a; b=c"', lambda one: _enveloped(one, boundary="a; b=c"), 1, id="quoted"),
        pytest.param(f"{MULTIPART}----=_P.1", lambda one: _enveloped(one, boundary="----=_P.1"), 1, id="odd, unquoted"),
        pytest.param(
            "Multipart/Related; Boundary=b", lambda one: _enveloped(one, head="content-type:application/dicom"), 1,
            id="small letters, no type",
        ),
        pytest.param(f"{MULTIPART}b", lambda one: _enveloped(one, before="preamble\r\n"), 1, id="text before it"),
        pytest.param(f"{MULTIPART}b", lambda one: _enveloped(b"--b", one), 1, id="one part is no file"),
        pytest.param("application/dicom", lambda one: one, 1, id="one object without an envelope"),
        pytest.param(f"{MULTIPART}b", lambda _one: _enveloped(), 0, id="no part"),
    ],
)  # fmt: skip
def test_what_an_answer_holds(tmp_path: Path, kind: str, made: Callable[[bytes], bytes], files: int) -> None:
    (one,) = a_series(tmp_path / "in", count=1)
    content = made(one.read_bytes())
    client = httpx.Client(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=content, headers={"Content-Type": kind}))
    )
    taken = Taken(tmp_path / "state")
    WebArchive(client, "http://a", "VNA", ends_s=float("inf")).fetch("1.2", "1.3", None, taken)
    assert taken.files == files


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        pytest.param("application/dicom+json", b"[]", id="another type"),
        pytest.param(f"{MULTIPART}b", b"--b\r\n\r\nhalf", id="it ends in a part"),
        pytest.param("multipart/related", b"--b--", id="no boundary"),
    ],
)
def test_an_answer_that_is_not_whole_costs_its_series(tmp_path: Path, kind: str, content: bytes) -> None:
    client = httpx.Client(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=content, headers={"Content-Type": kind}))
    )
    with pytest.raises(SeriesFailedError, match="not complete"):
        WebArchive(client, "http://a", "VNA", ends_s=float("inf")).fetch("1.2", "1.3", None, Taken(tmp_path))
