"""Reports of storage commitment between the process that receives them and the one that waits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydicom import Dataset

from workers.files.commitment_reports import FORGOTTEN_AFTER_S, AwaitedReports, failed_in


@pytest.mark.parametrize("failed", [[], ["1.2.3.4"]], ids=["committed", "failed"])
def test_what_is_awaited_is_taken(tmp_path: Path, failed: list[str]) -> None:
    waits, receives = AwaitedReports(tmp_path), AwaitedReports(tmp_path)
    waits.expect("2.25.1")
    assert waits.answer("2.25.1") is None
    assert receives.take("2.25.1", failed)
    assert waits.answer("2.25.1") == failed
    waits.forget("2.25.1")
    assert waits.answer("2.25.1") is None
    assert not receives.take("2.25.1", failed), "nobody waits any more"


@pytest.mark.parametrize("uid", ["2.25.2", "", "../../etc/passwd", "1.2/3"])
def test_noop_what_nobody_awaits_is_not_kept(tmp_path: Path, uid: str) -> None:
    reports = AwaitedReports(tmp_path)
    reports.expect("2.25.1")
    assert not reports.take(uid, [])
    assert [path.name for path in (tmp_path / "commitments" / "awaited").iterdir()] == ["2.25.1"]


def test_what_a_killed_process_awaited_is_forgotten(tmp_path: Path) -> None:
    reports = AwaitedReports(tmp_path)
    reports.expect("2.25.1")
    old = tmp_path / "commitments" / "awaited" / "2.25.1"
    os.utime(old, (old.stat().st_mtime - FORGOTTEN_AFTER_S - 1,) * 2)
    reports.expect("2.25.2")
    assert not reports.take("2.25.1", [])
    assert reports.take("2.25.2", [])


def test_a_report_names_what_failed() -> None:
    report, item = Dataset(), Dataset()
    assert failed_in(report) == []
    item.ReferencedSOPInstanceUID = "1.2.3"
    report.FailedSOPSequence = [item, Dataset()]
    assert failed_in(report) == ["1.2.3", ""]
