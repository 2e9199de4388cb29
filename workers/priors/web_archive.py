"""Queries and retrievals at a DICOMweb archive: QIDO-RS and WADO-RS (PS3.18 sections 10.6 and 10.4)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import httpx

from triage.errors import Misconfigured, Rejected, Transient
from workers.files.intake import Part10Intake
from workers.files.multipart import (
    Event,
    MalformedError,
    MultipartReader,
    PartBegins,
    PartData,
    PartEnds,
    boundary_of,
)
from workers.files.uid_paths import valid_uid
from workers.moments import parse_date, plain_time
from workers.prior_settings import PriorSource
from workers.priors.archive import (
    TIME_IS_OVER,
    FoundInstance,
    FoundSeries,
    FoundStudy,
    SeriesFailedError,
    Taker,
    instances_of,
)
from workers.remote import tls

LONGEST_ANSWER_BYTES = 32 << 20
MOST_ANSWERS = 20_000
PAGE = 100  # answers asked for at a time: no server is known that refuses or cuts so few
# these answers are about the node or the server, not about what was asked for
ABOUT_ALL = (
    httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE,
)  # fmt: skip
DICOM = "application/dicom"
DICOM_PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
# PS3.6: the attributes of a study that an identity is compared by
STUDY_KEYS = ("StudyDate", "StudyTime", "ModalitiesInStudy", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")


class WebArchive:
    """See workers.priors.archive.Archive."""

    pushes = False

    def __init__(self, client: httpx.Client, url: str, name: str, *, ends_s: float) -> None:
        self._client, self._url, self._name, self._ends_s = client, url.rstrip("/"), name, ends_s

    def studies(self, patient_id: str, *, until: date) -> list[FoundStudy]:
        query = [("PatientID", patient_id), ("StudyDate", f"-{until:%Y%m%d}")]
        query += [("includefield", key) for key in STUDY_KEYS]
        found = [_study(answer) for answer in self._ask("/studies", query, "0020000D")]
        return [one for one in found if valid_uid(one.study_instance_uid)]

    def series(self, study_instance_uid: str) -> list[FoundSeries]:
        answers = self._ask(f"/studies/{study_instance_uid}/series", [], "0020000E")
        found = [FoundSeries(_text(one, "0020000E"), _text(one, "00080060")) for one in answers]
        return [one for one in found if valid_uid(one.series_instance_uid)]

    def instances(self, study_instance_uid: str, series_instance_uid: str) -> list[FoundInstance]:
        path = f"/studies/{study_instance_uid}/series/{series_instance_uid}/instances"
        answers = self._ask(path, [], "00080018")
        return instances_of((_text(one, "00080018"), _text(one, "00080016")) for one in answers)

    def fetch(self, study_instance_uid: str, series_instance_uid: str, instance: str | None, taker: Taker) -> None:
        path = f"/studies/{study_instance_uid}/series/{series_instance_uid}"
        path += "" if instance is None else f"/instances/{instance}"
        with _away(), self._client.stream("GET", self._url + path, headers={"Accept": DICOM_PARTS}) as answer:
            if answer.status_code not in ABOUT_ALL:
                _check(answer, SeriesFailedError)
            _check(answer)
            try:
                self._take(answer, taker)
            except MalformedError as error:
                raise SeriesFailedError(f"the archive's answer is not complete ({error})") from error

    def _take(self, answer: httpx.Response, taker: Taker) -> None:
        part = _Part(taker, self._name)
        try:
            for event in _parts(answer.headers.get("content-type", ""), self._pieces(answer)):
                part.go_on(event)
        finally:
            part.close()

    def _pieces(self, answer: httpx.Response) -> Iterator[bytes]:
        for piece in answer.iter_bytes():
            self._check_time()
            yield piece

    def _ask(self, path: str, query: Sequence[tuple[str, str]], uid: str) -> list[Mapping[str, Any]]:
        """Every answer, page by page. uid: the tag that tells answers apart.

        Raises:
            Transient: also when the archive does not give all of them.
        """
        found: dict[str, Mapping[str, Any]] = {}
        seen = 0
        while True:
            page, more = self._page(path, [*query, ("limit", str(PAGE)), ("offset", str(seen))])
            new = {_text(one, uid): one for one in page if _text(one, uid) not in found}
            found, seen = {**found, **new}, seen + len(page)
            if not more and (len(page) < PAGE or (not new and len(page) > PAGE)):  # the latter: it knows no pages
                return list(found.values())
            if not page:
                return list(found.values())
            if not new:
                raise Transient("the archive repeats the first part of its answer, and does not give the rest")
            if seen > MOST_ANSWERS:
                raise Transient(f"an answer of more than {MOST_ANSWERS} entries")

    def _page(self, path: str, query: Sequence[tuple[str, str]]) -> tuple[list[Mapping[str, Any]], bool]:
        """One part of the answer, and whether the archive says that there is more (PS3.18 section 8.3.4.4.1)."""
        body = bytearray()
        url, asked, accept = self._url + path, httpx.QueryParams(tuple(query)), {"Accept": "application/dicom+json"}
        with _away(), self._client.stream("GET", url, params=asked, headers=accept) as answer:
            if answer.status_code == httpx.codes.NO_CONTENT:
                return [], False
            _check(answer)
            # 206: as PS3.18 had it before 2017
            more = answer.status_code == httpx.codes.PARTIAL_CONTENT or _warns(answer)
            for piece in self._pieces(answer):
                body += piece
                if len(body) > LONGEST_ANSWER_BYTES:
                    raise Transient(f"an answer of more than {LONGEST_ANSWER_BYTES} bytes")
        try:
            read = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Transient("the archive's answer is no JSON") from error
        found = read if isinstance(read, list) else []
        return [one for one in found if isinstance(one, dict)], more

    def _check_time(self) -> None:
        if time.monotonic() > self._ends_s:
            raise Transient(TIME_IS_OVER)


def _parts(content_type: str, pieces: Iterator[bytes]) -> Iterator[Event]:
    """Of an answer. Some archives send a single object without an envelope.

    Raises:
        MalformedError: it is neither that nor multipart/related, or not whole.
    """
    if content_type.partition(";")[0].strip().lower() == DICOM:
        yield PartBegins({})
        yield from map(PartData, pieces)
        yield PartEnds()
        return
    reader = MultipartReader(boundary_of(content_type))
    for piece in pieces:
        yield from reader.feed(piece)
    reader.close()


class _Part:
    """The part that is coming in. One that is refused costs only itself."""

    def __init__(self, taker: Taker, name: str) -> None:
        self._taker, self._name = taker, name
        self._intake: Part10Intake | None = None

    def go_on(self, event: Event) -> None:
        try:
            if isinstance(event, PartBegins):
                self._intake = Part10Intake(self._taker.begin, sender=self._name)
            elif self._intake is not None and isinstance(event, PartData):
                self._intake.write(event.content)
            elif self._intake is not None:
                self._taker.finish(self._intake.spool)
        except Rejected as refusal:
            self._taker.refused(refusal)
            self.close()

    def close(self) -> None:
        if self._intake is not None:
            self._intake.__exit__()
        self._intake = None


@contextmanager
def web_archive(source: PriorSource, *, silence_s: float, ends_s: float) -> Iterator[WebArchive]:
    """A client of the archive; no redirects, so that the token goes nowhere else.

    Raises:
        Misconfigured: the token or the certificates cannot be read.
    """
    headers = {}
    if source.token_file is not None:
        try:
            headers["Authorization"] = f"Bearer {source.token_file.read_text(encoding='utf-8').strip()}"
        except OSError as error:
            name = f"priors.sources[{source.name}].token_file"
            raise Misconfigured(f"{name}: cannot be read ({error.strerror})") from error
    verify = True if source.tls is None else tls.client_context(source.tls)
    with httpx.Client(headers=headers, timeout=silence_s, follow_redirects=False, verify=verify) as client:
        yield WebArchive(client, source.url or "", source.name, ends_s=ends_s)


@contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise Transient(f"the archive is away, or broke off ({type(error).__name__})") from error


def _check(answer: httpx.Response, failure: type[Transient] = Transient) -> None:
    if answer.status_code not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
        raise failure(f"the archive answers with HTTP status {answer.status_code}")


def _warns(answer: httpx.Response) -> bool:
    return bool(answer.headers.get("warning", "").startswith("299"))


def _values(answer: Mapping[str, Any], tag: str) -> list[str]:
    element = answer.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return [str(one).strip() for one in values if one is not None] if isinstance(values, list) else []


def _text(answer: Mapping[str, Any], tag: str) -> str:
    return next(iter(_values(answer, tag)), "")


def _study(answer: Mapping[str, Any]) -> FoundStudy:
    return FoundStudy(
        study_instance_uid=_text(answer, "0020000D"),
        study_date=parse_date(_text(answer, "00080020")),
        study_time=plain_time(_text(answer, "00080030")),
        patient_id=_text(answer, "00100020"),
        issuer=_text(answer, "00100021"),
        birth_date=parse_date(_text(answer, "00100030")),
        sex=_text(answer, "00100040"),
        modalities=tuple(one.strip() for text in _values(answer, "00080061") for one in text.split("\\")),
    )
