"""Who saw and changed what is on record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from listener.web.access.cookies import hashed
from tests.listener.web.signing import Secured
from tests.listener.web.stored import StoredStudy, store
from workers.access_ports import Role
from workers.audit.journal import journal_file, verify_journal
from workers.audit.messages import UserSign, Viewing
from workers.audit.spool import NoAudit


def test_what_is_on_record(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    browser = secured.browser()
    browser.sign_in("reader", "wrong horse battery")
    browser.sign_in("reader")
    browser.page("/")
    browser.get("/api/studies/9.9")
    browser.get("/api/studies/9.9/evidence.png")
    browser.get("/api/studies/" + "%01" * 9000)
    browser.get("/static/style.css")
    browser.submit("/logout")
    path = journal_file(secured.settings)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(one["who"], one["did"], one["study"], one["status"], one.get("name")) for one in lines] == [
        ("", "POST /login", None, 401, "reader"),
        ("", "POST /login", None, 303, "reader"),
        ("reader", "GET /", None, 200, None),
        ("reader", "GET /api/studies/{uid}", "9.9", 404, None),
        ("reader", "GET /api/studies/{uid}", "SHA-256 " + hashed("\x01" * 9000), 422, None),
        ("reader", "POST /logout", None, 303, None),
    ]
    assert verify_journal(path).entries == 6
    assert "horse" not in path.read_text(encoding="utf-8")


def test_who_saw_whom_goes_to_the_audit_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Viewing] = []

    class Kept(NoAudit):
        def viewed(self, viewing: Viewing) -> None:
            seen.append(viewing)

    monkeypatch.setattr("listener.web.app.auditor_of", lambda _settings: Kept())
    secured = Secured(tmp_path)
    store(secured.index, StoredStudy("1.2.3", "MRN-7", row={"accession_number": "A1"}), now=secured.clock.now())
    browser = secured.signed_in(Role.READER)
    for path in ("/", "/studies/1.2.3", "/studies/1.2.3/patient", "/api/studies/9.9", "/api/studies/1.2.3"):
        browser.page(path)
    browser.get("/api/studies/1.2.3/small.png")
    assert [(one.user, one.what) for one in seen] == [
        ("reader", "GET /studies/{uid}"),
        ("reader", "GET /studies/{uid}/patient"),
        ("reader", "GET /api/studies/{uid}"),
    ]
    assert {(one.study_instance_uid, one.patient_id, one.accession_number) for one in seen} == {
        ("1.2.3", "MRN-7", "A1")
    }
    secured.signed_in(Role.SERVICE).page("/studies/1.2.3")
    assert len(seen) == 3, "noop: who was not let in has seen nothing"


def test_who_signs_in_and_out_goes_to_the_audit_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signs: list[UserSign] = []

    class Kept(NoAudit):
        def signed(self, sign: UserSign) -> None:
            signs.append(sign)

    monkeypatch.setattr("listener.web.app.auditor_of", lambda _settings: Kept())
    secured = Secured(tmp_path)
    secured.signed_in(Role.READER).submit("/logout")
    other = secured.browser()
    statuses = [other.sign_in("reader", "wrong").status_code for _ in range(20)]
    assert 429 in statuses
    assert signs[:2] == [UserSign("reader", "127.0.0.1"), UserSign("reader", "127.0.0.1", signs_in=False)]
    assert signs[2:] == [UserSign("reader", "127.0.0.1", succeeded=False)] * statuses.count(401)
    secured.browser().page("/login")
    assert len(signs) == 2 + statuses.count(401), "noop: a form that is only looked at"


def test_noop_nobody_came(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    secured.signed_in(Role.SERVICE).get("/api/studies")
    path = journal_file(secured.settings)
    assert [json.loads(line)["did"] for line in path.read_text(encoding="utf-8").splitlines()] == ["POST /login"]
