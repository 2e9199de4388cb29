"""What the operations page says of faults, shadow mode, rules and objects of another patient; retries of studies."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from listener.web.app import create_app
from listener.web.node_report import FAULT_WORDS, MARKS, aside_studies, fault_key, fault_lines, shadow_lines
from tests.fakes import NOON
from tests.listener.web.signing import Browser, Secured
from tests.listener.web.stored import StoredStudy, store
from tests.listener.web.test_pages import check_nothing_runs
from tests.listener.web.visible import content, words
from workers.access_ports import Role
from workers.delivery_ports import Decided, Delivery, DeliveryState
from workers.log import brief
from workers.ports import StudyState
from workers.result_settings import ResultsSettings
from workers.rules.answer import Looked
from workers.rules.listing import listed_rules
from workers.rules.tally import rule_tally
from workers.studies import quarantine, unreadable_files
from workers.studies.attempts import transient
from workers.studies.set_aside import AsideInStudy, AsideObject
from workers.studies.whole_files import FilesDamaged
from workers.worklist_ports import StudyFault

HOSTILE = "<img src=x onerror=alert(1)>"
DAMAGED = FilesDamaged("1.2", "1 of 76 stored files cannot be read now: instance 5b46: 64 bytes of the 128", ("1",))
QUARANTINED = f"{quarantine.CODE}: longer than 600 s {HOSTILE}"


@pytest.mark.parametrize(
    ("failure", "key"),
    [
        pytest.param(QUARANTINED, "quarantined", id="quarantine"),
        pytest.param(quarantine.failure(1, "longer than 600 s"), "limit", id="a limit exceeded once"),
        pytest.param("the worker died or hung in the last one", "worker", id="worker"),
        pytest.param("index: OperationalError", "index", id="index"),
        pytest.param("store_fault: 1.dcm is cut short", "store_fault", id="files"),
        pytest.param(transient(3, brief(DAMAGED)), "store_fault", id="a file lost bytes"),
        pytest.param(transient(3, unreadable_files.REASON), "store_fault", id="files of an earlier study"),
        pytest.param(transient(3, brief(OSError(errno.EIO, os.strerror(errno.EIO)))), "disk", id="the disk fails"),
        pytest.param("[Errno 28] No space left on device", "disk", id="disk"),
        pytest.param("IndexError: list index out of range", "", id="noop: nobody knows it"),
    ],
)
def test_what_went_wrong_with_a_study(failure: str, key: str) -> None:
    assert fault_key(failure) == key


def test_every_mark_has_words() -> None:
    assert {key for key, _ in MARKS} == set(FAULT_WORDS)
    assert all(said and advice for said, advice in FAULT_WORDS.values())


def a_delivery(number: int, **changes: Any) -> Delivery:
    made = Delivery(Decided("1.2", 1, "full"), "sr", "pacs", NOON, planned_at=NOON, number=number)
    return replace(made, **changes)


def test_faults_stand_in_order_with_what_to_do() -> None:
    faults = [
        StudyFault("1.1", StudyState.FAILED, QUARANTINED, 2, NOON),
        StudyFault("1.2", StudyState.READY, "index: away", 3, NOON + timedelta(minutes=2)),
        StudyFault("1.3", StudyState.FAILED, "?", 3, None),
    ]
    dead = a_delivery(7, state=DeliveryState.DEAD, failure="refused", error_class="permanent")
    waits = a_delivery(8, failure="away", error_class="transient", planned_at=NOON + timedelta(minutes=1))
    found = fault_lines(faults, [dead, waits, a_delivery(9)], UTC, most=10)
    assert [(one.what.split()[0], one.at[-5:], one.retry) for one in found] == [
        ("study", "12:02", None),
        ("sr", "12:01", None),
        ("study", "12:00", "1.1"),
        ("sr", "12:00", None),
    ]
    assert found[0].advice == "Nothing yet: it is tried again (attempt 4)."
    assert "tried again by itself" in found[1].advice
    assert "retry it below" in found[3].advice
    assert len(fault_lines(faults, [dead, waits], UTC, most=2)) == 2
    assert fault_lines([], [], UTC, most=2) == [], "noop"


def test_what_shadow_mode_held_back_is_counted() -> None:
    later = a_delivery(2, shadow=True, urgency=1, planned_at=NOON + timedelta(hours=1))
    found = shadow_lines([a_delivery(1, shadow=True, urgency=1), later, a_delivery(3, shadow=True)], UTC)
    assert [(one["urgency"], one["number"], one["first"][-5:], one["last"][-5:]) for one in found] == [
        ("P1", 2, "12:00", "13:00"),
        ("no priority", 1, "12:00", "12:00"),
    ]
    assert shadow_lines([], UTC) == [], "noop"


def test_objects_of_another_patient_name_nobody() -> None:
    stray = AsideObject("1.9", "T1", "MR", "SOMEBODY", None, "another birth date", None)
    (one,) = aside_studies([AsideInStudy("1.2", "P1", clear=False, objects=(stray, replace(stray, why="")))])
    assert one == {"study_instance_uid": "1.2", "objects": 2, "clear": False, "why": "another birth date"}


def failed(folder: Path, failure: str = QUARANTINED) -> Secured:
    made = Secured(folder)
    store(made.index, StoredStudy("1.1", category=None), now=made.clock.now())
    store(made.index, StoredStudy("1.2"), now=made.clock.now())
    made.index.mark_ready("1.1", now=made.clock.now(), reason="test")
    claim = made.index.claim("1.1", owner="test", now=made.clock.now(), lease_s=60)
    assert claim is not None
    made.index.fail(claim, reason=failure, retry_at=None, now=made.clock.now())
    return made


def posted(browser: Browser, path: str, **fields: str) -> int:
    token = browser.get("/api/session").json()["csrf"]
    return browser.post(path, data={**fields, "csrf": token}, headers={"X-CSRF-Token": token}).status_code


def test_a_quarantined_study_is_retried_by_an_administrator(tmp_path: Path) -> None:
    made = failed(tmp_path)
    page = made.signed_in(Role.ADMINISTRATOR).page("/operations").text
    check_nothing_runs(page)
    said = " ".join(words(content(page)))
    assert "twice took more time or memory" in said
    assert "Retry study 1.1" in said
    assert "last hour 2" in said
    service = made.signed_in(Role.SERVICE)
    assert "by an administrator" in " ".join(words(content(service.page("/operations").text)))
    assert posted(service, "/operations/study", study="1.1") == 403
    admin = made.signed_in(Role.ADMINISTRATOR)
    assert posted(admin, "/operations/study", study="1.1") == 303
    row = made.index.study("1.1")
    assert row is not None
    assert (row.state, row.attempts, row.failure) == (StudyState.READY, 0, None)
    assert posted(admin, "/operations/study", study="1.1") == 409, "it needs none any more"


@pytest.mark.parametrize(("uid", "status"), [("1.2", 409), ("9.9", 404), ("../x", 404), ("", 404), ("1" * 65, 404)])
def test_what_has_not_failed_is_not_retried(tmp_path: Path, uid: str, status: int) -> None:
    assert posted(failed(tmp_path).signed_in(Role.ADMINISTRATOR), "/operations/study", study=uid) == status


def test_the_api_says_and_does_the_same(tmp_path: Path) -> None:
    made = failed(tmp_path)
    admin = made.signed_in(Role.ADMINISTRATOR)
    node = admin.get("/api/node").json()
    assert [(one["retry"], one["said"]) for one in node["faults"]] == [("1.1", QUARANTINED)]
    assert [one["span"] for one in node["throughput"]] == ["last hour", "last 24 hours"]
    assert posted(admin, "/api/studies/1.1/retry") == 200
    assert posted(admin, "/api/studies/1.1/retry") == 409
    assert posted(made.signed_in(Role.READER), "/api/studies/1.1/retry") == 403


def test_the_page_says_what_each_rule_did_today(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(
        "rules: [{name: night, when: 'true', tag: [seen]}, {name: never, when: 'false', tag: [no]}]", "utf-8"
    )
    made = Secured(tmp_path)
    settings = made.settings.model_copy(update={"results": ResultsSettings(rules=path)})
    night, never = listed_rules(settings.results)
    today = made.clock.now().astimezone().date()
    rule_tally(tmp_path).add([Looked(night, fits=True), Looked(never, failure=HOSTILE)], today)
    client = TestClient(create_app(replace(made.site, settings=settings, accounts=None)), base_url="http://127.0.0.1")
    page = client.get("/operations").text
    check_nothing_runs(page)
    said = " ".join(words(content(page)))
    assert "night line 1 decision 1 1 0 0 0" in said
    assert f"never line 1 decision 1 0 0 0 1 {HOSTILE}" in said
