"""One header in, where its slice lies and what its series shows out; nothing in a header is a fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders_dicom import a_series
from tests.fake_index import InMemoryIndex
from tests.fakes import FakeClock, FakeFiles, an_instance
from triage.errors import Transient
from triage.model import SequenceKind
from workers.arrival.probe import SeriesProbe, series_kind, slice_position_mm
from workers.reading.child import LimitExceeded

POSITION = b"\x20\x00\x32\x00DS"


def _unknown_vr(path: Path) -> None:
    content = path.read_bytes()
    assert POSITION in content
    path.write_bytes(content.replace(POSITION, POSITION[:4] + b"ZZ"))


@pytest.mark.parametrize(
    ("spoil", "place_mm", "kind"),
    [
        pytest.param(lambda _: None, 15.0, SequenceKind.FLAIR, id="noop: the fourth slice, 5 mm apart"),
        pytest.param(_unknown_vr, None, SequenceKind.FLAIR, id="a VR that does not exist"),
        pytest.param(lambda path: path.write_bytes(b"notes"), None, SequenceKind.NOT_IMAGE, id="no DICOM"),
        pytest.param(lambda path: path.unlink(), None, None, id="gone"),
    ],
)
def test_one_header(
    tmp_path: Path, spoil: Callable[[Path], object], place_mm: float | None, kind: SequenceKind | None
) -> None:
    paths = a_series(tmp_path)
    first = slice_position_mm(paths[0])
    assert first is not None
    spoil(paths[3])
    place = slice_position_mm(paths[3])
    assert place == (None if place_mm is None else pytest.approx(first + place_mm))
    if kind is None:
        with pytest.raises(Transient):
            series_kind(paths[3])
        return
    assert series_kind(paths[3]) is kind


def test_after_two_objects_beyond_the_limits_no_header_of_the_study_is_read() -> None:
    index, asked = InMemoryIndex(), list[Path]()

    def never_in_time(path: Path) -> SequenceKind:
        asked.append(path)
        raise LimitExceeded("no answer within 2 s")

    index.record_instances(
        [
            an_instance("1.2.3", n, received_at=FakeClock().now(), series_instance_uid=f"1.2.3.{n % 8}")
            for n in range(1, 25)
        ]
    )
    index.record_instances([an_instance("4.5.6", n, received_at=FakeClock().now()) for n in range(3)])
    probe = SeriesProbe(index, FakeFiles(), kind_of=never_in_time, position_of=lambda _: None)
    rows = {row.study_instance_uid: row for row in index.receiving()}
    facts = probe.facts(rows["1.2.3"])
    assert (len(facts), {one.kind for one in facts}) == (8, {SequenceKind.UNKNOWN})
    assert len(asked) == 2
    probe.facts(rows["4.5.6"])
    assert len(asked) == 3, "another study is looked at"
