"""What the headers of a candidate say, kept beside the prepared baselines: a patient's earlier studies are looked at
again with every new one, and the first look waits for that."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from triage.model import Study
from workers.files.replace_file import write_whole
from workers.log import brief, get_logger
from workers.ports import InstanceFiles, Reader, StudyIndex, StudyRow
from workers.studies.program_code import reading_code
from workers.studies.read_files import read_files_of
from workers.studies.whole_files import read_whole

log = get_logger(__name__)

NAME = "described-{}.json"
STUDY = TypeAdapter(Study)


class KeptDescriptions:
    """Studies as their files describe them, in ``folder/<study uid>/described-<digest>.json``.

    One holds while its files, what is said about their objects, and the program stay the same. When the folder cannot
    be written or read, or a file cannot be looked at now, nothing is kept or taken, and no decision changes.

    Args:
        code: of the program that reads; a description by another one does not hold.
    """

    def __init__(
        self,
        folder: Path,
        *,
        reader: Reader,
        index: StudyIndex,
        files: InstanceFiles,
        code: Callable[[], str] = reading_code,
    ) -> None:
        self._folder, self._code = folder, code
        self._reader, self._index, self._files = reader, index, files

    def of(self, row: StudyRow) -> Study:
        """The kept description, or a new one, which is then kept.

        Raises:
            NotAssessable, Transient: as ``read_whole``.
        """
        uid = row.study_instance_uid
        path = self._place(uid)
        found = None if path is None else _load(path)
        if found is None:
            found = read_whole(uid, self._index, self._files, self._reader.describe)
            if path is not None and path == self._place(uid):  # a file that came or went meanwhile was perhaps not read
                _keep(path, found)
        return found

    def _place(self, uid: str) -> Path | None:
        read = read_files_of(uid, self._index, self._files)
        if not read.all_there:
            return None
        return self._folder / uid / NAME.format(hashlib.sha256(f"{self._code()} {read.digest}".encode()).hexdigest())


def _load(path: Path) -> Study | None:
    try:
        return STUDY.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        log.warning("description.not_readable", error=brief(error))
        return None


def _keep(path: Path, study: Study) -> None:
    """Whole or not at all, and only what is the same when it is read again; earlier ones go."""
    text = STUDY.dump_json(study)
    try:
        if STUDY.validate_json(text) != study:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda growing: growing.write_bytes(text))
        for other in path.parent.glob(NAME.format("*")):
            if other != path:
                other.unlink(missing_ok=True)
    except (OSError, ValidationError) as error:  # it only costs the time of the next look
        log.warning("description.not_kept", error=brief(error))
