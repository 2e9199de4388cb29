"""The question to the PACS, with pynetdicom on the other side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt

from tests.fake_index import InMemoryIndex
from tests.fakes import FakeClock, an_instance
from workers.arrival.pacs_count import PacsCounter, numbers
from workers.audit.messages import RemoteNode
from workers.audit.spool import NoAudit
from workers.remote.find import STUDY_ROOT_FIND, connected
from workers.settings import PacsQuerySettings

STUDY = "1.2.3"
A, B = f"{STUDY}.1", f"{STUDY}.2"


def item(**values: Any) -> Dataset:
    found = Dataset()
    for keyword, value in values.items():
        setattr(found, keyword, value)
    return found


def a_pacs(keys: Dataset) -> Iterator[Dataset]:
    """A PACS with three MR images, two in A, and a report."""
    if keys.QueryRetrieveLevel == "STUDY":
        yield item(NumberOfStudyRelatedInstances="4")
    elif keys.QueryRetrieveLevel == "SERIES":
        yield item(SeriesInstanceUID=A, Modality="MR", NumberOfSeriesRelatedInstances="2")
        yield item(SeriesInstanceUID=B, Modality="MR", NumberOfSeriesRelatedInstances=None)
        yield item(SeriesInstanceUID="1.9", Modality="SR", NumberOfSeriesRelatedInstances="1")
    else:
        images = {A: ["1", "2"], B: ["3"]}[keys.SeriesInstanceUID]
        yield from (item(SOPInstanceUID=uid) for uid in images)


@pytest.mark.parametrize(
    ("level", "found"),
    [("STUDY", [("", 4)]), ("SERIES", [(A, 2)]), ("IMAGE", [(A, 2), (B, 1)])],
)
def test_levels(level: str, found: list[tuple[str, int]]) -> None:
    assert numbers(STUDY, level, a_pacs) == found


def test_asks_while_a_study_grows() -> None:
    index, clock = InMemoryIndex(), FakeClock()
    asked: list[str] = []

    @contextmanager
    def find(*_: object) -> Iterator[Any]:
        yield lambda keys: asked.append(keys.StudyInstanceUID) or a_pacs(keys)

    audited: list[tuple[str, bytes]] = []

    class Audited(NoAudit):
        def queried(self, peer: RemoteNode, sop_class_uid: str, keys: bytes) -> None:
            audited.append((peer.ae_title, keys))

    counter = PacsCounter(
        PacsQuerySettings(ae_title="PACS", host="h", every_s=20),
        "ICANSEE",
        index,
        find=find,
        auditor=Audited(),
        now=clock.now,
        monotonic=clock.elapsed_s,
    )
    assert counter.run() == 0
    index.record_instances([an_instance(STUDY, 1)])
    assert [counter.run(), counter.run()] == [1, 0]
    index.record_instances([an_instance(STUDY, 2)])
    assert counter.run() == 0  # too soon
    clock.advance(20)
    assert counter.run() == 1
    clock.advance(7200)
    index.record_instances([an_instance("1.7", 1)])  # received two hours ago
    assert counter.run() == 0
    assert asked == [STUDY] * 2
    assert [ae_title for ae_title, keys in audited if STUDY.encode() in keys] == ["PACS"] * 2
    assert index.study_counts([STUDY])[STUDY].announced == 2


@contextmanager
def a_server(end: int = 0x0000) -> Iterator[PacsQuerySettings]:
    """end: status of the last answer to each query."""
    ae = AE(ae_title="PACS")
    ae.add_supported_context(STUDY_ROOT_FIND)

    def on_find(event: Any) -> Iterator[Any]:
        yield from ((0xFF00, answer) for answer in a_pacs(event.identifier))
        yield end, None

    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, on_find)])
    try:
        yield PacsQuerySettings(ae_title="PACS", host="127.0.0.1", port=server.socket.getsockname()[1])
    finally:
        server.shutdown()


def test_asks_over_the_wire() -> None:
    with a_server() as settings, connected(settings, "ICANSEE") as find:
        assert find is not None
        assert numbers(STUDY, "IMAGE", find) == [(A, 2), (B, 1)]
    with connected(settings, "ICANSEE") as find:
        assert find is None


def test_a_number_of_a_failed_answer_does_not_count_and_is_asked_for_again() -> None:
    index, clock = InMemoryIndex(), FakeClock()
    index.record_instances([an_instance(STUDY, 1)])
    for end, numbers_found in ((0xA700, 0), (0x0000, 1)):
        with a_server(end) as settings:
            counter = PacsCounter(settings, "ICANSEE", index, now=clock.now, monotonic=clock.elapsed_s)
            assert counter.run() == numbers_found
            clock.advance(settings.every_s)
            assert counter.run() == 0  # again, and the same failure; or nothing to ask
