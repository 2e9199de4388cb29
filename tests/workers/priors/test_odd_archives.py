"""Archives that answer otherwise than others do: nothing is taken for an answer that is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt

from tests.fakes_priors import FakeArchive
from tests.patience import PATIENCE_S
from tests.workers.priors.nodes import BASELINE, FLAIR_IMAGES, FOLLOW_UP, Node, study_files
from triage.infusions import Infusion
from workers.ports import PatientKey
from workers.priors.archive import FoundSeries, FoundStudy, SeriesFailedError, Taker
from workers.priors.dicom_archive import STUDY_ROOT_FIND, STUDY_ROOT_MOVE, dicom_archive
from workers.remote.find import literal_query
from workers.sections import DicomTarget

NEARER, OTHER = "1.2.826.0.1.7", "1.2.826.0.1.8"
SOURCES = [{"name": name, "ae_title": name, "host": "127.0.0.1"} for name in ("PACS", "VNA")]


class Odd(FakeArchive):
    """listed: what it answers about studies and series, made of the truth."""

    def __init__(
        self,
        files: list[Path],
        studies: Callable[[list[FoundStudy]], list[FoundStudy]] = list,
        series: Callable[[list[FoundSeries]], list[FoundSeries]] = list,
    ) -> None:
        super().__init__(files)
        self._listed_studies, self._listed_series = studies, series

    def studies(self, patient_id: str, *, until: date) -> list[FoundStudy]:
        return self._listed_studies(super().studies(patient_id, until=until))

    def series(self, study_instance_uid: str) -> list[FoundSeries]:
        return self._listed_series(super().series(study_instance_uid))


def three_times(found: list[Any]) -> list[Any]:
    return [one for one in found for _ in range(3)]


def in_other_words(found: list[FoundStudy]) -> list[FoundStudy]:
    return [*found, *(replace(one, modalities=("MR", "SR")) for one in found), *found]


def none_of_them(_found: list[FoundSeries]) -> list[FoundSeries]:
    return []


@pytest.fixture
def held(tmp_path: Path) -> list[Path]:
    """A baseline, and a later study of T1 images."""
    folder = tmp_path / "archive"
    nearer = study_files(folder, NEARER, "20240115")[FLAIR_IMAGES:]
    return [*nearer, *study_files(folder, BASELINE, "20240105")]


@pytest.mark.parametrize(
    ("studies", "series", "ends", "named"),
    [
        pytest.param(list, list, "found", 2, id="no-op"),
        pytest.param(three_times, list, "found", 2, id="each study three times"),
        pytest.param(in_other_words, list, "found", 2, id="the same study in several words"),
        pytest.param(list, three_times, "found", 2, id="each series three times"),
        pytest.param(list, none_of_them, "gave_up", 2, id="not measured: studies only, no series"),
    ],
)
def test_what_an_archive_names(
    tmp_path: Path, held: list[Path], studies: Any, series: Any, ends: str, named: int
) -> None:
    node = Node(tmp_path / "state", {"sources": SOURCES[:1], "max_attempts": 2, "max_studies": 2})
    node.put(study_files(tmp_path / "in", FOLLOW_UP, "20240125"))
    node.infusion()
    archive = Odd(held, studies, series)
    for _ in range(2):
        node.find(node.finder(archive))
        node.clock.ahead += timedelta(hours=2)
    (search,) = node.searches.of_study(FOLLOW_UP)
    assert (search.state.value, len(search.answer["candidates"])) == (ends, named)
    assert (search.failure is None) is (ends == "found")
    if ends != "found":
        assert "no series" in str(search.failure)
    node.close()


class SendsMore(Odd):
    """It knows no retrieval of less than a study, or of less than a series."""

    def __init__(self, files: list[Path], level: str) -> None:
        super().__init__(files)
        self._level = level

    def fetch(self, study_instance_uid: str, series_instance_uid: str, instance: str | None, taker: Taker) -> None:
        if self._level == "IMAGE":
            return super().fetch(study_instance_uid, series_instance_uid, instance, taker)
        every = [one.series_instance_uid for one in self.series(study_instance_uid)]
        for series in reversed(every) if self._level == "STUDY" else [series_instance_uid]:
            super().fetch(study_instance_uid, series, None, taker)
        return None


@pytest.mark.parametrize("level", ["IMAGE", "SERIES", "STUDY"])
def test_an_archive_that_sends_more_than_it_is_asked_for(tmp_path: Path, level: str) -> None:
    """What a series shows is read from an image of its own, whatever comes first."""
    node = Node(tmp_path / "state", {"sources": SOURCES[:1], "max_attempts": 1})
    node.put(study_files(tmp_path / "in", FOLLOW_UP, "20240125"))
    node.infusion()
    node.find(node.finder(SendsMore(study_files(tmp_path / "archive", BASELINE, "20240105"), level)))
    (search,) = node.searches.of_study(FOLLOW_UP)
    assert (search.state.value, node.images(BASELINE)[f"{BASELINE}.1"]) == ("found", FLAIR_IMAGES)
    node.close()


@pytest.mark.parametrize(
    ("patient_id", "query"),
    [
        pytest.param("4711", "4711", id="no-op"),
        pytest.param("47*11", "47*11", id="the archive compares"),
        pytest.param("47?11", "47?11", id="one character"),
        pytest.param("HOSP\\4711", "HOSP?4711", id="a backslash divides values"),
        pytest.param("*", None, id="everybody"),
        pytest.param("12*", None, id="a hundredth of everybody"),
        pytest.param("??????", None, id="everybody with six characters"),
    ],
)
def test_an_id_with_wildcards(patient_id: str, query: str | None) -> None:
    assert literal_query(patient_id) == query


@pytest.mark.parametrize(
    ("patient_id", "ends"), [pytest.param("SEC*ID", "found", id="asked for"), pytest.param("*", "gave_up", id="not")]
)
def test_an_id_with_wildcards_names_nobody_else(tmp_path: Path, patient_id: str, ends: str) -> None:
    node = Node(tmp_path / "state", {"sources": SOURCES[:1], "max_attempts": 2})
    node.put(study_files(tmp_path / "in", FOLLOW_UP, "20240125", PatientID=patient_id))
    node.index.add_infusion(PatientKey(patient_id), Infusion(date(2024, 1, 20)), now=node.clock.now())
    files = study_files(tmp_path / "archive", BASELINE, "20240105", PatientID=patient_id)
    archive = Odd([*files, *study_files(tmp_path / "archive", OTHER, "20240110", PatientID="SECRET-ID")])
    node.find(node.finder(archive))
    (search,) = node.searches.of_study(FOLLOW_UP)
    assert search.state.value == ends
    said = [one["study_instance_uid"] for one in search.answer["candidates"]]
    assert (said, archive.asked) == (([BASELINE], 1) if ends == "found" else ([], 0))
    assert node.images(OTHER) == {}
    node.close()


@pytest.mark.parametrize(
    "second",
    [pytest.param({}, id="the same bytes"), pytest.param({"StationName": "COPY"}, id="another copy")],
)
def test_a_prior_that_two_archives_hold(tmp_path: Path, second: dict[str, str]) -> None:
    """The first one breaks off in its middle; the second one has the rest."""
    node = Node(tmp_path / "state", {"sources": SOURCES, "max_attempts": 2})
    node.put(study_files(tmp_path / "in", FOLLOW_UP, "20240125"))
    node.infusion()
    first = Odd(study_files(tmp_path / "one", BASELINE, "20240105"))
    first.breaks_after = 4
    other = Odd(study_files(tmp_path / "two", BASELINE, "20240105", **second))
    finder = node.finder(lambda source, ends_s: (first if source.name == "PACS" else other)(source, ends_s))
    node.find(finder)
    states = {one.source: one.state.value for one in node.searches.of_study(FOLLOW_UP)}
    assert states == {"PACS": "not_needed", "VNA": "found"}
    assert sum(node.images(BASELINE).values()) == len(first.files) - 3  # without the localizer
    node.settle()
    document = node.index.assessment(FOLLOW_UP) or {}
    assert document["baseline"]["study_instance_uid"] == BASELINE
    node.close()


@pytest.mark.parametrize(
    ("status", "said"),
    [(0xA801, "does not know this node as a destination"), (0xC515, "status 0xC515")],
)
def test_a_move_that_is_refused_says_why(tmp_path: Path, status: int, said: str) -> None:
    def answers(_event: Any) -> Iterator[tuple[int, Dataset | None] | tuple[None, None]]:
        yield None, None  # no such destination

    ae = AE("PACS")
    ae.add_supported_context(STUDY_ROOT_FIND)
    ae.add_supported_context(STUDY_ROOT_MOVE)
    handler = answers if status == 0xA801 else lambda _event: iter([("127.0.0.1", 1), 1])
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_MOVE, handler)])
    target = DicomTarget(ae_title="PACS", host="127.0.0.1", port=server.server_address[1])
    try:
        with (
            pytest.raises(SeriesFailedError, match=said),
            dicom_archive(
                target, "ICANSEE", move=True, silence_s=PATIENCE_S, temporary=tmp_path, ends_s=float("inf")
            ) as archive,
        ):
            archive.fetch("1.2", "1.3", None, None)  # type: ignore[arg-type] # nothing comes here
    finally:
        server.shutdown()
