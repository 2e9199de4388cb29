"""Polls of a real HTTP server that answers like a FHIR server: pages, cursors, faults, and where the token goes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fakes import FakePatientFacts
from tests.workers.feeds.test_fhir_resources import PATIENTS, a_procedure, an_administration
from triage.errors import Misconfigured, Transient
from workers.config import parse
from workers.feed_settings import FhirFeedSettings
from workers.feeds import fhir_poll
from workers.feeds.apply import Applier
from workers.feeds.fhir_poll import FhirPoll, open_client
from workers.feeds.fhir_progress import ProgressFile
from workers.feeds.orders import KnownOrders
from workers.ports import PatientKey

DAY = date(2024, 3, 4)


class Server:
    """A FHIR server: searches by _lastUpdated, sorts, pages, and sends patients along when asked."""

    def __init__(self) -> None:
        self.resources: list[dict[str, Any]] = []
        self.patients = {"Patient/7": PATIENTS["Patient/7"] | {"id": "7"}}
        self.page, self.includes, self.sorts, self.status = 2, True, True, 200
        self.addresses: dict[str, str] = {}  # Patient/7 -> fullUrl of its entry
        self.of_patient: dict[str, int] = {}  # another answer than 200
        self.next_base = ""
        self.asked: list[str] = []
        self.tokens: set[str | None] = set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                server.tokens.add(self.headers["Authorization"])
                status, body = server.answer(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/fhir"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def put(self, resource: dict[str, Any], second: int) -> None:
        """Store; the server's clock is at ``second``."""
        self.resources = [one for one in self.resources if one.get("id") != resource.get("id")]
        self.resources.append(resource | {"meta": {"lastUpdated": f"2024-03-05T10:00:{second:02d}Z"}})

    def answer(self, path: str) -> tuple[int, bytes]:
        if self.status != 200:
            return self.status, b"{}"
        parts = urlsplit(path)
        name = parts.path.removeprefix("/fhir/")
        if name in self.of_patient:
            return self.of_patient[name], b"{}"
        kind, _, number = name.partition("/")
        if number and kind != "Patient":
            return 200, json.dumps(next(one for one in self.resources if one["id"] == number)).encode()
        if name.startswith("Patient/"):
            return (200, json.dumps(self.patients[name]).encode()) if name in self.patients else (404, b"{}")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        since = query.get("_lastUpdated", "ge").removeprefix("ge")
        found = [r for r in self.resources if r["resourceType"] == name and r["meta"]["lastUpdated"] >= since]
        found.sort(key=lambda one: str(one["meta"]["lastUpdated"]), reverse=not self.sorts)
        at = int(query.get("page", 0))
        page = found[at : at + self.page]
        entries = page + (list(self.patients.values()) if self.includes else [])
        bundle: dict[str, Any] = {"resourceType": "Bundle", "entry": [self._entry(one) for one in entries]}
        if at + self.page < len(found):
            base = self.next_base or self.url
            url = f"{base}/{name}?page={at + self.page}" + (f"&_lastUpdated=ge{since}" if since else "")
            bundle["link"] = [{"relation": "next", "url": url}]
        return 200, json.dumps(bundle).encode()

    def _entry(self, one: dict[str, Any]) -> dict[str, Any]:
        address = self.addresses.get(f"{one['resourceType']}/{one['id']}")
        return {"resource": one} | ({} if address is None else {"fullUrl": address})


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()


class Site:
    """A poll with its files in a folder; each one is a process of its own."""

    def __init__(self, folder: Path, url: str, token: str | None = None) -> None:
        self.folder, self.index = folder, FakePatientFacts()
        if token is not None:
            (folder / "token").write_text(token + "\n", encoding="utf-8")
        self.settings = FhirFeedSettings(
            url=url,
            codes=("CART1",),
            issuers={"urn:oid:1.2.3": "HOSP"},
            token_file=folder / "token" if token is not None else None,
        )

    @property
    def progress(self) -> ProgressFile:
        return ProgressFile(self.folder / "feeds" / "fhir.json")

    def poll(self) -> int:
        apply = Applier(self.index, KnownOrders(self.folder / "feeds" / "orders.json"))
        with open_client(self.settings) as client:
            return FhirPoll(self.settings, apply, self.progress, client).poll()

    @property
    def days(self) -> set[date]:
        return {day for _, day in self.index.infusions}


