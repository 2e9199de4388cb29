"""Who saw and changed what is on record."""

from __future__ import annotations

import json
from pathlib import Path

from tests.listener.web.signing import Secured
from workers.access_ports import Role
from workers.audit.journal import journal_file, verify_journal


def test_what_is_on_record(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    browser = secured.browser()
    browser.sign_in("reader", "wrong horse battery")
    browser.sign_in("reader")
    browser.page("/")
    browser.get("/api/studies/9.9")
    browser.get("/api/studies/9.9/evidence.png")
    browser.get("/static/style.css")
    browser.submit("/logout")
    path = journal_file(secured.settings)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(one["who"], one["did"], one["study"], one["status"], one.get("name")) for one in lines] == [
        ("", "POST /login", None, 401, "reader"),
        ("", "POST /login", None, 303, "reader"),
        ("reader", "GET /", None, 200, None),
        ("reader", "GET /api/studies/{uid}", "9.9", 404, None),
        ("reader", "POST /logout", None, 303, None),
    ]
    assert verify_journal(path).entries == 5
    assert "horse" not in path.read_text(encoding="utf-8")


def test_noop_nobody_came(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    secured.signed_in(Role.SERVICE).get("/api/studies")
    path = journal_file(secured.settings)
    assert [json.loads(line)["did"] for line in path.read_text(encoding="utf-8").splitlines()] == ["POST /login"]
