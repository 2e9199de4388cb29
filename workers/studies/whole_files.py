"""The stored files of a study, looked at before and after they are read.

A file that lost bytes after it was acknowledged is a fault of the store.
What is missing says nothing about the patient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from triage.errors import NotAssessable, Transient
from workers.log import get_logger, study_hash

if TYPE_CHECKING:
    from workers.ports import InstanceFiles, InstanceRow, StudyIndex

log = get_logger(__name__)

T = TypeVar("T")


def read_whole(
    study_instance_uid: str, index: StudyIndex, files: InstanceFiles, read: Callable[[Sequence[Path]], T]
) -> T:
    """What ``read`` makes of the files of a study.

    Raises:
        Transient: a file cannot be looked at now, or has another size than what was received.
        NotAssessable: as ``read``, when all files are whole.
    """
    rows = index.instances(study_instance_uid)
    _look(study_instance_uid, rows, files)
    try:
        return read([files.path(row) for row in rows])
    except NotAssessable:
        _look(study_instance_uid, rows, files)  # it may have happened meanwhile
        raise


def _look(study_instance_uid: str, rows: Sequence[InstanceRow], files: InstanceFiles) -> None:
    faults = [why for row in rows if (why := _fault(row, files)) is not None]
    if faults:
        log.error("study.files_damaged", study=study_hash(study_instance_uid), files=len(faults), first=faults[0])
        raise Transient(f"{len(faults)} of {len(rows)} stored files cannot be read now: {faults[0]}")


def _fault(row: InstanceRow, files: InstanceFiles) -> str | None:
    try:
        size = files.size_now(row)
    except OSError as error:
        return error.strerror or type(error).__name__
    return None if size == row.size_bytes else f"{size} bytes of the {row.size_bytes} that were received"
