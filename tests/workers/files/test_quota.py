"""The quota of the conflicts folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from triage.errors import Rejected
from workers.dicom_status import OUT_OF_RESOURCES
from workers.files import quota


@pytest.mark.parametrize(
    ("held", "more", "most", "refused"),
    [
        pytest.param([], 10, None, False, id="no quota"),
        pytest.param([], 10, 10, False, id="just fits"),
        pytest.param([4, 4], 3, 10, True, id="one byte too many"),
        pytest.param([20], 0, 10, True, id="over already"),
    ],
)
def test_quota(tmp_path: Path, held: list[int], more: int, most: int | None, refused: bool) -> None:
    for number, size in enumerate(held):
        (tmp_path / str(number)).write_bytes(b"x" * size)
    if not refused:
        quota.check(tmp_path, more, most=most)
        return
    with pytest.raises(Rejected) as error:
        quota.check(tmp_path, more, most=most)
    assert (error.value.dicom_status, error.value.reason) == (OUT_OF_RESOURCES, "conflicts_full")
