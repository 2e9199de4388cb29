"""A decision in, what takes its alerts back out; and at receivers that go by their standards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import fhirkit
import pytest

from tests.workers.deliveries.test_to_fhir import DELIVERY, Store, serving, tasks
from tests.workers.deliveries.test_to_fhir import sender as fhir_sender
from tests.workers.deliveries.test_to_ups import dimse, states
from tests.workers.deliveries.test_to_ups import send as send_ups
from tests.workers.deliveries.ups_worklist import Worklist
from tests.workers.outputs.alerts.documents import HEADER, RTL, a_document, evidence, not_assessable, quiet
from tests.workers.outputs.alerts.test_oru import rows, strict, value_of
from workers.deliveries.errors import DeliveryRejected
from workers.outputs.alerts import keys, oru
from workers.outputs.alerts.fhir import FHIR
from workers.outputs.alerts.mail import MAIL
from workers.outputs.alerts.oru import ORU
from workers.outputs.alerts.retraction import REASON, RETRACTIONS
from workers.outputs.alerts.ups import UPS
from workers.outputs.alerts.webhook import WEBHOOK
from workers.outputs.output import Output
from workers.outputs.sources import sources_of

BY_KIND = {one.kind: one for one in RETRACTIONS}
WHY = {REASON: b'{"why": "of another\\npatient \\u202e", "at": "2026-12-01T10:00:00+00:00"}'}


def made(kind: str, document: dict[str, Any] | None = None) -> bytes:
    return BY_KIND[kind].render(document or a_document(), {**evidence(), **WHY})


@pytest.mark.parametrize("kind", BY_KIND)
@pytest.mark.parametrize("document", [a_document(), quiet(), not_assessable()], ids=["P1", "quiet", "not assessable"])
def test_a_repeat_is_the_same(kind: str, document: dict[str, Any]) -> None:
    assert made(kind, document) == made(kind, document)
    assert BY_KIND[kind].render(document, {}), "noop: no reason and no headers are stored"


def test_the_message_posts_the_result_as_wrong_under_the_same_order() -> None:
    message, wrong = made("retract_oru"), ORU.render(a_document(), evidence())
    strict(message)
    (obr,), (before,) = rows(message, "OBR"), rows(wrong, "OBR")
    # X would cancel the order of the examination in the RIS, C would end it as read (HL7 table 0123)
    assert (obr[25], obr[3], obr[18], obr[5]) == ("P", before[3], before[18], "")
    assert {row[11] for row in rows(message, "OBX")} == {"W"}
    assert "Reason: of another patient" in value_of(message, "alert")[5]
    assert value_of(message, "replaces")[5] == rows(wrong, "MSH")[0][9]
    assert rows(message, "TQ1") == [], "it asks nobody to hurry"


def test_the_webhook_and_the_mail_name_what_they_take_back() -> None:
    hook, wrong = json.loads(made("retract_webhook")), json.loads(WEBHOOK.render(a_document(), evidence()))
    assert (hook["event"], hook["replaces"]) == ("retraction", wrong["id"])
    assert hook["id"] != wrong["id"]
    mail, before = json.loads(made("retract_mail")), json.loads(MAIL.render(a_document(), evidence()))
    assert mail["replaces"] == before["id"]
    assert "another" not in str(mail), "a reason may name somebody"


def test_fhir_resources_are_marked_and_the_task_is_cancelled() -> None:
    store = Store()
    with serving(store) as url:
        to = fhir_sender(url)
        to.send(DELIVERY, FHIR.file_name, FHIR.media_type, FHIR.render(a_document(), evidence()))
        said = to.send(DELIVERY, "x", FHIR.media_type, made("retract_fhir")).text
        assert fhirkit.validate(json.loads(made("retract_fhir"))) == []
    found = {one["resourceType"]: one["status"] for one in store.by_condition.values()}
    assert found == {"Observation": "entered-in-error", "DiagnosticReport": "entered-in-error", "Task": "cancelled"}
    assert tasks(store) == ["cancelled"]
    assert "entered in error" in said


def test_a_fhir_server_that_changes_nothing_refuses_the_retraction() -> None:
    store = Store()
    store.no_patches = True
    with serving(store) as url:
        to = fhir_sender(url)
        to.send(DELIVERY, FHIR.file_name, FHIR.media_type, FHIR.render(a_document(), evidence()))
        with pytest.raises(DeliveryRejected, match="entered in error"):
            to.send(DELIVERY, "x", FHIR.media_type, made("retract_fhir"))


def test_the_workitem_is_called_back() -> None:
    worklist = Worklist()
    with dimse(worklist) as sender:
        send_ups(sender, UPS.render(a_document(), evidence()))
        assert "1 earlier workitems called back" in send_ups(sender, made("retract_ups"))
    assert states(worklist) == ["CANCELED"]


@pytest.fixture
def older_code(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Derives identifiers as the version before did: with the time of the decision in each."""

    def key(document: dict[str, Any], sources: Any, kind: str) -> bytes:
        study, decided = document["study"]["study_instance_uid"], document.get("decided_at") or ""
        return "\n".join((study, str(sources.revision), document["stage"], kind, decided)).encode()

    with monkeypatch.context() as patch:
        patch.setattr(keys, "_key", key)
        patch.setattr(
            oru, "order_id", lambda document: oru.control_id(document, sources_of(document, evidence()), "oru")
        )
        yield patch


def sent_by(older_code: pytest.MonkeyPatch, output: Output, files: dict[str, bytes]) -> bytes:
    content = output.render(a_document(), files)
    older_code.undo()
    return content


@pytest.mark.parametrize("header", [HEADER, RTL], ids=["no-op: the order has a number", "it has none"])
def test_an_oru_of_older_code_is_taken_back(older_code: pytest.MonkeyPatch, header: dict[str, str]) -> None:
    files = evidence(header)
    before = sent_by(older_code, ORU, files)
    wrong = BY_KIND["retract_oru"].render(a_document(), {**files, **WHY})
    strict(wrong)
    assert rows(before, "OBR")[0][3] in [row[3] for row in rows(wrong, "OBR")]
    assert rows(before, "MSH")[0][9] in [row[5] for row in rows(wrong, "OBX")]


def test_fhir_resources_of_older_code_are_taken_back(older_code: pytest.MonkeyPatch) -> None:
    store = Store()
    with serving(store) as url:
        to = fhir_sender(url)
        to.send(DELIVERY, FHIR.file_name, FHIR.media_type, sent_by(older_code, FHIR, evidence()))
        to.send(DELIVERY, "x", FHIR.media_type, made("retract_fhir"))
    found = {one["resourceType"]: one["status"] for one in store.by_condition.values()}
    assert found == {"Observation": "entered-in-error", "DiagnosticReport": "entered-in-error", "Task": "cancelled"}


@pytest.mark.parametrize("output", [WEBHOOK, MAIL], ids=["webhook", "mail"])
def test_messages_of_older_code_are_named(older_code: pytest.MonkeyPatch, output: Output) -> None:
    before = json.loads(sent_by(older_code, output, evidence()))
    wrong = json.loads(made(f"retract_{output.kind}"))
    assert before["id"] in wrong["replaces_also"]


def test_what_went_out_before_its_sources_were_read_again_is_named() -> None:
    """Its revision was not known then."""
    before = json.loads(WEBHOOK.render(a_document(), {}))
    assert before["id"] in json.loads(made("retract_webhook"))["replaces_also"]
