"""Bundles to a small FHIR server that creates under conditions, as a transaction or one by one."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.workers.outputs.alerts.documents import a_document, evidence, quiet
from workers.alert_settings import FhirDestinationSettings
from workers.deliveries.errors import DeliveryRejected, Unreachable
from workers.deliveries.to_fhir import IN_ERROR, FhirSender
from workers.delivery_ports import Decided, Delivery
from workers.outputs.alerts.fhir import FHIR

CONTENT = FHIR.render(a_document(), evidence())
NUMBER = len(json.loads(CONTENT)["entry"])
DELIVERY = Delivery(Decided("1.2.826.0.1.77", 3, "full"), "fhir", "ehr", due_at=datetime(2024, 3, 11, tzinfo=UTC))


class Store:
    """Resources by their condition. status: answered instead. says_where: Location of what is created."""

    def __init__(self) -> None:
        self.by_condition: dict[str, dict[str, Any]] = {}
        self.tokens: set[str] = set()
        self.posts, self.status, self.says_where, self.fails_at = 0, 0, True, 0
        self.no_patches = False
        self.search_status = 200
        self.instead: object = None  # the answer to a transaction

    def post(self, path: str, body: dict[str, Any], condition: str | None) -> tuple[int, str, Any]:
        self.posts += 1
        if self.status or self.posts == self.fails_at:
            return self.status or 503, "", {}
        if path == "/fhir":
            assert body["type"] == "transaction"
            for entry in body["entry"]:
                self._create(entry["resource"], entry["request"]["ifNoneExist"])
            answers = [{"response": {"status": "201 Created"}}] * len(body["entry"])
            usual = {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}
            return 200, "", usual if self.instead is None else self.instead
        assert condition is not None
        new = condition not in self.by_condition
        found = self._create(body, condition)
        where = f"/fhir/{found['resourceType']}/{found['id']}/_history/1" if self.says_where and new else ""
        return 201 if new else 200, where, found if self.says_where or not new else {}

    def search(self, query: dict[str, list[str]]) -> dict[str, Any]:
        names = query["identifier"][0].split(",")
        found = [
            one
            for condition, one in self.by_condition.items()
            if condition.removeprefix("identifier=") in names
            and one.get("status") in query.get("status", [one.get("status")])
        ]
        return {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in found]}

    def patch(self, number: str, operations: list[dict[str, str]]) -> int:
        one = next(one for one in self.by_condition.values() if one["id"] == number)
        assert [step["op"] for step in operations] in (["test", "replace"], ["replace"])
        tested = [step["value"] for step in operations if step["op"] == "test"]
        if self.no_patches or tested not in ([], [one["status"]]):
            return 405 if self.no_patches else 422
        one["status"] = operations[-1]["value"]
        return 200

    def _create(self, resource: dict[str, Any], condition: str) -> dict[str, Any]:
        return self.by_condition.setdefault(condition, {**resource, "id": str(len(self.by_condition) + 1)})


@contextlib.contextmanager
def serving(store: Store) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            store.tokens.add(self.headers.get("Authorization", ""))
            status, where, found = store.post(self.path, body, self.headers.get("If-None-Exist"))
            said = json.dumps(found).encode()
            self.send_response(status)
            if where:
                self.send_header("Location", where)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def do_GET(self) -> None:
            said = json.dumps(store.search(parse_qs(urlsplit(self.path).query))).encode()
            self.send_response(store.search_status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def do_PATCH(self) -> None:
            assert self.headers["Content-Type"] == "application/json-patch+json"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(store.patch(self.path.rsplit("/", 1)[1], body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/fhir"
        server.shutdown()


def sender(url: str, **keys: Any) -> FhirSender:
    return FhirSender(FhirDestinationSettings(name="ehr", kind="fhir", url=url, timeout_s=10, **keys))


def send(to: FhirSender) -> str:
    return to.send(DELIVERY, FHIR.file_name, FHIR.media_type, CONTENT).text


@pytest.mark.parametrize("transaction", [True, False])
def test_a_repeat_creates_no_second_one(tmp_path: Path, transaction: bool) -> None:
    (tmp_path / "token").write_text("secret\n")
    store = Store()
    with serving(store) as url:
        to = sender(url, transaction=transaction, token_file=tmp_path / "token")
        assert send(to) == ("HTTP 200" if transaction else f"{NUMBER} resources")
        send(to)
    assert len(store.by_condition) == NUMBER
    assert store.tokens == {"Bearer secret"}


ENTRIES = {"resourceType": "Bundle", "type": "transaction-response"}


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        pytest.param(ENTRIES, None, id="no-op: it says no more than that"),
        pytest.param(
            {"resourceType": "OperationOutcome", "issue": [{"severity": "error"}]}, "does not say", id="error"
        ),
        pytest.param("<html>sign in</html>", "does not say", id="a page of a proxy"),
        pytest.param({**ENTRIES, "entry": [{"response": {"status": "409"}}]}, "1 of 1 resources", id="one failed"),
        pytest.param({**ENTRIES, "entry": [{}]}, "does not say", id="not measured: no status"),
    ],
)
def test_success_counts_when_the_answer_says_so(instead: object, said: str | None) -> None:
    store = Store()
    store.instead = instead
    with serving(store) as url:
        if said is None:
            assert send(sender(url)) == "HTTP 200"
        else:
            with pytest.raises(Unreachable, match=said):
                send(sender(url))


def test_single_resources_refer_to_what_was_created() -> None:
    store = Store()
    with serving(store) as url:
        to = sender(url, transaction=False)
        store.fails_at = 5
        with pytest.raises(Unreachable, match="503"):
            send(to)
        send(to)  # goes on from what is there
    by_place = {f"{r['resourceType']}/{r['id']}": r for r in store.by_condition.values()}
    (report,) = (r for r in by_place.values() if r["resourceType"] == "DiagnosticReport")
    assert all(one["reference"] in by_place for one in report["result"])
    (task,) = (r for r in by_place.values() if r["resourceType"] == "Task")
    assert by_place[task["focus"]["reference"]] is report
    assert len(by_place) == NUMBER


@pytest.mark.parametrize(
    ("status", "raised"),
    [(400, DeliveryRejected), (412, DeliveryRejected), (422, DeliveryRejected), (401, Unreachable), (503, Unreachable)],
)
def test_answers(status: int, raised: type[Exception]) -> None:
    store = Store()
    store.status = status
    with serving(store) as url, pytest.raises(raised, match=str(status)):
        send(sender(url))


def test_a_server_that_does_not_say_where() -> None:
    store = Store()
    store.says_where = False
    with serving(store) as url, pytest.raises(Unreachable, match="what it stored where"):
        send(sender(url, transaction=False))


def of(revision: int, document: dict[str, Any] | None = None) -> bytes:
    previous = (revision - 1, "full") if revision > 1 else None
    return FHIR.render(document or a_document(), evidence(revision=revision, previous=previous))


def tasks(store: Store) -> list[str]:
    """States of all tasks, the oldest first."""
    return [one["status"] for one in store.by_condition.values() if one["resourceType"] == "Task"]


@pytest.mark.parametrize("transaction", [True, False], ids=["transaction", "one by one"])
def test_a_newer_decision_cancels_the_tasks_of_earlier_ones(*, transaction: bool) -> None:
    store = Store()
    with serving(store) as url:
        to = sender(url, transaction=transaction)
        said = [to.send(DELIVERY, FHIR.file_name, FHIR.media_type, of(revision)).text for revision in (1, 2, 3)]
        assert tasks(store) == ["cancelled", "cancelled", "requested"]
        assert "1 tasks of earlier decisions cancelled" in said[2]
        to.send(DELIVERY, FHIR.file_name, FHIR.media_type, of(4, quiet()))
    assert tasks(store) == ["cancelled"] * 3, "a decision without a priority calls back, too"


def test_a_task_that_somebody_has_taken_up_stays() -> None:
    store = Store()
    with serving(store) as url:
        to = sender(url)
        to.send(DELIVERY, FHIR.file_name, FHIR.media_type, of(1))
        next(one for one in store.by_condition.values() if one["resourceType"] == "Task")["status"] = "in-progress"
        to.send(DELIVERY, FHIR.file_name, FHIR.media_type, of(2))
    assert tasks(store) == ["in-progress", "requested"]


@pytest.mark.parametrize("status", [503, 500, 429, 404, 501])
def test_a_server_that_is_busy_is_asked_again_to_cancel_tasks(status: int) -> None:
    store = Store()
    with serving(store) as url:
        to = sender(url)
        to.send(DELIVERY, FHIR.file_name, FHIR.media_type, of(1))
        store.search_status = status
        busy = status not in (404, 501)
        with pytest.raises(Unreachable, match=str(status)) if busy else contextlib.nullcontext():
            to.send(DELIVERY, FHIR.file_name, FHIR.media_type, of(2))
        store.search_status = 200
        to.send(DELIVERY, FHIR.file_name, FHIR.media_type, of(2))
    assert tasks(store) == ["cancelled", "requested"], "the second decision is stored once"


def test_a_server_that_changes_nothing_has_the_alert_all_the_same() -> None:
    store = Store()
    store.no_patches = True
    with serving(store) as url:
        to = sender(url)
        to.send(DELIVERY, FHIR.file_name, FHIR.media_type, of(1))
        assert "1 could not be cancelled" in to.send(DELIVERY, FHIR.file_name, FHIR.media_type, of(2)).text
    assert tasks(store) == ["requested", "requested"]


@pytest.mark.parametrize(
    ("search_status", "no_patches", "sent", "raised"),
    [
        pytest.param(200, False, True, None, id="noop: it marks them"),
        pytest.param(503, False, True, Unreachable, id="away for a moment"),
        pytest.param(401, False, True, Unreachable, id="the site must let us in"),
        pytest.param(404, False, True, DeliveryRejected, id="no such resource"),
        pytest.param(200, True, True, DeliveryRejected, id="it changes nothing"),
        pytest.param(200, False, False, DeliveryRejected, id="nothing is found"),
    ],
)
def test_a_retraction_counts_only_when_the_server_did_it(
    search_status: int, no_patches: bool, sent: bool, raised: type[Exception] | None
) -> None:
    store = Store()
    with serving(store) as url:
        to = sender(url)
        if sent:
            to.send(DELIVERY, FHIR.file_name, FHIR.media_type, of(1))
        store.search_status, store.no_patches = search_status, no_patches
        kinds = {key.partition("|")[2]: one["resourceType"] for key, one in store.by_condition.items()}
        tags = [
            {"system": IN_ERROR, "display": kind, "code": name}
            for name, kind in (kinds or {"urn:uuid:1": "Task"}).items()
        ]
        retraction = json.dumps({"resourceType": "Bundle", "meta": {"tag": tags}}).encode()
        with pytest.raises(raised) if raised else contextlib.nullcontext():
            to.send(DELIVERY, FHIR.file_name, FHIR.media_type, retraction)
    marked = {one["status"] for one in store.by_condition.values()} == {"entered-in-error"}
    assert marked is (raised is None)
