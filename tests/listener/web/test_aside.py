"""Objects that are set aside, for programs: listed for readers, answered by administrators, on record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import an_instance
from tests.listener.web.signing import Browser, Secured
from workers.access_ports import Role
from workers.audit.journal import journal_file

UID = "1.7"
OWN = [an_instance(UID, n) for n in range(1, 5)]
STRAY = replace(an_instance(UID, 11, patient_id="P2"), series_description="T1")
PATH = f"/api/studies/{UID}/set-aside"


@pytest.fixture
def secured(tmp_path: Path) -> Secured:
    site = Secured(tmp_path)
    site.index.record_instances([*OWN, STRAY])
    site.index.record_instances([an_instance("1.8", 1)])
    return site


def said(browser: Browser, path: str = PATH, **body: Any) -> tuple[int, Any]:
    headers = {"X-CSRF-Token": browser.get("/api/session").json()["csrf"], "Origin": browser.own}
    answer = browser.post(path, json=body, headers=headers)
    return answer.status_code, answer.json()


def test_a_reader_sees_them(secured: Secured) -> None:
    browser = secured.signed_in(Role.READER)
    (found,) = browser.get("/api/set-aside").json()
    assert (found["study_instance_uid"], found["patient_id"], found["clear"]) == (UID, "P1", True)
    (one,) = found["objects"]
    assert (one["sop_instance_uid"], one["patient_id"]) == (STRAY.sop_instance_uid, "P2")
    assert (one["why"], one["answer"]) == ("another patient ID", None)
    assert browser.get(PATH).json() == found
    assert browser.get("/api/studies/1.8/set-aside").json()["objects"] == [], "noop: all objects agree"
    assert browser.get("/api/studies/1.9/set-aside").status_code == 404


@pytest.mark.parametrize("answer", ["restored", "discarded"])
def test_an_administrator_answers(secured: Secured, answer: str) -> None:
    browser = secured.signed_in(Role.ADMINISTRATOR)
    status, done = said(browser, answer=answer)
    assert (status, done["answer"], done["objects"]) == (200, answer, 1)
    assert done["study"]["objects"][0]["answer"]["by"] == Role.ADMINISTRATOR.value
    assert browser.get("/api/set-aside").json() == []
    assert len(browser.get("/api/set-aside?answered=true").json()) == 1
    lines = journal_file(secured.settings).read_text()
    assert "POST /api/studies/{uid}/set-aside" in lines
    assert "GET /api/set-aside" in lines


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        pytest.param("/api/studies/1.8/set-aside", {"answer": "restored"}, 422, id="nothing is set aside"),
        pytest.param("/api/studies/1.9/set-aside", {"answer": "restored"}, 404, id="no such study"),
        pytest.param(PATH, {"answer": "perhaps"}, 422, id="no answer"),
        pytest.param(PATH, {"answer": "restored", "objects": ["1.2.3"]}, 422, id="no object of the study"),
        pytest.param(PATH, {"answer": "restored", "objects": ["../x"]}, 422, id="no UID"),
        pytest.param(PATH, {"answer": "restored", "patient_id": "P3"}, 422, id="nobody states it"),
        pytest.param(PATH, {"answer": "restored", "why": "x"}, 422, id="a field that does not exist"),
        pytest.param(
            PATH, {"answer": "discarded", "objects": [one.sop_instance_uid for one in [*OWN, STRAY]]}, 422,
            id="nothing would be left",
        ),
    ],
)  # fmt: skip
def test_what_is_refused_changes_nothing(secured: Secured, path: str, body: dict[str, Any], status: int) -> None:
    assert said(secured.signed_in(Role.ADMINISTRATOR), path, **body)[0] == status
    assert secured.index.object_answers(UID) == {}


@pytest.mark.parametrize("role", [Role.READER, Role.SERVICE])
def test_nobody_else_answers(secured: Secured, role: Role) -> None:
    assert said(secured.signed_in(role), answer="restored")[0] == 403
    assert secured.index.object_answers(UID) == {}


def test_it_is_closed(secured: Secured) -> None:
    assert secured.browser().get("/api/set-aside").status_code == 401
    assert secured.signed_in(Role.SERVICE).get("/api/set-aside").status_code == 403
