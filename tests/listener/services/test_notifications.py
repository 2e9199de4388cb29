"""MPPS and availability notices, with pynetdicom on the other side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pynetdicom import AE, evt
from structlog.testing import capture_logs

from listener.services.notifications import AVAILABILITY, MPPS, services
from tests.fake_index import InMemoryIndex
from tests.fakes import NOON
from tests.listener.harness import Node, running
from tests.workers.reading.data_sets import MR
from workers.announcements import Announcement, Source, Step
from workers.index.sql import open_index
from workers.remote.reactor import reactor_paused

STEP, STUDY = "1.2.826.0.1.9", "1.2.3"
A, B = f"{STUDY}.1", f"{STUDY}.2"


def items(count: int, **values: Any) -> list[Dataset]:
    return [item(**values) for _ in range(count)]


def item(**values: Any) -> Dataset:
    found = Dataset()
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def begun(**changes: Any) -> Dataset:
    values = {
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "ScheduledStepAttributesSequence": [item(StudyInstanceUID=STUDY)],
        "PerformedSeriesSequence": [],
        "PatientName": "Secret^Name",
    }
    return item(**{**values, **changes})


def done(status: str = "COMPLETED", **images: int) -> Dataset:
    series = [
        item(
            SeriesInstanceUID={"a": A, "b": B}[name],
            ReferencedImageSequence=items(count, ReferencedSOPClassUID=MR),
            ReferencedNonImageCompositeSOPInstanceSequence=items(2),
        )
        for name, count in images.items()
    ]
    return item(PerformedProcedureStepStatus=status, PerformedSeriesSequence=series)


def notice() -> Dataset:
    report = item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    series = item(SeriesInstanceUID=A, ReferencedSOPSequence=[*items(3, ReferencedSOPClassUID=MR), report])
    return item(StudyInstanceUID=STUDY, ReferencedSeriesSequence=[series])


@contextmanager
def calling(node: Node) -> Iterator[Any]:
    ae = AE(ae_title="MR1")
    ae.add_requested_context(MPPS)
    ae.add_requested_context(AVAILABILITY)
    association = ae.associate("127.0.0.1", node.port, ae_title="ICANSEE")
    assert association.is_established
    with reactor_paused(association):
        yield association
    association.release()


@pytest.mark.parametrize(
    "listener", [pytest.param({}, id="stream"), pytest.param({"receive_path": "stock"}, id="stock")]
)
def test_a_step_from_begin_to_end(tmp_path: Path, listener: dict[str, Any]) -> None:
    with running(tmp_path, **listener) as node:
        with calling(node) as scanner:
            first, _ = scanner.send_n_create(begun(), MPPS, STEP)
            again, _ = scanner.send_n_create(begun(), MPPS, STEP)
            last, _ = scanner.send_n_set(done(a=3, b=2), MPPS, STEP)
            too_late, _ = scanner.send_n_set(done(a=1), MPPS, STEP)
            noticed, _ = scanner.send_n_create(notice(), AVAILABILITY, "1.2.826.0.1.10")
        found = [one.Status for one in (first, again, last, too_late, noticed)]
        assert found == [0x0000, 0x0111, 0x0000, 0x0110, 0x0000]
        index = open_index(node.settings.index_url)
        step = index.announcement(Source.MPPS, STEP)
        assert step == Announcement(Source.MPPS, STEP, STUDY, Step.COMPLETED, {A: 3, B: 2})
        assert index.study_counts([STUDY])[STUDY].announced == 5


def test_what_is_not_wanted_is_not_offered(tmp_path: Path) -> None:
    with running(tmp_path, sections={"arrival": {"mpps": False}}) as node, calling(node) as scanner:
        assert [one.abstract_syntax for one in scanner.accepted_contexts] == [AVAILABILITY]


class _Event:
    """What pynetdicom hands to a handler."""

    class assoc:  # noqa: N801
        class requestor:  # noqa: N801
            ae_title = "MR1"

    def __init__(self, uid: str | None, data: Dataset) -> None:
        self.request = item()
        self.request.AffectedSOPInstanceUID = self.request.RequestedSOPInstanceUID = uid
        self.attribute_list = self.modification_list = data


def handler(index: InMemoryIndex, service: int, event: Any) -> Any:
    return dict(services(index)[service].handlers)[event]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(begun(), 0x0000, id="noop: well made"),
        pytest.param(begun(ScheduledStepAttributesSequence=[]), 0x0120, id="of no study"),
        pytest.param(begun(PerformedProcedureStepStatus="COMPLETED"), 0x0106, id="begins with its end"),
    ],
)
def test_steps_that_begin(data: Dataset, status: int) -> None:
    assert handler(InMemoryIndex(), 0, evt.EVT_N_CREATE)(_Event(STEP, data))[0] == status


@pytest.mark.parametrize(
    ("data", "status", "step", "images"),
    [
        pytest.param(done(a=1), 0x0000, Step.COMPLETED, {A: 1}, id="noop: completed"),
        pytest.param(done("DISCONTINUED", b=2), 0x0000, Step.DISCONTINUED, {B: 2}, id="discontinued"),
        pytest.param(item(PerformedStationName="X"), 0x0000, Step.IN_PROGRESS, {A: 9}, id="something else changes"),
        pytest.param(done("FINISHED"), 0x0106, Step.IN_PROGRESS, {A: 9}, id="no such status"),
    ],
)
def test_steps_that_go_on(data: Dataset, status: int, step: Step, images: dict[str, int]) -> None:
    index = InMemoryIndex()
    index.put_announcement(Announcement(Source.MPPS, STEP, STUDY, Step.IN_PROGRESS, {A: 9}), now=NOON)
    assert handler(index, 0, evt.EVT_N_SET)(_Event(STEP, data))[0] == status
    found = index.announcement(Source.MPPS, STEP)
    assert found is not None
    assert (found.step, found.images) == (step, images)


def test_an_unknown_step_cannot_change() -> None:
    assert handler(InMemoryIndex(), 0, evt.EVT_N_SET)(_Event(STEP, done(a=1)))[0] == 0x0112


def test_an_index_that_is_away_is_said_to_the_scanner() -> None:
    index = InMemoryIndex()
    index.away = True
    assert handler(index, 0, evt.EVT_N_CREATE)(_Event(STEP, begun()))[0] == 0x0110


def damaged(keyword: str, vr: str, value: bytes) -> Dataset:
    """A step with one element that the library cannot decode."""
    data = begun()
    tag = Tag(keyword)
    data[tag] = RawDataElement(tag, vr, len(value), value, 0, is_implicit_VR=False, is_little_endian=True)
    return data


@pytest.mark.parametrize(
    ("data", "status", "event"),
    [
        pytest.param(begun(), 0x0000, "study.announced", id="noop: whole"),
        pytest.param(
            damaged("PerformedSeriesSequence", "SQ", b"\xfe\xff"), 0x0110, "announcement.refused", id="its series"
        ),
        pytest.param(
            damaged("PerformedProcedureStepStatus", "ZZ", b"\1\2"), 0x0110, "announcement.refused", id="its status"
        ),
        pytest.param(
            damaged("TotalNumberOfExposures", "US", b"\1\2\3"), 0x0000, "study.announced", id="what nobody asks for"
        ),
        pytest.param(None, 0x0110, "announcement.refused", id="not measured: no data set"),
    ],
)
def test_damaged_data_sets_are_refused_in_one_line(data: Dataset | None, status: int, event: str) -> None:
    with capture_logs() as logs:
        assert handler(InMemoryIndex(), 0, evt.EVT_N_CREATE)(_Event(STEP, cast(Dataset, data)))[0] == status
    assert [(entry["event"], "exc_info" in entry) for entry in logs] == [(event, False)]
    assert "Secret" not in str(logs)


def test_a_notice_counts_images_only() -> None:
    index = InMemoryIndex()
    status, answer = handler(index, 1, evt.EVT_N_CREATE)(_Event(None, notice()))
    found = index.announcement(Source.AVAILABILITY, str(answer.AffectedSOPInstanceUID))
    assert status == 0
    assert found is not None
    assert (found.step, found.images) == (Step.COMPLETED, {A: 3})
