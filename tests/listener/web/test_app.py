"""HTTP requests against the fakes -> status, headers, documents, pages."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from listener.node.processes import LOOP_STARTS, SILENT_S, note_start
from listener.node.supervisor import names_of
from listener.web import health
from listener.web.app import create_app
from listener.web.site import Site
from tests.fake_index import InMemoryIndex
from tests.fake_worklist import InMemoryWorklist
from tests.fakes import SUSPECTED, FakeClock, Verdict, an_assessment, an_instance, some_images
from tests.fakes_access import FakeAccounts
from tests.workers.feeds.test_inbox import Applied, merge
from triage.errors import Transient
from triage.model import Category, Priority
from workers.access_ports import Account, Role
from workers.announcements import Announcement, Source, Step
from workers.config import Settings
from workers.feed_settings import FeedsSettings, Hl7FeedSettings
from workers.feeds.folders import open_inbox
from workers.heartbeat import heartbeat_file
from workers.index.rebuilding import rebuilding_mark
from workers.outputs.results import ResultFolder
from workers.ports import ConflictRow
from workers.settings import StoreSettings
from workers.web_settings import WebSettings

UID = "1.2.3"

EVERYWHERE = "0.0.0.0"  # noqa: S104 - the setting of a container; nothing is bound


class Node:
    """A site over fakes with a client that talks to it as a browser on this machine would."""

    def __init__(self, tmp_path: Path, **changes: object) -> None:
        self.index, self.clock, self.broker_away = InMemoryIndex(), FakeClock(), False
        self.tmp_path = tmp_path
        store = StoreSettings(state_dir=tmp_path, min_free_bytes=0)
        settings = Settings(store=store).model_copy(update=changes)
        self.accounts = FakeAccounts()
        if settings.web.beyond_loopback:
            self.accounts.add_account(Account("mina", Role.READER, self.clock.now()))
        results, now = ResultFolder(tmp_path / "results"), self.clock.now
        site = Site(
            settings,
            self.index,
            results,
            self.ping,
            now=now,
            accounts=self.accounts,
            worklist=InMemoryWorklist(self.index),
        )
        self.client = TestClient(create_app(site), base_url="http://127.0.0.1")
        self.settings = settings
        (tmp_path / "store").mkdir(exist_ok=True)  # as the listener makes it
        for name in names_of(settings):
            self.gives_a_sign(name)

    def gives_a_sign(self, name: str) -> Path:
        path = heartbeat_file(self.tmp_path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    def ping(self) -> str:
        if self.broker_away:
            raise Transient("away")
        return "run id"

    def decided(
        self, uid: str = UID, verdict: Verdict = SUSPECTED, reasons: Sequence[str] | None = None, **row: object
    ) -> None:
        from triage.report.document import to_document

        self.waiting(uid, **row)
        claim = self.index.claim(uid, owner="w", now=self.clock.now(), lease_s=30)
        assert claim is not None
        document = to_document(an_assessment(some_images(uid).study, verdict=verdict))
        if reasons is not None:
            document["decision"]["reasons"] = list(reasons)
        assert self.index.save_assessment(claim, stage="full", document=document, now=self.clock.now())
        assert self.index.complete(claim, now=self.clock.now())

    def waiting(self, uid: str = UID, **row: object) -> None:
        values = {"received_at": self.clock.now(), **row}
        self.index.record_instances([an_instance(uid, **values)])
        self.index.mark_ready(uid, now=self.clock.now(), reason="test")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_document_is_the_stored_one(node: Node) -> None:
    node.decided()
    assert node.client.get(f"/api/studies/{UID}").json() == node.index.assessment(UID)
    (version,) = node.client.get(f"/api/studies/{UID}/versions").json()
    assert (version["revision"], version["stage"], version["superseded"]) == (1, "full", False)


def test_the_worklist_says_what_is_missing_and_what_was_kept_aside(node: Node) -> None:
    node.decided()
    step = Announcement(Source.MPPS, "1.9", UID, Step.COMPLETED, {f"{UID}.1": 40})
    node.index.put_announcement(step, now=node.clock.now())
    node.index.record_conflicts([ConflictRow("1.a.dcm", "1", "1.2", UID, node.clock.now(), "MR1")])
    [entry] = node.client.get("/api/studies").json()
    assert (entry["announced_images"], entry["missing_images"], entry["conflicts"]) == (40, 39, 1)
    page = node.client.get("/").text
    assert "1 of 40 announced images arrived" in page
    assert "1 with other content under a known UID, kept aside" in page


def test_the_worklist_is_sorted_by_priority_and_then_by_waiting(node: Node) -> None:
    node.decided("1.1", (Category.NO_PATTERN, Priority.UNCHANGED))
    node.waiting("1.2")
    node.decided("1.3", (Category.POSSIBLE, Priority.P2), received_at=node.clock.now() - timedelta(minutes=5))
    node.decided("1.4", (Category.POSSIBLE, Priority.P2), received_at=node.clock.now() - timedelta(minutes=9))
    node.decided("1.5")
    entries = node.client.get("/api/studies").json()
    assert [entry["study_instance_uid"] for entry in entries][:3] == ["1.5", "1.4", "1.3"]
    assert {entry["study_instance_uid"]: entry["waiting_minutes"] for entry in entries}["1.4"] == 9.0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/api/studies", 200, id="noop: empty list"),
        pytest.param("/", 200, id="noop: empty page"),
        pytest.param("/static/style.css", 200, id="style"),
        pytest.param("/api/studies/9.9", 404, id="unknown study"),
        pytest.param("/studies/9.9", 404, id="page of an unknown study"),
        pytest.param("/api/studies/9.9/evidence.png", 404, id="no picture"),
        pytest.param("/api/studies/../x", 404, id="dots leave the path"),
        pytest.param("/api/studies/%2e%2e/evidence.png", 422, id="encoded dots"),
        pytest.param("/api/studies/..%2f..%2fetc%2fpasswd", 404, id="encoded slashes"),
        pytest.param("/api/studies/1.2.3%00/evidence.png", 422, id="NUL"),
        pytest.param("/api/studies/1.2.3%0a", 422, id="newline"),
        pytest.param(f"/api/studies/{'1' * 65}", 422, id="too long"),
        pytest.param("/static/page.js", 200, id="module"),
        pytest.param("/static/../pages.py", 404, id="dots leave the folder of the assets"),
        pytest.param("/static/%2e%2e/pages.py", 404, id="encoded dots leave the folder of the assets"),
        pytest.param("/docs", 404, id="no page with scripts from elsewhere"),
    ],
)
def test_status(node: Node, path: str, status: int) -> None:
    assert node.client.get(path).status_code == status


def test_a_study_without_a_decision_says_so(node: Node) -> None:
    node.waiting()
    answer = node.client.get(f"/api/studies/{UID}")
    assert answer.status_code == 404
    assert "no decision yet (state ready)" in answer.text
    assert "not looked at" in node.client.get("/").text


def test_the_newest_picture(node: Node) -> None:
    node.decided()
    assert "evidence.png" not in node.client.get(f"/studies/{UID}").text
    folder = node.tmp_path / "results" / UID / "r1-full"
    folder.mkdir(parents=True)
    (folder / "evidence.png").write_bytes(b"\x89PNG")
    answer = node.client.get(f"/api/studies/{UID}/evidence.png")
    assert (answer.content, answer.headers["content-type"]) == (b"\x89PNG", "image/png")
    assert f'src="/api/studies/{UID}/evidence.png"' in node.client.get(f"/studies/{UID}").text


@pytest.mark.parametrize("path", ["/", f"/studies/{UID}"])
def test_what_a_header_says_is_text_and_never_markup(node: Node, path: str) -> None:
    node.decided(patient_id="<script>alert(1)</script>", reasons=["<img src=x onerror=alert(1)>"])
    page = node.client.get(path).text
    assert page.count("<script") == page.count('<script type="module" src="/static/')
    assert "<img src=x" not in page
    assert ("&lt;img src=x" if path != "/" else "&lt;script&gt;alert(1)") in page


def test_no_number_of_later_studies_hides_a_positive(node: Node) -> None:
    node.decided("1.1", received_at=node.clock.now() - timedelta(hours=9))
    for number in range(600):
        node.waiting(f"2.{number}")
    answer = node.client.get("/api/studies")
    entries = answer.json()
    assert entries[0]["study_instance_uid"] == "1.1"
    assert (len(entries), answer.headers["x-total-count"]) == (501, "601"), "one P1 and the limit of the others"
    page = node.client.get("/").text
    assert page.index('data-uid="1.1"') < page.index('data-uid="2.')
    assert "This window ends after 200 rows: 601 match." in page


def test_noop_a_whole_list_says_nothing_of_a_cut(node: Node) -> None:
    node.decided()
    assert "This window ends" not in node.client.get("/").text
    assert node.client.get("/api/studies").headers["x-total-count"] == "1"


@pytest.mark.parametrize("path", ["/", "/api/studies", "/healthz", "/nowhere"])
def test_every_answer_carries_the_security_headers(node: Node, path: str) -> None:
    headers = node.client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_nothing_can_be_changed(node: Node, method: str) -> None:
    assert getattr(node.client, method)("/api/studies").status_code == 405


@pytest.mark.parametrize(
    ("web_settings", "host", "status"),
    [
        pytest.param(WebSettings(), "127.0.0.1:8042", 200, id="loopback address"),
        pytest.param(WebSettings(), "localhost", 200, id="loopback name"),
        pytest.param(WebSettings(), "evil.example", 400, id="rebound name"),
        pytest.param(
            WebSettings(host="10.0.0.5", plain_http=True), "worklist.clinic", 400, id="a name that nobody listed"
        ),
        pytest.param(WebSettings(host="10.0.0.5", plain_http=True), "10.0.0.5:8042", 200, id="the bound address"),
        pytest.param(
            WebSettings(host=EVERYWHERE, plain_http=True), "localhost", 200, id="the check of the container itself"
        ),
        pytest.param(
            WebSettings(host=EVERYWHERE, plain_http=True), socket.gethostname(), 200, id="the name of this machine"
        ),
        pytest.param(
            WebSettings(host=EVERYWHERE, plain_http=True), "rebound.example", 400, id="rebound name beyond loopback"
        ),
        pytest.param(
            WebSettings(host="10.0.0.5", plain_http=True, allowed_hosts=("worklist.clinic",)),
            "worklist.clinic",
            200,
            id="listed",
        ),
        pytest.param(
            WebSettings(host=EVERYWHERE, proxies=("10.1.2.3",), allowed_hosts=("worklist.clinic",)),
            "127.0.0.1:8042",
            200,
            id="beside listed names: the check of the container itself, and metrics",
        ),
        pytest.param(
            WebSettings(host="10.0.0.5", plain_http=True, allowed_hosts=("worklist.clinic",)),
            "x.example",
            400,
            id="not listed",
        ),
    ],
)
def test_host_names(tmp_path: Path, web_settings: WebSettings, host: str, status: int) -> None:
    node = Node(tmp_path, web=web_settings)
    assert node.client.get("/static/style.css", headers={"Host": host}).status_code == status


class TestHealth:
    def problems(self, node: Node) -> list[str]:
        answer = node.client.get("/healthz")
        assert (answer.status_code == 200) is (answer.json()["problems"] == []) is answer.json()["ok"]
        return list(answer.json()["problems"])

    def test_healthy(self, node: Node) -> None:
        assert self.problems(node) == []

    def test_index_away(self, node: Node) -> None:
        node.index.away = True
        assert self.problems(node) == ["index"]
        assert node.client.get("/api/studies").status_code == 503

    def test_broker_away(self, node: Node) -> None:
        node.broker_away = True
        assert self.problems(node) == ["broker"]

    def test_disk_full(self, tmp_path: Path) -> None:
        node = Node(tmp_path, store=StoreSettings(state_dir=tmp_path, min_free_bytes=1 << 62))
        assert self.problems(node) == ["disk"]

    def test_index_damaged(self, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
        def damaged(**_: object) -> list[object]:
            raise RuntimeError("database disk image is malformed")

        monkeypatch.setattr(node.index, "due", damaged)
        assert self.problems(node) == ["index"]

    def test_a_study_that_fails_again_and_again(self, node: Node) -> None:
        node.waiting()
        for number in range(1, 5):
            claim = node.index.claim(UID, owner="w", now=node.clock.now(), lease_s=30)
            assert claim is not None
            assert self.problems(node) == [], "the attempt may well succeed"
            node.index.fail(
                claim, reason="disk", retry_at=node.clock.now() + timedelta(seconds=9), now=node.clock.now()
            )
            assert self.problems(node) == (["queue"] if number == 4 else [])
            node.clock.advance(9)

    @pytest.mark.parametrize("process", ["listener", "worker", "urgent", "beat", "web"])
    def test_a_process_that_gives_no_sign_of_life(self, node: Node, process: str) -> None:
        alive = node.gives_a_sign(process)
        assert self.problems(node) == []
        silent = time.time() - SILENT_S - 5
        os.utime(alive, (silent, silent))
        assert self.problems(node) == [process]
        ahead = time.time() + 3600  # the clock was set back since
        os.utime(alive, (ahead, ahead))
        assert self.problems(node) == [process]
        alive.unlink()
        assert self.problems(node) == [process]
        said = node.client.get("/healthz").json()["processes"][process]
        assert said == {"state": "missing", "silence_s": None, "starts": 0}
        assert f'icansee_process_works{{process="{process}"}} 0.0' in node.client.get("/metrics").text

    def test_an_index_that_was_damaged(self, node: Node) -> None:
        assert node.client.get("/healthz").json()["index_note"] is None
        rebuilding_mark(node.tmp_path).touch()
        assert self.problems(node) == ["index"]
        aside = node.tmp_path / "index.db.damaged-20260506T070809Z"
        for path in (aside, aside.with_name(f"{aside.name}-wal")):
            path.touch()
        said = node.client.get("/healthz").json()["index_note"]
        assert "is being built again" in said
        assert said.endswith("The damaged one is kept as index.db.damaged-20260506T070809Z.")
        rebuilding_mark(node.tmp_path).unlink()
        assert self.problems(node) == []
        assert "was damaged and was built again" in node.client.get("/healthz").json()["index_note"]

    def test_a_process_that_ends_again_and_again(self, node: Node) -> None:
        for _ in range(LOOP_STARTS - 1):
            note_start(node.tmp_path, "worker")
        assert self.problems(node) == []
        note_start(node.tmp_path, "worker")
        assert self.problems(node) == ["worker"]
        assert node.client.get("/healthz").json()["processes"]["worker"]["state"] == "restarting"

    def test_nobody_takes_a_due_study(self, node: Node) -> None:
        node.waiting()
        node.clock.advance(health.LONGEST_DUE_S)
        assert self.problems(node) == []
        node.clock.advance(1)
        assert self.problems(node) == ["queue"]


def test_health_counts_what_the_feeds_have_not_applied(tmp_path: Path) -> None:
    feeds = FeedsSettings(hl7=Hl7FeedSettings(port=0))
    node = Node(tmp_path, feeds=feeds)
    node.gives_a_sign("feeds").unlink()
    assert node.client.get("/healthz").json()["feeds"] == {
        "waiting": 0,
        "failed": 0,
        "silent": True,
        "unreadable": False,
    }
    inbox = open_inbox(Settings(store=StoreSettings(state_dir=tmp_path), feeds=feeds))
    inbox.take(merge("B", "A"))
    inbox.apply_waiting(Applied(ValueError("bug")))
    inbox.take(merge("D", "C"))
    node.gives_a_sign("feeds")
    said = node.client.get("/healthz").json()
    assert said["feeds"] == {"waiting": 1, "failed": 1, "silent": False, "unreadable": False}
    assert "feeds" in said["problems"]
