"""A worklist of dcmtk is asked for the order of a study; what it says becomes a sentence, never a date."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, evt

from tests.fake_index import InMemoryIndex
from tests.fakes import an_instance
from tests.listener.harness import eventually
from tests.patience import PATIENCE_S
from workers.arrival import order_texts
from workers.arrival.order_texts import PAUSE_S, WORKLIST_FIND, OrderTexts, query_of
from workers.audit.messages import RemoteNode
from workers.audit.spool import NoAudit
from workers.ports import StudyRow
from workers.sections import DicomTarget

MARCH = date(2024, 3, 4)
AE_TITLE = "RIS"


def a_row(**changes: object) -> StudyRow:
    index = InMemoryIndex()
    index.record_instances([an_instance("1.2.3", 1)])
    row = index.study("1.2.3")
    assert row is not None
    known = {"patient_id": "P7", "accession_number": "A1", "study_date": date(2024, 3, 13)}
    return replace(row, **(known | changes))  # type: ignore[arg-type] # fields of a row


def entry(
    folder: Path,
    name: str,
    *,
    patient: str,
    accession: str,
    reason: str = "headache",
    priority: str = "",
    modality: str = "MR",
    study: str = "",
) -> None:
    """One worklist file."""
    order, step = Dataset(), Dataset()
    step.Modality, step.ScheduledStationAETitle = modality, "MR1"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20240313", "090000"
    step.ScheduledProcedureStepID, step.ScheduledProcedureStepDescription = "1", "MRI brain"
    order.ScheduledProcedureStepSequence = [step]
    order.PatientID, order.PatientName, order.AccessionNumber = patient, "Doe^Jane", accession
    order.RequestedProcedureID, order.StudyInstanceUID = "1", study or generate_uid()
    order.RequestedProcedureDescription, order.RequestedProcedurePriority = reason, priority
    order.SOPClassUID, order.SOPInstanceUID = WORKLIST_FIND, generate_uid()
    order.file_meta = FileMetaDataset()
    order.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    order.file_meta.MediaStorageSOPClassUID = WORKLIST_FIND
    order.file_meta.MediaStorageSOPInstanceUID = order.SOPInstanceUID
    order.save_as(folder / f"{name}.wl", enforce_file_format=True)


@pytest.fixture(scope="module")
def worklist(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DicomTarget]:
    """wlmscpfs with the orders of five patients."""
    folder = tmp_path_factory.mktemp("worklist")
    orders = folder / AE_TITLE
    orders.mkdir()
    (orders / "lockfile").touch()
    entry(orders, "1", patient="P7", accession="A1", reason="day 9 post CAR-T", priority="ROUTINE")
    entry(orders, "2", patient="P8", accession="A2", reason="s/p CD19 CAR-T 2024-03-04", priority="STAT")
    entry(orders, "3", patient="P9", accession="A3")
    entry(orders, "4", patient="P5", accession="A4", priority="STAT", modality="CT")
    entry(orders, "5", patient="P5", accession="A5", priority="ROUTINE")
    entry(orders, "6", patient="P6", accession="A6", priority="HIGH")
    entry(orders, "7", patient="P6", accession="A7", priority="LOW", study="1.2.3")
    entry(orders, "8", patient="P4", accession="A8", priority="STAT", modality="CT")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(["wlmscpfs", "-s", "-dfr", "-dfp", str(folder), str(port)])
    try:
        eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        yield DicomTarget(ae_title=AE_TITLE, host="127.0.0.1", port=port)
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


@pytest.mark.server
@pytest.mark.parametrize(
    ("changes", "infusion", "said"),
    [
        pytest.param({}, None, "day 9 post CAR-T", id="by accession number"),
        pytest.param({"patient_id": "P8", "accession_number": ""}, None, "CD19 CAR-T 2024-03-04", id="by patient"),
        pytest.param({}, MARCH, None, id="known already"),
        pytest.param({}, date(2023, 3, 4), "day 9 post CAR-T", id="another infusion is known"),
        pytest.param({"patient_id": "P9", "accession_number": "A3"}, None, None, id="noop: of something else"),
        pytest.param({"patient_id": "P0"}, None, None, id="the number of somebody else's order"),
        pytest.param({"accession_number": "none"}, None, None, id="no such order"),
    ],
)
def test_an_independent_worklist_is_asked(
    worklist: DicomTarget, changes: dict[str, object], infusion: date | None, said: str | None
) -> None:
    audited: list[str] = []

    class Audited(NoAudit):
        def queried(self, peer: RemoteNode, sop_class_uid: str, keys: bytes) -> None:
            audited.append(sop_class_uid)

    found = OrderTexts(worklist, "ICANSEE", auditor=Audited())(a_row(**changes), infusion)
    assert (found is None) is (said is None)
    assert found is None or f'the order says "{said}", not confirmed' in found
    assert audited == [WORKLIST_FIND]


@pytest.mark.parametrize(
    ("number", "patient", "asked"),
    [
        pytest.param("A1", "P7", ("A1", ""), id="no-op: by accession number"),
        pytest.param("A*", "P7", ("", "P7"), id="a number that names others"),
        pytest.param("A1\\A2", "P7", ("", "P7"), id="two numbers"),
        pytest.param("A1", "P?", ("A1", ""), id="the patient is not asked for"),
        pytest.param("", "*", None, id="everybody"),
        pytest.param("?", "P*7", None, id="neither names the study alone"),
    ],
)
def test_no_query_names_the_orders_of_others(number: str, patient: str, asked: tuple[str, str] | None) -> None:
    row = a_row(accession_number=number, patient_id=patient)
    keys = query_of(row)
    assert (None if keys is None else (keys.AccessionNumber, keys.PatientID)) == asked
    if asked is None:
        nobody = DicomTarget(ae_title=AE_TITLE, host="127.0.0.1", port=1)
        assert OrderTexts(nobody, "ICANSEE").priority(row) == "", "no order says anything"


@pytest.mark.server
@pytest.mark.parametrize(
    ("changes", "priority"),
    [
        pytest.param({}, "ROUTINE", id="by accession number"),
        pytest.param({"patient_id": "P8", "accession_number": ""}, "STAT", id="by patient"),
        pytest.param({"patient_id": "P9", "accession_number": "A3"}, "", id="the order says none"),
        pytest.param({"patient_id": "P0"}, "", id="the number of somebody else's order"),
        pytest.param({"accession_number": "none"}, "", id="no such order"),
        pytest.param({"patient_id": "P5", "accession_number": ""}, "ROUTINE", id="by patient: MR, not CT"),
        pytest.param({"patient_id": "P6", "accession_number": ""}, "LOW", id="by patient: the entry of the study"),
        pytest.param({"patient_id": "P4", "accession_number": ""}, "", id="by patient: CT only"),
        pytest.param({"patient_id": "P4", "accession_number": "A8"}, "STAT", id="the number names the order"),
    ],
)
def test_the_priority_of_an_order(worklist: DicomTarget, changes: dict[str, object], priority: str) -> None:
    assert OrderTexts(worklist, "ICANSEE").priority(a_row(**changes)) == priority


def refused() -> Iterator[tuple[int, Dataset | None]]:
    yield 0xA700, None


def broken_off() -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, Dataset()
    yield 0xC001, None


def silent() -> Iterator[tuple[int, Dataset | None]]:
    time.sleep(1.0)
    yield 0x0000, None


def endless() -> Iterator[tuple[int, Dataset | None]]:
    while True:
        time.sleep(0.01)
        yield 0xFF00, Dataset()


@pytest.mark.parametrize("answers", [refused, broken_off, silent, endless])
def test_a_worklist_that_fails_says_nothing(
    answers: Callable[[], Iterator[tuple[int, Dataset | None]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_texts, "TIMEOUT_S", 0.4)
    ae = AE(ae_title=AE_TITLE)
    ae.add_supported_context(WORKLIST_FIND)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, lambda _: answers())])
    try:
        target = DicomTarget(ae_title=AE_TITLE, host="127.0.0.1", port=server.socket.getsockname()[1])
        assert OrderTexts(target, "ICANSEE").priority(a_row()) is None  # which is not "the order says none"
    finally:
        server.shutdown()


def test_a_worklist_that_is_away_is_left_alone_for_a_minute() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    now = [0.0]
    texts = OrderTexts(DicomTarget(ae_title=AE_TITLE, host="127.0.0.1", port=port), "ICANSEE", now_s=lambda: now[0])
    asked = 0
    ask = texts._ask

    def counted(row: StudyRow) -> list[Dataset] | None:
        nonlocal asked
        asked += 1
        return ask(row)

    texts._ask = counted  # type: ignore[method-assign] # counts
    assert [texts(a_row(), None), texts(a_row(), None)] == [None, None]
    now[0] = PAUSE_S
    assert texts(a_row(), None) is None
    assert texts.priority(a_row()) is None  # not asked, and not the same as an order without a priority
    assert asked == 2
