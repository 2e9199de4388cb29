"""The stored files of a study, looked at before and after they are read.

A file that lost bytes after it was acknowledged is a fault of the store.
What is missing says nothing about the patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from triage.errors import NotAssessable, Transient
from workers.identities import LEFT_OUT, ObjectAnswer
from workers.log import get_logger, study_hash, uid_hash

if TYPE_CHECKING:
    from workers.ports import InstanceFiles, InstanceRow, StudyIndex

log = get_logger(__name__)

T_co = TypeVar("T_co", covariant=True)


class FilesDamaged(Transient):
    """Stored files of a study cannot be looked at now, or have another size than what was received.

    paths: of these files, below the folder of the images.
    """

    def __init__(self, study_instance_uid: str, message: str, paths: tuple[str, ...]) -> None:
        super().__init__(message)
        self.study_instance_uid, self.paths = study_instance_uid, paths


class ReadsFiles(Protocol[T_co]):
    """``Reader.read`` or ``Reader.describe``."""

    def __call__(self, paths: Sequence[Path], *, vouched: frozenset[Path]) -> T_co: ...


def read_whole(study_instance_uid: str, index: StudyIndex, files: InstanceFiles, read: ReadsFiles[T_co]) -> T_co:
    """What ``read`` makes of the files of a study. Objects that were discarded or rejected are not among them; of a
    blank image that came again with content the content is read.

    Raises:
        FilesDamaged: a file cannot be looked at now, or has another size than what was received.
        Transient: as ``read``.
        NotAssessable: as ``read``, when all files are whole.
    """
    said = {uid: given.answer for uid, given in index.object_answers(study_instance_uid).items()}
    everything = [(row, said.get(row.sop_instance_uid)) for row in index.instances(study_instance_uid)]
    rows = [row for row, answer in everything if answer not in LEFT_OUT]
    filled = {uid: files.conflict_path(row) for uid, row in index.blank_filled(study_instance_uid).items()}
    paths = {row.sop_instance_uid: filled.get(row.sop_instance_uid) or files.path(row) for row, _ in everything}
    vouched = frozenset(paths[row.sop_instance_uid] for row, answer in everything if answer is ObjectAnswer.RESTORED)
    _require_whole(study_instance_uid, rows, files)
    if everything and not rows:
        raise NotAssessable("no_images", "all of its objects are rejected or discarded")
    try:
        return read([paths[row.sop_instance_uid] for row in rows], vouched=vouched)
    except NotAssessable:
        _require_whole(study_instance_uid, rows, files)  # it may have happened meanwhile
        raise


def _require_whole(study_instance_uid: str, rows: Sequence[InstanceRow], files: InstanceFiles) -> None:
    faults = [(row.path, why) for row in rows if (why := _fault(row, files)) is not None]
    if not faults:
        return
    path, why = faults[0]
    log.error("study.files_damaged", study=study_hash(study_instance_uid), files=len(faults), first=why)
    message = (
        f"{len(faults)} of {len(rows)} stored files cannot be read now: instance {uid_hash(Path(path).stem)}: {why}"
    )
    raise FilesDamaged(study_instance_uid, message, tuple(path for path, _ in faults))


def _fault(row: InstanceRow, files: InstanceFiles) -> str | None:
    try:
        size = files.size_now(row)
    except OSError as error:
        return error.strerror or type(error).__name__
    return None if size == row.size_bytes else f"{size} bytes of the {row.size_bytes} that were received"
