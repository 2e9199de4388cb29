"""Who saw and changed what is on record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from listener.web.access.cookies import hashed
from listener.web.access.people import made_token
from listener.web.access.rules import PAGE_PARTS, PATIENTS, RULES
from tests.listener.web.signing import Secured
from tests.listener.web.stored import StoredStudy, store
from workers.access_ports import Role, TokenScope
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


def lines_of(secured: Secured) -> list[tuple[str, int]]:
    path = journal_file(secured.settings)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [(one["did"], one["status"]) for one in map(json.loads, lines)]


PARTS = sorted(key for key, rule in RULES.items() if rule is PAGE_PARTS and key != "GET /events")
WHOLE = sorted(key for key, rule in RULES.items() if rule is PATIENTS and key.startswith("GET"))


@pytest.mark.parametrize(
    ("keys", "by_token", "on_record"),
    [
        pytest.param(WHOLE, True, WHOLE, id="all that shows patients, to a program"),
        pytest.param(WHOLE, False, WHOLE, id="and to a person"),
        pytest.param(PARTS, True, PARTS, id="a part without its page, once in a minute"),
        pytest.param(PARTS, False, [], id="noop: the parts of a page"),
    ],
)
def test_every_route_with_patients_is_on_record(
    tmp_path: Path, keys: list[str], on_record: list[str], *, by_token: bool
) -> None:
    secured = Secured(tmp_path)
    text, token = made_token("reader", "x", {TokenScope.STUDIES_READ}, 10, secured.clock.now())
    secured.accounts.add_token(token)
    browser = secured.browser() if by_token else secured.signed_in(Role.READER)
    headers = {"Authorization": f"Bearer {text}"} if by_token else {}
    for _ in range(2 if keys is PARTS else 1):
        for key in keys:
            browser.get(key.removeprefix("GET ").replace("{uid}", "1.2.3"), headers=headers)
    assert [did for did, _ in lines_of(secured) if did != "POST /login"] == on_record
    if keys is PARTS and by_token:
        secured.clock.advance(60)
        browser.get("/rows", headers=headers)
        assert lines_of(secured)[-1][0] == "GET /rows"
        assert len(lines_of(secured)) == len(PARTS) + 1


def test_who_is_signed_in_and_refused_is_on_record(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    browser = secured.signed_in(Role.SERVICE)
    browser.get("/api/studies/1.2.3/small.png")
    browser.submit("/studies/1.2.3/acts", csrf="forged")
    secured.signed_in(Role.READER).submit("/studies/1.2.3/acts", csrf="forged")
    assert [one for one in lines_of(secured) if one[0] != "POST /login"] == [
        ("GET /api/studies/{uid}/small.png", 403),
        ("POST /studies/{uid}/acts", 403),
        ("POST /studies/{uid}/acts", 403),
    ]
    assert '"study": "1.2.3"' in journal_file(secured.settings).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "fields", "about"),
    [
        pytest.param("/operations/retry", {"number": "7"}, (None, "7", None), id="a delivery"),
        pytest.param("/operations/study", {"study": "1.2.3"}, ("1.2.3", None, None), id="a study"),
        pytest.param("/tokens/end", {"key": "0a0b0c0d"}, (None, None, "0a0b0c0d"), id="a token"),
        pytest.param("/api/deliveries/7/retry", {}, (None, "7", None), id="by the API"),
        pytest.param("/studies/1.2.3/acts", {"study": "9.9"}, ("1.2.3", None, None), id="the address comes first"),
        pytest.param("/logout", {}, (None, None, None), id="noop: nothing"),
    ],
)
def test_what_an_act_was_about_is_on_record(
    tmp_path: Path, path: str, fields: dict[str, str], about: tuple[object, ...]
) -> None:
    secured = Secured(tmp_path)
    secured.signed_in(Role.ADMINISTRATOR).submit(path, fields)
    last = json.loads(journal_file(secured.settings).read_text(encoding="utf-8").splitlines()[-1])
    assert (last["study"], last.get("number"), last.get("key")) == about


def test_noop_nobody_came(tmp_path: Path) -> None:
    secured = Secured(tmp_path)
    browser = secured.browser()
    browser.get("/api/studies")
    browser.page("/")
    browser.post("/api/worklist")
    browser.get("/api/studies", headers={"Authorization": "Bearer icansee_0_0"})
    browser.get("/healthz")
    assert lines_of(secured) == []
