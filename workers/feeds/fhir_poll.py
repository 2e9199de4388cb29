"""A FHIR server in, the facts of what changed there since the last poll out. R4, JSON, read only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from triage.errors import Misconfigured, Transient
from workers.feed_settings import FhirFeedSettings
from workers.feeds.apply import NotJudgedError, UnknownOrderError
from workers.feeds.facts import Fact, NoInfusion, NothingToDo
from workers.feeds.fhir_progress import Cursor, FhirProgress, ProgressFile
from workers.feeds.fhir_resources import (
    KINDS,
    MalformedResourceError,
    Reading,
    Resource,
    fact_of,
    names_infusion,
    patient_reference,
    reference_of,
    subject_of,
)
from workers.feeds.infusion_words import InfusionWords
from workers.log import brief, get_logger

log = get_logger(__name__)

TIMEOUT_S = 20.0
PAGE_SIZE = 100
MOST_PAGES = 200  # of one kind in one poll; the next poll goes on from there
LONGEST_PAGE_BYTES = 32 << 20
MOST_FAILED = 1000
OF_THE_SERVER = frozenset({401, 408, 425, 429})  # these hold of every resource, for now
NOT_NOW = "its patient cannot be read now: "  # begin of why a resource failed that is read again at each poll
MOST_NOT_NOW = 100  # more than these are no single patients any more: the server is at fault

ApplyFacts = Callable[[tuple[Fact, ...], str], None]


class FhirPoll:
    """One server. Each poll reads what changed since the one before, oldest first.

    Args:
        client: with the token of the server; it is only ever sent there.
    """

    def __init__(
        self, settings: FhirFeedSettings, apply: ApplyFacts, progress: ProgressFile, client: httpx.Client
    ) -> None:
        self._base = f"{settings.url}".rstrip("/") + "/"
        self._reading = Reading(InfusionWords(settings.codes, settings.words), settings.issuers, self._base)
        self._apply, self._progress, self._client = apply, progress, client

    def poll(self) -> int:
        """ApplyFacts what changed; how many facts.

        Raises:
            Transient: the server or the index is away; the next poll begins where this one did.
        """
        return sum(self._poll(kind) for kind in KINDS)

    def _poll(self, kind: str) -> int:
        """One kind. What was read is noted when all is applied, or when the server sorts and the pages ran out."""
        before = self._progress.read()
        seen = before.cursors.get(kind, Cursor())
        walk = _Walk(seen, dict(before.failed))
        applied, complete = self._once_more(kind, walk.failed), False
        for resources, patients, last in self._pages(kind, seen.since):
            complete = last
            for resource in resources:
                reference, updated = _identity(resource, kind)
                if updated and updated == seen.since and reference in seen.at:
                    continue
                walk.note(reference, updated)
                applied += self._take(resource, reference, patients, walk.failed)
        if sum(why.startswith(NOT_NOW) for why in walk.failed.values()) > MOST_NOT_NOW:
            raise Transient(f"fhir: the server answers for none of {MOST_NOT_NOW} patients")
        if not complete and not walk.sorted:
            log.error("fhir.not_sorted", kind=kind, pages=MOST_PAGES)
            return applied
        now = FhirProgress({**before.cursors, kind: walk.cursor}, dict(list(walk.failed.items())[-MOST_FAILED:]))
        if now != before and self._progress.read() == before:  # else somebody wants it all read again
            self._progress.write(now)
        return applied

    def _once_more(self, kind: str, failed: dict[str, str]) -> int:
        """Read those again whose patient could not be read before; how many facts."""
        applied = 0
        for reference in [one for one, why in failed.items() if why.startswith(NOT_NOW) and one.startswith(f"{kind}/")]:
            try:
                resource = self._get(urljoin(self._base, reference))
            except _NotNowError:
                continue
            except _RefusedError as error:
                failed[reference] = str(error)
                continue
            applied += self._take(resource, reference, {}, failed)
        return applied

    def _take(self, resource: Resource, reference: str, patients: dict[str, Resource], failed: dict[str, str]) -> int:
        """ApplyFacts one resource; one that cannot be read costs only itself."""
        failed.pop(reference, None)
        try:
            fact = self._fact(resource, patients)
            if not isinstance(fact, NothingToDo) or isinstance(fact, NoInfusion):
                self._apply((fact,), f"FHIR {reference.split('/', maxsplit=1)[0]}")
            if isinstance(fact, NothingToDo):
                return 0
        except _NotNowError as error:  # this one patient: the others must not wait for it
            log.warning("fhir.patient_away", kind=reference.split("/", maxsplit=1)[0], reason=str(error))
            failed[reference] = f"{NOT_NOW}{error}"
            return 0
        except UnknownOrderError:  # it was entered in error before this node ever saw it
            return 0
        except (MalformedResourceError, NotJudgedError) as error:
            log.warning("fhir.malformed", kind=reference.split("/", maxsplit=1)[0], reason=str(error))
            failed[reference] = str(error)
            return 0
        except Transient:
            raise
        except Exception as error:  # one resource must not hold up those behind it
            log.error("fhir.not_applied", kind=reference.split("/", maxsplit=1)[0], error=brief(error))
            failed[reference] = f"it cannot be applied ({type(error).__name__})"
            return 0
        return 1

    def _fact(self, resource: Resource, patients: dict[str, Resource]) -> Fact:
        subject = patient_reference(subject_of(resource) or "", self._base)
        wanted = subject.startswith("Patient/") and names_infusion(resource, self._reading.words)
        refused, away = "", None
        if wanted and subject not in patients:  # the server did not send the patient along
            try:
                patients[subject] = self._get(urljoin(self._base, subject))
            except _NotNowError as error:
                away = error
            except _RefusedError as error:  # this one patient, not the server
                refused = str(error)
        try:
            return fact_of(resource, patients, self._reading)
        except MalformedResourceError as error:
            if away is not None:
                raise away from error
            if not refused:
                raise
            raise MalformedResourceError(f"its patient cannot be read ({refused})") from error

    def _pages(self, kind: str, since: str) -> Iterator[tuple[Sequence[Resource], dict[str, Resource], bool]]:
        """Resources, patients by reference, and whether this page is the last one."""
        query = {"_sort": "_lastUpdated", "_count": str(PAGE_SIZE), "_include": f"{kind}:patient"}
        if since:
            query["_lastUpdated"] = f"ge{since}"
        page: str | None = f"{urljoin(self._base, kind)}?{httpx.QueryParams(query)}"
        for _ in range(MOST_PAGES):
            if page is None:
                return
            bundle = self._get(page)
            entries = [one for one in _objects(bundle, "entry") if isinstance(one.get("resource"), dict)]
            found = [one["resource"] for one in entries]
            patients: dict[str, Resource] = {
                self._own_reference(one): one["resource"]
                for one in entries
                if one["resource"].get("resourceType") == "Patient"
            }
            page = self._next(bundle)
            yield [one for one in found if one.get("resourceType") == kind], patients, page is None

    def _own_reference(self, entry: Resource) -> str:
        """By which others of the page refer to the Patient of an entry."""
        address = entry.get("fullUrl")
        here = f"Patient/{entry['resource'].get('id')}"
        return patient_reference(address, self._base) if isinstance(address, str) and address else here

    def _next(self, bundle: Resource) -> str | None:
        links = [one for one in _objects(bundle, "link") if one.get("relation") == "next"]
        if not links or not isinstance(links[0].get("url"), str):
            return None
        url = urljoin(self._base, str(links[0]["url"]))
        if urlsplit(url)[:2] != urlsplit(self._base)[:2]:
            raise Transient("fhir: the next page is on another server; the token is not sent there")
        return url

    def _get(self, url: str) -> Resource:
        try:
            with self._client.stream("GET", url) as answer:
                if 300 <= answer.status_code < 500 and answer.status_code not in OF_THE_SERVER:
                    raise _RefusedError(f"fhir: the server answers {answer.status_code}")
                if answer.status_code >= 500:
                    raise _NotNowError(f"fhir: the server answers {answer.status_code}")
                if answer.status_code != 200:
                    raise Transient(f"fhir: the server answers {answer.status_code}")
                body = bytearray()
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > LONGEST_PAGE_BYTES:
                        raise _NotNowError(f"fhir: an answer of more than {LONGEST_PAGE_BYTES} bytes")
            read = json.loads(body)
        except httpx.HTTPError as error:
            raise Transient(f"fhir: the server cannot be reached ({type(error).__name__})") from error
        except (ValueError, RecursionError) as error:
            raise _NotNowError("fhir: the answer is no JSON") from error
        if not isinstance(read, dict):
            raise _NotNowError("fhir: the answer is no resource")
        return read


class _RefusedError(Transient):
    """Of this resource: it is not there, not for this account, elsewhere."""


class _NotNowError(Transient):
    """The server fails for what was asked. For a page that is the server; for one patient it may be the patient."""


class _Walk:
    """The pages of one kind: the newest resource among them, and whether they come oldest first."""

    def __init__(self, seen: Cursor, failed: dict[str, str]) -> None:
        self.cursor, self.failed, self.sorted = seen, failed, True
        self._last = seen.since

    def note(self, reference: str, updated: str) -> None:
        if not updated:
            return
        self.sorted = self.sorted and (not self._last or _moment(updated) >= _moment(self._last))
        self._last = updated
        if not self.cursor.since or _moment(updated) > _moment(self.cursor.since):
            self.cursor = Cursor(updated, (reference,))
        elif updated == self.cursor.since:
            self.cursor = replace(self.cursor, at=(*self.cursor.at, reference))


def _objects(parent: Resource, key: str) -> list[dict[str, Any]]:
    found = parent.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _moment(updated: str) -> datetime:
    return datetime.fromisoformat(updated)


def _identity(resource: Resource, kind: str) -> tuple[str, str]:
    """Reference and lastUpdated; a resource without either is read at every poll."""
    try:
        reference = reference_of(resource)
    except MalformedResourceError:
        reference = f"{kind}/?"
    meta = resource.get("meta")
    updated = meta.get("lastUpdated") if isinstance(meta, dict) else None
    try:
        aware = isinstance(updated, str) and _moment(updated).tzinfo is not None
    except ValueError:
        aware = False
    return reference, str(updated) if aware else ""


def open_client(settings: FhirFeedSettings) -> httpx.Client:
    """A client with the token of ``token_file``; no redirects, so that the token goes nowhere else.

    Raises:
        Misconfigured: the file cannot be read.
    """
    headers = {"Accept": "application/fhir+json"}
    if settings.token_file is not None:
        try:
            headers["Authorization"] = f"Bearer {settings.token_file.read_text(encoding='utf-8').strip()}"
        except OSError as error:
            raise Misconfigured(f"feeds.fhir.token_file: cannot be read ({error.strerror})") from error
    return httpx.Client(headers=headers, timeout=TIMEOUT_S, follow_redirects=False)
