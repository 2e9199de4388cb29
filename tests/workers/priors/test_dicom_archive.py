"""Queries to a DICOM archive that goes on answering."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt

from triage.errors import Transient
from workers.priors import dicom_archive
from workers.priors.dicom_archive import STUDY_ROOT_FIND
from workers.sections import DicomTarget

PENDING = 0xFF00


@pytest.mark.parametrize(
    ("most", "within_s", "said"),
    [
        pytest.param(20_000, 0.5, "time", id="for too long"),
        pytest.param(3, 60.0, "more than 3", id="too many answers"),
    ],
)
def test_a_query_without_end_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, within_s: float, said: str
) -> None:
    def answers(event: Any) -> Iterator[tuple[int, Dataset]]:
        found = Dataset()
        found.QueryRetrieveLevel, found.StudyInstanceUID = "STUDY", "1.2.3"
        while not event.is_cancelled and event.assoc.is_established:
            time.sleep(0.05)
            yield PENDING, found

    monkeypatch.setattr(dicom_archive, "MOST_ANSWERS", most)
    ae = AE("PACS")
    ae.add_supported_context(STUDY_ROOT_FIND)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, answers)])
    target = DicomTarget(ae_title="PACS", host="127.0.0.1", port=server.server_address[1])
    begun = time.monotonic()
    try:
        with (
            pytest.raises(Transient, match=said),
            dicom_archive.dicom_archive(
                target, "ICANSEE", move=False, silence_s=30.0, temporary=tmp_path, ends_s=begun + within_s
            ) as archive,
        ):
            archive.studies("P1", until=date(2024, 1, 1))
    finally:
        server.shutdown()
    assert time.monotonic() - begun < 15.0
