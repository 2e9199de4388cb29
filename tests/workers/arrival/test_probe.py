"""One header in, where its slice lies and what its series shows out; nothing in a header is a fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.builders_dicom import a_series
from triage.model import SequenceKind
from workers.arrival.probe import series_kind, slice_position_mm

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
        pytest.param(lambda path: path.unlink(), None, SequenceKind.NOT_IMAGE, id="gone"),
    ],
)
def test_one_header(
    tmp_path: Path, spoil: Callable[[Path], object], place_mm: float | None, kind: SequenceKind
) -> None:
    paths = a_series(tmp_path)
    first = slice_position_mm(paths[0])
    assert first is not None
    spoil(paths[3])
    place = slice_position_mm(paths[3])
    assert place == (None if place_mm is None else pytest.approx(first + place_mm))
    assert series_kind(paths[3]) is kind