def on_day(day: int, name: str | None = None, **changes: Any) -> dict[str, Any]:
    return a_procedure(id=name or str(day), performedDateTime=f"2024-03-{day:02d}", **changes)


@pytest.mark.parametrize("includes", [True, False])
def test_infusions_of_both_kinds_reach_the_index(tmp_path: Path, server: Server, includes: bool) -> None:
    server.includes = includes
    server.put(on_day(4), 1)
    server.put(an_administration(id="9", effectivePeriod={"start": "2024-03-05"}), 2)
    site = Site(tmp_path, server.url, token="secret")
    assert site.poll() == 2
    assert set(site.index.infusions) == {(PatientKey("P7", "HOSP"), date(2024, 3, day)) for day in (4, 5)}
    assert site.index.infusions[PatientKey("P7", "HOSP"), DAY].source == "FHIR Procedure"
    assert server.tokens == {"Bearer secret"}


def test_only_what_changed_is_applied_again(tmp_path: Path, server: Server) -> None:
    site = Site(tmp_path, server.url)
    for day in range(1, 6):
        server.put(on_day(day), day)
    assert [site.poll(), site.poll()] == [5, 0]
    server.put(on_day(6), 5)  # in the same second as the newest one
    server.put(on_day(7, "1"), 9)  # another day for the first one
    server.put(on_day(2, status="entered-in-error"), 9)
    assert site.poll() == 3
    assert site.days == {date(2024, 3, day) for day in (3, 4, 5, 6, 7)}
    assert site.poll() == 0


def test_a_malformed_resource_costs_only_itself_until_it_is_corrected(tmp_path: Path, server: Server) -> None:
    site = Site(tmp_path, server.url)
    server.put(on_day(4, "bad", subject={"reference": "Patient/8"}), 1)
    server.put(on_day(5), 2)
    assert site.poll() == 1
    assert list(site.progress.read().failed) == ["Procedure/bad"]
    server.put(on_day(4, "bad"), 3)
    assert site.poll() == 1
    assert (site.days, site.progress.read().failed) == ({date(2024, 3, 4), date(2024, 3, 5)}, {})


@pytest.mark.parametrize("status", [301, 400, 403, 404, 410])
def test_a_patient_that_is_refused_costs_only_its_own_resources(tmp_path: Path, server: Server, status: int) -> None:
    server.includes, server.of_patient = False, {"Patient/8": status}
    server.put(on_day(4, "secret", subject={"reference": "Patient/8"}), 1)
    server.put(on_day(5), 2)
    server.put(an_administration(id="9", effectivePeriod={"start": "2024-03-06"}), 3)
    site = Site(tmp_path, server.url)
    assert site.poll() == 2
    assert {reference: str(status) in why for reference, why in site.progress.read().failed.items()} == {
        "Procedure/secret": True
    }
    assert site.days == {date(2024, 3, 5), date(2024, 3, 6)}


@pytest.mark.parametrize("status", [500, 503])
def test_a_patient_that_the_server_cannot_give_now_keeps_nobody_waiting(
    tmp_path: Path, server: Server, status: int
) -> None:
    server.includes, server.of_patient = False, {"Patient/8": status}
    server.patients["Patient/8"] = PATIENTS["Patient/7"] | {"id": "8"}
    server.put(on_day(4, "eight", subject={"reference": "Patient/8"}), 1)
    server.put(on_day(5), 2)
    site = Site(tmp_path, server.url)
    assert (site.poll(), site.days) == (1, {date(2024, 3, 5)})
    assert list(site.progress.read().failed) == ["Procedure/eight"]
    assert site.poll() == 0, "it is asked for again, and is still away"
    server.of_patient = {}
    assert (site.poll(), site.progress.read().failed) == (1, {})
    assert site.days == {date(2024, 3, 4), date(2024, 3, 5)}


