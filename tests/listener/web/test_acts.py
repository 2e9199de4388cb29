"""Acknowledging, agreeing and disagreeing in the browser and over the API."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes import NOON, SUSPECTED, an_assessment, an_instance, some_images
from tests.fakes_acts import FakeActs
from tests.listener.web.signing import Browser, Secured, csrf_in
from triage.model import Finding, Presence, Strength
from triage.report.document import to_document
from workers.access_ports import Role
from workers.act_ports import ActKind
from workers.delivery_ports import Decided, Delivery, DeliveryState
from workers.feedback.acting import Acting
from workers.index import migrations
from workers.index.deliveries import SqlDeliveries
from workers.index.schema import open_engine
from workers.index.sql import SqlIndex
from workers.ports import StudyIndex

UID = "1.2.3"
CALL = {"name": "call", "kind": "folder", "path": "out", "outputs": ["document"], "escalate_after_s": 600}
FOUND = (
    Finding("A", Presence.PRESENT, Strength.SUSPECTED, ("thalami +17 %",), "both thalami"),
    Finding("B", Presence.ABSENT, None, (), "no new lesion"),
)


class Ward(Secured):
    """A site with one decided study whose escalation waits."""

    def __init__(self, folder: Path) -> None:
        engine = open_engine(f"sqlite:///{folder / 'index.db'}")
        migrations.prepare(engine, upgrade=False)
        self.deliveries, self.acts = SqlDeliveries(engine), FakeActs()
        super().__init__(folder, acting=Acting(self.acts, self.deliveries))
        self.decide()
        self.decide_in(SqlIndex(engine))  # what an acknowledgement covers is asked there
        waiting = Delivery(Decided(UID, 1, "full"), "document", "call", due_at=NOON, escalates=True)
        self.deliveries.register(["call"], since=NOON)
        self.deliveries.add([waiting], now=NOON)

    def decide(self) -> None:
        self.decide_in(self.index)

    def decide_in(self, index: StudyIndex) -> None:
        index.record_instances([an_instance(UID, received_at=self.clock.now())])
        index.mark_ready(UID, now=self.clock.now(), reason="test")
        claim = index.claim(UID, owner="w", now=self.clock.now(), lease_s=30)
        assert claim is not None
        document = to_document(replace(an_assessment(some_images(UID).study, verdict=SUSPECTED), findings=FOUND))
        assert index.save_assessment(claim, stage="full", document=document, now=self.clock.now())
        assert index.complete(claim, now=self.clock.now())


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    return Ward(tmp_path)


def said(browser: Browser, **body: object) -> tuple[int, object]:
    token = browser.get("/api/session").json()["csrf"]
    answer = browser.post(f"/api/studies/{UID}/acts", json=body, headers={"X-CSRF-Token": token, "Origin": browser.own})
    return answer.status_code, answer.json()


def test_noop_nothing_was_said(ward: Ward) -> None:
    browser = ward.signed_in(Role.READER)
    assert browser.get(f"/api/studies/{UID}/acts").json() == []
    assert browser.get("/api/agreement").json() == []
    assert "Nobody has said anything" in browser.page("/agreement").text


def test_acknowledging_stops_the_escalation(ward: Ward) -> None:
    browser = ward.signed_in(Role.READER)
    page = browser.page(f"/studies/{UID}").text
    fields = {"kind": "acknowledge", "revision": "1", "stage": "full"}
    answer = browser.submit(f"/studies/{UID}/acts", fields, csrf=csrf_in(page))
    assert (answer.status_code, answer.headers["location"]) == (303, f"/studies/{UID}")
    (delivery,) = ward.deliveries.listed(study_instance_uid=UID)
    assert (delivery.state, delivery.answer) == (DeliveryState.DISCARDED, "given up: acknowledged by reader")
    assert [one.by for one in ward.deliveries.acknowledged(UID)] == ["reader"]
    assert "acknowledge, on revision 1" in browser.page(f"/studies/{UID}").text


def test_who_acknowledges_an_older_decision_has_not_seen_the_newest(ward: Ward) -> None:
    """A tab that stands open since before the images that came last."""
    browser = ward.signed_in(Role.READER)
    page = browser.page(f"/studies/{UID}").text
    ward.index.requeue(UID, now=ward.clock.now())
    ward.decide()
    fields = {"kind": "acknowledge", "revision": "1", "stage": "full", "note": "seen"}
    answer = browser.submit(f"/studies/{UID}/acts", fields, csrf=csrf_in(page))
    assert answer.headers["location"] == f"/studies/{UID}?said=older"
    (delivery,) = ward.deliveries.listed(study_instance_uid=UID)
    assert delivery.state is DeliveryState.PLANNED, "the escalation goes on"
    assert ward.deliveries.acknowledged(UID) == []
    shown = browser.page(f"/studies/{UID}?said=older").text
    assert "The decision changed while your page was open" in shown
    assert "acknowledge, on revision 1: <bdi data-sent>seen</bdi>" in shown
    assert "Acknowledged by" not in shown
    fields["revision"] = "2"
    assert browser.submit(f"/studies/{UID}/acts", fields).headers["location"] == f"/studies/{UID}"
    shown = browser.page(f"/studies/{UID}").text
    assert "Acknowledged by <bdi>reader</bdi>" in shown
    assert "while your page was open" not in shown


def test_a_disagreement_with_a_note(ward: Ward) -> None:
    browser = ward.signed_in(Role.READER)
    code, act = said(browser, kind="disagree", note=" <b>old infarct</b> ")
    assert isinstance(act, dict)
    assert code == 201
    assert (act["patterns"], act["by"], act["note"], act["stage"]) == (["A"], "reader", "<b>old infarct</b>", "full")
    page = browser.page(f"/studies/{UID}").text
    assert "&lt;b&gt;old infarct" in page
    assert "<b>old" not in page
    (delivery,) = ward.deliveries.listed(study_instance_uid=UID)
    assert delivery.state is DeliveryState.PLANNED, "a verdict is no acknowledgement"
    (one,) = browser.get("/api/agreement").json()
    assert (one["pattern"], one["disagreed"], one["fraction"]) == ("A", 1, 0.0)
    assert "0 to 79 %" in browser.page("/agreement").text


def test_a_finding_is_rejected(ward: Ward) -> None:
    browser = ward.signed_in(Role.READER)
    assert browser.get(f"/api/studies/{UID}/assessments").json()["assessments"] == []
    assert said(browser, kind="reject", finding="A")[0] == 201
    (one,) = browser.get(f"/api/studies/{UID}/assessments").json()["assessments"]
    assert (one["result"]["pattern"], one["assessment"]) == ("A", "rejected")
    assert ward.acts.acts_of(UID)[0].patterns == ("A",)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"kind": "like"}, id="no such act"),
        pytest.param({}, id="nothing"),
        pytest.param({"kind": "reject"}, id="no finding"),
        pytest.param({"kind": "reject", "finding": "Z"}, id="unknown finding"),
        pytest.param({"kind": "agree", "finding": "A"}, id="a verdict with a finding"),
        pytest.param({"kind": "agree", "revision": 9}, id="a decision that is not there"),
        pytest.param({"kind": "agree", "stage": "first_look"}, id="a stage that is not there"),
        pytest.param({"kind": "agree", "note": "x" * 2001}, id="a long note"),
        pytest.param({"kind": "agree", "by": "somebody else"}, id="in the name of somebody else"),
    ],
)
def test_what_cannot_be_said(ward: Ward, body: dict[str, object]) -> None:
    browser = ward.signed_in(Role.READER)
    assert said(browser, **body)[0] == 422
    assert ward.acts.all_acts() == []


def test_what_cannot_be_said_by_a_form(ward: Ward) -> None:
    browser = ward.signed_in(Role.READER)
    for fields in ({"kind": "like"}, {"kind": "agree", "revision": "x"}, {}):
        assert browser.submit(f"/studies/{UID}/acts", fields).status_code == 422
    assert browser.submit("/studies/9.9/acts", {"kind": "agree"}).status_code == 404


def test_the_service_says_nothing(ward: Ward) -> None:
    assert said(ward.signed_in(Role.SERVICE), kind="agree")[0] == 403


def test_every_act_has_a_button(ward: Ward) -> None:
    page = ward.signed_in(Role.READER).page(f"/studies/{UID}").text
    assert [kind for kind in ActKind if f'value="{kind}"' not in page] == []


def test_the_form_leads_back_to_this_site_only(ward: Ward) -> None:
    fields = {"kind": "agree", "next": "//evil.example"}
    answer = ward.signed_in(Role.READER).submit(f"/studies/{UID}/acts", fields)
    assert answer.headers["location"] == "/"
