"""Who has wrong results gets a rejection note for them, once; a peer that honours it hides exactly these objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pynetdicom import AE, evt

from tests.fakes import NOON
from tests.workers.deliveries.delivering import FIRST, FULL, Site, toy
from tests.workers.outputs.dicom.result_builders import a_decision
from workers.config import parse
from workers.deliveries.process import plan_new
from workers.deliveries.retracting import Told, contradicts, notes, release, retract
from workers.deliveries.to_dicom import RESULT_CLASSES, DicomSender
from workers.delivery_ports import DICOM_OUTPUTS, Decided, Delivery, DeliveryState
from workers.index.schema import deliveries
from workers.outputs.all import ON_REQUEST, OUTPUTS
from workers.outputs.dicom.retraction import REJECTABLE, RETRACT
from workers.outputs.output import Output
from workers.result_settings import DicomDestinationSettings
from workers.rules.answer import RulesAnswer

NEWER = Decided("1.2.3", 2, "full")
DONE = Delivery(FULL, "sc", "pacs", due_at=NOON, state=DeliveryState.DONE, size_bytes=9)
CASES = [
    pytest.param([DONE, replace(DONE, output="sr")], {(FULL, "pacs")}, id="one note for all objects"),
    pytest.param([DONE, replace(DONE, destination="archive")], {(FULL, "pacs"), (FULL, "archive")}, id="everybody"),
    pytest.param([replace(DONE, state=DeliveryState.SENDING, size_bytes=None)], {(FULL, "pacs")}, id="on its way"),
    pytest.param([replace(DONE, state=DeliveryState.PLANNED)], set(), id="noop: nothing has gone out"),
    pytest.param([replace(DONE, state=DeliveryState.SHADOW)], set(), id="shadow"),
    pytest.param([replace(DONE, size_bytes=0)], set(), id="not measured: there was nothing to send"),
    pytest.param([replace(DONE, output="oru")], set(), id="a message is no object"),
    pytest.param([replace(DONE, decided=NEWER)], set(), id="another decision"),
]


@pytest.mark.parametrize(("found", "expected"), CASES)
def test_who_gets_a_note(found: list[Delivery], expected: set[tuple[Decided, str]]) -> None:
    some = notes(found, "retract", {FULL}, urgency=1)
    assert {(one.decided, one.destination) for one in some} == expected
    assert len(some) == len(expected)


def test_a_note_may_name_every_kind_of_object() -> None:
    assert {output.kind for output, _ in REJECTABLE} == set(DICOM_OUTPUTS)
    assert set(DICOM_OUTPUTS) == {one.kind for one in OUTPUTS if one.media_type == "application/dicom"}


def a_document(category: str = "possible", priority: str = "P2", presence: str = "present") -> dict[str, Any]:
    return {
        "decision": {"category": category, "priority": priority, "reasons": ["words"]},
        "findings": [{"pattern": "A", "presence": presence}],
    }


@pytest.mark.parametrize(
    ("newer", "expected"),
    [
        pytest.param(a_document(), False, id="noop: the same"),
        pytest.param({**a_document(), "measurements": [1]}, False, id="other figures"),
        pytest.param(a_document(category="no_pattern"), True, id="category"),
        pytest.param(a_document(priority="P1"), True, id="priority"),
        pytest.param(a_document(presence="indeterminate"), True, id="not measured any more"),
    ],
)
def test_what_says_something_else(newer: dict[str, Any], expected: bool) -> None:
    assert contradicts(a_document(), newer) == expected


def decided_twice(folder: Path, policy: str, newer: Mapping[str, Any]) -> Site:
    """Revision 1 is out, then revision 2 is decided."""
    site = Site(folder, own={"outputs": ["sc"]}, retract_earlier=policy)
    documents = {NEWER: newer}
    outputs = {kind: Output(kind, f"{kind}.dcm", "application/dicom", toy) for kind in ("sc", "retract", "outdated")}
    site.parts = replace(site.parts, outputs=outputs, document=lambda one: documents.get(one, a_document()))
    site.senders = {"pacs": type(site.senders["pacs"])("pacs", site.destinations["pacs"], site.parts)}
    site.decide(FIRST)
    site.step()
    site.decide(FULL)
    site.step()
    site.clock.advance(60)
    site.decide(NEWER, at=site.clock.now())
    site.step(times=5)
    return site


POLICIES = [
    pytest.param("never", a_document("no_pattern"), [], id="noop: never"),
    pytest.param("changed", a_document(), [], id="the same decision again"),
    pytest.param("changed", a_document("no_pattern"), ["r1 first_look", "r1 full"], id="changed"),
]


def left_to_another_node(folder: Path) -> Site:
    one, other = Site(folder, owner="one"), Site(folder, names=("archive",), owner="other")
    other.step("archive")
    one.decide()
    retract(one.deliveries, {FULL}, ["pacs", "archive"], why="wrong", now=NOON)
    return other


def added_later(folder: Path) -> Site:
    Site(folder, names=()).decide()
    site = Site(folder)
    site.decide(Decided("1.9", 1, "full"))
    retract(site.deliveries, {FULL}, ["pacs"], why="wrong", now=NOON)
    return Site(folder, names=("pacs", "archive"))


def tried_again(folder: Path) -> Site:
    site = Site(folder, names=("archive",))
    site.decide()
    retract(site.deliveries, {FULL}, ["archive"], why="wrong", now=NOON)
    assert site.deliveries.retry([site.row("archive").number], now=NOON) == 0
    return site


def released(folder: Path) -> Site:
    site = Site(folder, names=("archive",))
    site.decide()
    site.deliveries.mark_retracted([FULL], now=NOON)
    with site.deliveries._engine.begin() as connection:
        connection.execute(deliveries.update().values(state="held"))
    assert site.deliveries.let_go([1], by="Ada", now=NOON) == 0
    return site


def on_its_way(folder: Path) -> Site:
    site = Site(folder, names=("archive",))
    site.decide()
    taken = site.deliveries.take("archive", owner="node", now=NOON, for_s=60, longest_s=300)
    assert taken is not None
    retract(site.deliveries, {FULL}, ["archive"], why="wrong", now=NOON)
    site.deliveries.settle(replace(taken, state=DeliveryState.PLANNED, failure="away"), now=NOON)
    return site


@pytest.mark.parametrize("way", [left_to_another_node, added_later, tried_again, released, on_its_way])
def test_nobody_gets_a_decision_after_its_retraction(tmp_path: Path, way: Callable[[Path], Site]) -> None:
    site = way(tmp_path)
    site.clock.advance(60)
    for _ in range(3):
        plan_new(site.parts)
        site.step("archive")
    assert [one for one in site.got("archive") if one.endswith("full")] == (["r1 full"] if way is added_later else [])
    assert "1.2.3" not in {one.decided.study_instance_uid for one, *_ in site.destinations["archive"].got}


@pytest.mark.parametrize(("policy", "newer", "expected"), POLICIES)
def test_a_newer_decision(tmp_path: Path, policy: str, newer: dict[str, Any], expected: list[str]) -> None:
    site = decided_twice(tmp_path, policy, newer)
    sent = [f"r{one.decided.revision} {one.decided.stage}" for one, *_ in site.destinations["pacs"].got
            if one.output == "outdated"]  # fmt: skip
    assert sorted(sent) == expected
    assert site.got()[:3] == ["r1 first_look", "r1 full", "r2 full"]  # the newer result first, then the old one goes


def test_always_hides_the_first_look_behind_the_full_decision(tmp_path: Path) -> None:
    site = decided_twice(tmp_path, "always", a_document())
    sent = [one.decided for one, *_ in site.destinations["pacs"].got if one.output == "outdated"]
    assert sent == [FIRST, FULL]


def test_by_command_once(tmp_path: Path) -> None:
    site = decided_twice(tmp_path, "never", a_document())
    site.deliveries.add([Delivery(NEWER, "sr", "pacs", due_at=NOON)], now=site.clock.now())
    for expected in ((1, 1), (0, 0)):
        assert retract(site.deliveries, {NEWER}, {"pacs"}, why="wrong patient", now=site.clock.now()) == expected
        site.step(times=3)
    assert [one.output for one, *_ in site.destinations["pacs"].got].count("retract") == 1
    assert retract(site.deliveries, {FULL}, {"elsewhere"}, why="x", now=site.clock.now()) == (0, 0)


class ManagedNode:
    """A node that honours rejection notes (IOCM): what they name is hidden."""

    def __init__(self) -> None:
        self.shown: set[str] = set()

    def store(self, event: Any) -> int:
        dataset = event.dataset
        title = next((one.CodeValue for one in dataset.get("ConceptNameCodeSequence") or ()), "")
        if title == "113001":
            evidence = dataset.CurrentRequestedProcedureEvidenceSequence
            for series in (series for study in evidence for series in study.ReferencedSeriesSequence):
                self.shown -= {one.ReferencedSOPInstanceUID for one in series.ReferencedSOPSequence}
        else:
            self.shown.add(dataset.SOPInstanceUID)
        return 0x0000


@pytest.mark.parametrize("request_kind", [pytest.param("retract", id="all"), pytest.param("outdated", id="no report")])
def test_a_peer_hides_what_the_note_names(request_kind: str) -> None:
    node, (document, evidence) = ManagedNode(), a_decision()
    ae = AE("PACS")
    for uid in RESULT_CLASSES:
        ae.add_supported_context(uid)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, node.store)])
    try:
        settings = parse(
            {"results": {"destinations": [{"name": "pacs", "kind": "dicom", "ae_title": "PACS", "host": "127.0.0.1",
                                           "port": server.server_address[1], "outputs": ["sr"]}]}}
        ).results.destinations[0]  # fmt: skip
        assert isinstance(settings, DicomDestinationSettings)
        sender = DicomSender(settings, "ICANSEE")
        known = {one.kind: one for one in (*OUTPUTS, *ON_REQUEST)}
        for kind in (*DICOM_OUTPUTS, request_kind):
            content = known[kind].render(document, evidence)
            sender.send(replace(DONE, output=kind), "x.dcm", "application/dicom", content)
        sender.close()
    finally:
        server.shutdown()
    report = dcmread(BytesIO(known["sr"].render(document, evidence))).SOPInstanceUID
    assert node.shown == ({report} if request_kind == "outdated" else set())


def test_the_note_tells_the_reason_and_when() -> None:
    document, evidence = a_decision()
    evidence["retraction.json"] = b'{"why": "wrong baseline", "at": "2026-12-01T10:00:00+00:00"}'
    note = dcmread(BytesIO(RETRACT.render(document, evidence)))
    said = [item.TextValue for item in note.ContentSequence if "TextValue" in item]
    assert said == ["Results of ICANSee retracted: wrong baseline"]
    assert note.ContentDate == "20261201"


ALERT = Delivery(FULL, "oru", "ris", due_at=NOON, state=DeliveryState.DONE, size_bytes=9)
ALERTS = [
    pytest.param([ALERT], {("retract_oru", "ris")}, id="one"),
    pytest.param(
        [ALERT, replace(ALERT, output="fhir", destination="ehr")],
        {("retract_oru", "ris"), ("retract_fhir", "ehr")},
        id="each in its form",
    ),
    pytest.param([replace(ALERT, state=DeliveryState.SHADOW)], set(), id="shadow"),
    pytest.param([replace(ALERT, size_bytes=0)], set(), id="not measured: there was nothing to send"),
]


@pytest.mark.parametrize(("found", "expected"), ALERTS)
def test_who_got_an_alert_gets_its_retraction_once(
    tmp_path: Path, found: list[Delivery], expected: set[tuple[str, str]]
) -> None:
    table = Site(tmp_path).deliveries
    table.add(found, now=NOON)
    names = {"ris", "ehr"}
    for _ in range(2):
        retract(table, {FULL}, names, why="wrong patient", now=NOON)
    planned = table.listed(states=[DeliveryState.PLANNED])
    assert {(one.output, one.destination) for one in planned} == expected
    assert len(planned) == len(expected)


def test_what_is_held_of_a_retracted_decision_is_given_up(tmp_path: Path) -> None:
    """A person who releases it later would send what is known to be wrong."""
    table = Site(tmp_path).deliveries
    table.add([replace(ALERT, state=DeliveryState.HELD, size_bytes=None)], now=NOON)
    assert retract(table, {FULL}, {"ris"}, why="wrong patient", now=NOON) == (0, 1)


@pytest.mark.parametrize("output", ["sc", "oru"])
@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        pytest.param(DeliveryState.DONE, DeliveryState.DONE, id="no-op: it arrived, and the note follows"),
        pytest.param(DeliveryState.PLANNED, DeliveryState.DISCARDED, id="it is not tried again"),
        pytest.param(DeliveryState.DEAD, DeliveryState.DISCARDED, id="nobody sends it by hand"),
        pytest.param(None, DeliveryState.DISCARDED, id="not measured: its sender died"),
    ],
)
def test_what_was_on_its_way_when_it_was_retracted(
    tmp_path: Path, output: str, ended: DeliveryState | None, expected: DeliveryState
) -> None:
    site = Site(tmp_path)
    table, now = site.deliveries, site.clock.now()
    table.add([replace(DONE, output=output, state=DeliveryState.PLANNED, size_bytes=None)], now=now)
    taken = table.take("pacs", owner="node", now=now, for_s=60, longest_s=300)
    assert taken is not None
    assert retract(table, {FULL}, {"pacs"}, why="wrong patient", now=now) == (1, 0)
    if ended is None:
        table.free(now=now, owner="node")
    else:
        table.settle(replace(taken, state=ended), now=now)
    row = table.one(taken.number)
    assert row is not None
    assert row.state is expected


def on_hold(folder: Path, policy: str, newer: Mapping[str, Any]) -> Site:
    """Revision 1 is out, and a rule holds revision 2."""
    site = Site(folder, own={"outputs": ["sc"]}, retract_earlier=policy)
    outputs = {kind: Output(kind, f"{kind}.dcm", "application/dicom", toy) for kind in ("sc", "outdated")}
    held = RulesAnswer(None, held=True)
    site.parts = replace(
        site.parts,
        outputs=outputs,
        document=lambda one: newer if one == NEWER else a_document(),
        wanted=lambda one: held if one == NEWER else None,
    )
    site.senders = {"pacs": type(site.senders["pacs"])("pacs", site.destinations["pacs"], site.parts)}
    site.decide(FULL)
    site.step(times=2)
    site.clock.advance(60)
    site.decide(NEWER, at=site.clock.now())
    site.step(times=3)
    return site


@pytest.mark.parametrize(
    ("policy", "newer", "expected"),
    [
        pytest.param("never", a_document("no_pattern"), ["r2 full sc"], id="no-op: never"),
        pytest.param("changed", a_document(), ["r2 full sc"], id="no-op: it says the same"),
        pytest.param("changed", a_document("no_pattern"), ["r2 full sc", "r1 full outdated"], id="changed"),
        pytest.param("always", a_document(), ["r2 full sc", "r1 full outdated"], id="always"),
    ],
)
def test_what_a_decision_on_hold_outdates_is_hidden_behind_its_release(
    tmp_path: Path, policy: str, newer: dict[str, Any], expected: list[str]
) -> None:
    site = on_hold(tmp_path, policy, newer)
    assert site.got() == ["r1 full"], "who does not get the newer one keeps what is there"
    numbers = [one.number for one in site.deliveries.listed(states=[DeliveryState.HELD])]
    for count in (1, 0):
        told = Told(site.deliveries, site.parts.document, site.results.retract_earlier)
        assert release(told, numbers, by="Ada", now=site.clock.now()) == count
        site.step(times=3)
    sent = [f"r{one.decided.revision} full {one.output}" for one, *_ in site.destinations["pacs"].got]
    assert sent[1:] == expected


def test_nothing_is_hidden_behind_what_was_not_let_go(tmp_path: Path) -> None:
    site = on_hold(tmp_path, "always", a_document("no_pattern"))
    (held,) = site.deliveries.listed(states=[DeliveryState.HELD])
    site.deliveries.mark_retracted([NEWER], now=site.clock.now())
    told = Told(site.deliveries, site.parts.document, "always")
    assert release(told, [held.number, 999], by="Ada", now=site.clock.now()) == 0
    site.step(times=3)
    assert site.got() == ["r1 full"]