def test_one_that_was_away_and_is_refused_now_is_for_a_human(tmp_path: Path, server: Server) -> None:
    server.includes, server.of_patient = False, {"Patient/7": 500}
    server.put(on_day(4), 1)
    site = Site(tmp_path, server.url)
    assert site.poll() == 0
    server.of_patient = {"Procedure/4": 410}
    assert site.poll() == 0
    assert site.progress.read().failed == {"Procedure/4": "fhir: the server answers 410"}


def test_a_server_that_gives_no_patient_at_all_is_away(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is remembered is bounded: nothing is passed over when it is full."""
    monkeypatch.setattr(fhir_poll, "MOST_NOT_NOW", 2)
    server.includes, server.of_patient = False, {"Patient/7": 503}
    for day in range(1, 5):
        server.put(on_day(day), day)
    site = Site(tmp_path, server.url)
    with pytest.raises(Transient, match="2 patients"):
        site.poll()
    server.of_patient = {}
    assert site.poll() == 4


@pytest.mark.parametrize("sends_along", [True, False])
def test_a_patient_of_another_server_is_not_the_one_with_that_number_here(
    tmp_path: Path, server: Server, sends_along: bool
) -> None:
    there = "https://other.hospital/fhir/Patient/7"
    six = {"resourceType": "Patient", "id": "7", "identifier": [{"system": "urn:oid:1.2.3", "value": "P6"}]}
    if sends_along:
        server.patients, server.addresses = {"Patient/7": six}, {"Patient/7": there}
    server.put(on_day(4, subject={"reference": there}), 1)
    site = Site(tmp_path, server.url)
    assert site.poll() == sends_along
    assert [patient.patient_id for patient, _ in site.index.infusions] == ["P6"] * sends_along
    assert list(site.progress.read().failed) == ["Procedure/4"] * (not sends_along)
    assert not any("Patient/7" in path for path in server.asked)


@pytest.mark.parametrize("status", [401, 408, 429])
def test_a_server_that_answers_for_no_patient_now_loses_nothing(tmp_path: Path, server: Server, status: int) -> None:
    server.includes, server.of_patient = False, {"Patient/7": status}
    server.put(on_day(4), 1)
    site = Site(tmp_path, server.url)
    with pytest.raises(Transient):
        site.poll()
    server.of_patient = {}
    assert site.poll() == 1


def test_the_patient_of_another_procedure_is_not_asked_for(tmp_path: Path, server: Server) -> None:
    server.includes = False
    server.put(on_day(4, code={"text": "appendectomy"}, subject={"reference": "Patient/8"}), 1)
    assert Site(tmp_path, server.url).poll() == 0
    assert not any("Patient/8" in path for path in server.asked)


@pytest.mark.parametrize(
    ("later", "left"),
    [
        pytest.param({}, {("P7", 4)}, id="noop: the same again"),
        pytest.param({"performedDateTime": "2024-03-09"}, {("P7", 9)}, id="another day"),
        pytest.param({"subject": {"reference": "Patient/6"}}, {("P6", 4)}, id="another patient"),
        pytest.param(
            {"subject": {"reference": "Patient/6"}, "performedDateTime": "2024-03-09"}, {("P6", 9)}, id="both"
        ),
        pytest.param({"code": {"text": "paracetamol"}}, set(), id="another code"),
        pytest.param({"status": "preparation"}, set(), id="not begun after all"),
        pytest.param({"status": "entered-in-error"}, set(), id="entered in error"),
        pytest.param({"status": "not-done", "subject": {"reference": "Patient/5"}}, set(), id="of nobody, not done"),
        pytest.param({"subject": {"reference": "Patient/5"}}, {("P7", 4)}, id="not measured: of nobody; a human looks"),
    ],
)
def test_a_resource_that_is_corrected(
    tmp_path: Path, server: Server, later: dict[str, Any], left: set[tuple[str, int]]
) -> None:
    six = {"resourceType": "Patient", "id": "6", "identifier": [{"system": "urn:oid:1.2.3", "value": "P6"}]}
    server.patients["Patient/6"] = six
    site = Site(tmp_path, server.url)
    server.put(on_day(4, "1"), 1)
    server.put(on_day(20, "2", subject={"reference": "Patient/6"}), 1)
    site.poll()
    server.put(on_day(4, "1") | later, 2)
    site.poll()
    found = {(patient.patient_id, day.day) for patient, day in site.index.infusions}
    assert found == left | {("P6", 20)}


def test_a_resource_that_no_rule_judges_is_listed(tmp_path: Path, server: Server) -> None:
    server.put(on_day(4, "x", code={"text": "axicabtagene programme"}), 1)
    site = Site(tmp_path, server.url)
    assert site.poll() == 0
    assert list(site.progress.read().failed) == ["Procedure/x"]


def test_a_resource_that_cannot_be_applied_costs_only_itself(tmp_path: Path, server: Server) -> None:
    site = Site(tmp_path, server.url)
    site.index.faults = [ValueError("bug")]
    server.put(on_day(4), 1)
    server.put(on_day(5), 2)
    assert site.poll() == 1
    assert list(site.progress.read().failed) == ["Procedure/4"]
    assert site.days == {date(2024, 3, 5)}


def test_an_error_that_was_entered_before_this_node_began_is_nothing(tmp_path: Path, server: Server) -> None:
    server.put(on_day(4, status="entered-in-error"), 1)
    site = Site(tmp_path, server.url)
    assert site.poll() == 0
    assert site.progress.read().failed == {}


@pytest.mark.parametrize("status", [301, 401, 404, 500])
def test_a_server_that_does_not_answer_loses_nothing(tmp_path: Path, server: Server, status: int) -> None:
    site = Site(tmp_path, server.url)
    server.put(on_day(4), 1)
    server.status = status
    with pytest.raises(Transient):
        site.poll()
    server.status = 200
    assert site.poll() == 1


def test_an_index_that_is_away_in_the_middle_loses_nothing(tmp_path: Path, server: Server) -> None:
    for day in range(1, 6):
        server.put(on_day(day), day)
    site = Site(tmp_path, server.url)
    site.index.faults = [Transient("index: away")]
    with pytest.raises(Transient):
        site.poll()
    site.poll()
    assert len(site.days) == 5


@pytest.mark.parametrize(
    ("sorts", "seen"), [pytest.param(True, 5, id="sorted: goes on"), pytest.param(False, 2, id="not sorted: does not")]
)
def test_pages_are_capped(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, sorts: bool, seen: int
) -> None:
    """A cursor that moved on after half of an unsorted answer would skip the other half for ever."""
    monkeypatch.setattr(fhir_poll, "MOST_PAGES", 1)
    server.sorts = sorts
    for day in range(1, 6):
        server.put(on_day(day), day)
    site = Site(tmp_path, server.url)
    for _ in range(5):
        site.poll()
    assert len(site.days) == seen
    assert bool(site.progress.read().cursors.get("Procedure")) is sorts


def test_the_token_goes_to_no_other_server(tmp_path: Path, server: Server) -> None:
    other = Server()
    server.next_base = other.url
    for day in range(1, 6):
        server.put(on_day(day), day)
    with pytest.raises(Transient, match="another server"):
        Site(tmp_path, server.url, token="secret").poll()
    assert other.asked == []
    other.http.shutdown()


@pytest.mark.parametrize(
    "fhir",
    [
        pytest.param({"url": "http://ehr.hospital/fhir"}, id="in clear beyond this machine"),
        pytest.param({"url": "https://user:word@ehr.hospital/fhir"}, id="a password in the address"),
        pytest.param({"url": "ehr.hospital"}, id="no address"),
    ],
)
def test_settings_that_are_refused(fhir: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match=r"feeds\.fhir"):
        parse({"feeds": {"fhir": fhir}})


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="token_file"):
        open_client(FhirFeedSettings(url="https://ehr/fhir", token_file=tmp_path / "none"))
