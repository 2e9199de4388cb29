"""Control and bidirectional characters in every text: no page, no answer of the API, no output, no export and no line
of the log holds one as it is."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes import NOON, an_instance
from tests.listener.web.signing import Browser
from tests.listener.web.stored import StoredStudy, store
from tests.listener.web.test_acts import Ward
from tests.workers.outputs.alerts.documents import HEADER, a_document, evidence
from workers import log
from workers.access_ports import Role
from workers.act_ports import Act, ActKind
from workers.delivery_ports import Decided, Delivery
from workers.feedback.export import as_csv
from workers.identities import BIDI
from workers.outputs.all import OUTPUTS
from workers.plain_text import json_text, without_hidden
from workers.ports import ConflictRow
from workers.settings import LogSettings

DIRTY = "a\u202eb\u2066c\x1b[31m\x07d\x7f\x9be\u200f<i>"
UID = "1.1"
CONTROLS = {chr(code) for code in (*range(32), *range(0x7F, 0xA0))} - set("\t\n\r")
TEXT_OUTPUTS = ("document", "oru", "fhir", "webhook", "mail", "ups")
NOT_TEXT = ("/events", ".png", "/viewer")  # a stream without end, pictures, voxels
SPELLED = (
    *("study_instance_uid", "series_instance_uid", "study_date", "priority", "category", "presence", "strength"),
    *("stage", "pattern", "since", "decided_at", "schema_version", "course", "first_seen", "kind", "day", "unit"),
)


def hidden_in(text: str) -> set[str]:
    return set(text) & (BIDI | CONTROLS)


def dirty(value: Any) -> Any:
    """The value with DIRTY at the end of every text that is no code, date or UID."""
    if isinstance(value, dict):
        return {key: one if key in SPELLED else dirty(one) for key, one in value.items()}
    if isinstance(value, list):
        return [dirty(one) for one in value]
    return f"{value} {DIRTY}" if isinstance(value, str) and " " in value else value


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Ward:
    """Everything that came in by a way without a door."""
    made = Ward(tmp_path_factory.mktemp("dirty"))
    row = {"patient_name": DIRTY, "accession_number": DIRTY, "series_description": DIRTY, "modality": DIRTY}
    reasons = (f"pattern A suspected: {DIRTY}", DIRTY)
    notices = {"notices": [DIRTY], "order_priority": DIRTY}
    store(made.index, StoredStudy(UID, DIRTY, row=row, reasons=reasons, changes=notices), now=NOON)
    store(made.index, StoredStudy("1.2", DIRTY, category="no_pattern", row=row, reasons=reasons), now=NOON)
    made.index.record_instances([an_instance(UID, 90, patient_id="P2", series_description=DIRTY)])
    made.index.record_conflicts([ConflictRow("c.dcm", "1.2.9", "1.2.8", UID, NOON, DIRTY, patient_id=DIRTY)])
    waiting = Delivery(Decided(UID, 1, "full"), "document", "call", due_at=NOON)
    made.deliveries.add([waiting], now=NOON)
    return made


def pages_of(ward: Ward) -> Iterator[str]:
    for route in ward.app.routes:
        if isinstance(route, APIRoute) and "GET" in route.methods and not any(n in route.path for n in NOT_TEXT):
            yield route.path.replace("{uid}", UID)


def test_every_page_and_every_answer(ward: Ward) -> None:
    browser, shown = ward.signed_in(Role.ADMINISTRATOR), 0
    for path in pages_of(ward):
        answer = browser.get(path, headers={"Accept": "text/html" if "/api" not in path else "application/json"})
        assert answer.status_code in (200, 303, 307, 404, 503), path
        assert not hidden_in(answer.text), path
        shown += "[31m" in answer.text
    assert shown >= 8, "the texts are on the pages"


FORMS: list[Any] = [
    pytest.param("/search", {"find": DIRTY}, id="search"),
    pytest.param("/operations/roster", {"csv": f"patient_id;infusion_date\n{DIRTY};{DIRTY}\n"}, id="roster"),
    pytest.param("/tokens", {"label": DIRTY, "scope": DIRTY}, id="tokens"),
    pytest.param(f"/studies/{UID}/acts", {"kind": DIRTY}, id="no act"),
    pytest.param(f"/studies/{UID}/acts", {"kind": "agree", "note": DIRTY}, id="act"),
]


@pytest.mark.parametrize(("path", "fields"), FORMS)
def test_what_a_form_says_back(ward: Ward, path: str, fields: dict[str, str]) -> None:
    browser = ward.signed_in(Role.ADMINISTRATOR)
    answer = browser.submit(path, fields)
    assert not hidden_in(answer.text)
    assert not hidden_in(_followed(browser, answer))
    assert not hidden_in(browser.get(f"/studies/{UID}").text)


def _followed(browser: Browser, answer: Any) -> str:
    where = answer.headers.get("location", "")
    return str(browser.get(where).text) if where.startswith("/") else ""


def test_a_wrong_question_to_the_api(ward: Ward) -> None:
    browser = ward.signed_in(Role.ADMINISTRATOR)
    headers = {"X-CSRF-Token": browser.get("/api/session").json()["csrf"], "Origin": browser.own}
    for path, body in (
        (f"/api/studies/{UID}/acts", {"kind": DIRTY, DIRTY: DIRTY}),
        ("/api/roster", {"csv": f"patient_id\n{DIRTY}"}),
        (f"/api/studies/{UID}/set-aside", {"answer": DIRTY}),
    ):
        answer = browser.post(path, json=body, headers=headers)
        assert answer.status_code == 422
        assert not hidden_in(answer.text), path


@pytest.mark.parametrize("kind", TEXT_OUTPUTS)
def test_outputs(kind: str) -> None:
    """Of HL7 each field, too: its segments end with a carriage return."""
    header = {name: value if name.endswith(("UID", "Date", "UTC")) else f"{value}{DIRTY}"[:64]
        for name, value in HEADER.items()}  # fmt: skip
    header |= {name: HEADER[name] for name in ("StudyTime", "PatientSex")}
    output = next(one for one in OUTPUTS if one.kind == kind)
    text = output.render(dirty(a_document()), evidence(header, picture=False)).decode()
    assert not hidden_in(text)
    assert "[31m" in text.replace("\\S\\", "")
    if kind != "oru":
        json.loads(text)


def test_the_export_of_acts() -> None:
    act = Act(UID, 1, "full", ActKind.AGREED, DIRTY, NOON, ("A",), DIRTY, 1)
    text = as_csv([act])
    assert not hidden_in(text)
    assert next(iter(csv.DictReader(io.StringIO(text))))["note"] == without_hidden(DIRTY)


@pytest.mark.parametrize("form", ["json", "console"])
def test_the_log(form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    try:
        log.configure(LogSettings(format=form), process="test")
        log.get_logger("test").warning("something.happened", said=f"{DIRTY}\n2026-01-01 forged line")
        logging.getLogger("library").warning("quotes %s", DIRTY)
    finally:
        root.handlers[:] = before
    lines = capsys.readouterr().err.strip().split("\n")
    assert len(lines) == 2
    assert not hidden_in("".join(lines).replace("\x1b[", "") if form == "console" else "".join(lines))


@settings(max_examples=200)
@given(st.text())
def test_any_text(text: str) -> None:
    assert not hidden_in(without_hidden(text))
    assert not hidden_in(json_text({"a": text}))
    assert json.loads(json_text([text])) == [text]


CLEANERS: list[Callable[[str], str]] = [without_hidden, lambda text: json.loads(json_text(text))]


@pytest.mark.parametrize("clean", CLEANERS, ids=["text", "json"])
def test_noop_plain_texts(clean: Callable[[str], str]) -> None:
    for text in ("", "größer\n\tzwei", "山田^太郎", "كهن דוד"):
        assert clean(text) == text


def test_the_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json_text(dirty(a_document()), indent=1), encoding="utf-8")
    assert not hidden_in((tmp_path / "x.json").read_text(encoding="utf-8"))
