"""Prepared baselines in folders of the state folder: looked up, prepared when missing, remembered when refused."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from triage.errors import NotAssessable
from triage.model import SequenceKind, StudyImages
from workers.log import brief, get_logger, study_hash
from workers.ports import Engine, InstanceFiles, PreparedStorage, Reader, StudyIndex, StudyRow
from workers.studies.read_files import read_files_of
from workers.studies.whole_files import read_whole

if TYPE_CHECKING:
    from triage.preparation import PreparedBaseline

log = get_logger(__name__)

REFUSED = "refused.txt"
# in a prepared folder: a digest of the files that were read
READ_FILES = "read_files.txt"
REFUSAL_FORM = "looked at: whole files"  # begin of its first line; their digest follows


class PreparedBaselines:
    """Prepared baselines in ``folder/<study uid>/<key of the preparation>-r<revision>/``.

    A preparation is valid as long as the files that it was made of, and the answers about them, stay the same: a
    rejection note, or an image that was blank and came again, changes the images of a study and not its revision. A
    study that is assessed again because a fact changed has a new revision and the same files, and takes the preparation
    over. When the folder cannot be written or searched, nothing is kept, and no decision changes.
    """

    def __init__(
        self,
        folder: Path,
        storage: PreparedStorage,
        *,
        reader: Reader,
        engine: Engine,
        index: StudyIndex,
        files: InstanceFiles,
    ) -> None:
        self._folder = folder
        self._storage = storage
        self._reader, self._engine, self._index, self._files = reader, engine, index, files

    def prepared(self, row: StudyRow) -> PreparedBaseline:
        """The stored preparation, or a new one, which is then stored.

        Raises:
            NotAssessable: this study cannot be a baseline; remembered, so that it is found out only once.
        """
        uid, read_files = row.study_instance_uid, self._read_files(row)  # before they are read
        place = self._place(row, read_files)
        remembered = self._refusal_in(place, uid, read_files)
        if remembered is not None:
            raise NotAssessable(*remembered)
        found = self._storage.load(place) if self._holds(_line_of(place / READ_FILES), uid, read_files) else None
        if found is not None:
            return found
        images = read_whole(uid, self._index, self._files, self._reader.read)
        try:
            prepared = self._engine.prepare_baseline(images)
        except NotAssessable as refusal:
            with _saves_time_only():
                _remember(place, refusal, read_files)
            raise
        with _saves_time_only():
            self._storage.save(place, prepared, {READ_FILES: read_files})
            _drop_older(place)
        log.info("baseline.prepared", baseline=study_hash(uid), revision=row.revision)
        return prepared

    def refusal(self, row: StudyRow) -> tuple[str, str] | None:
        """Code and message of an earlier NotAssessable about this very revision, of the files as they are now."""
        read_files = self._read_files(row)
        return self._refusal_in(self._place(row, read_files), row.study_instance_uid, read_files)

    def _place(self, row: StudyRow, read_files: str) -> Path:
        """Where the preparation of this revision lies, or will lie."""
        place = self._folder / row.study_instance_uid / f"{self._engine.preparation_key}-r{row.revision}"
        with _saves_time_only():
            if not place.exists():
                self._take_over(place, read_files)
        return place

    def _take_over(self, place: Path, read_files: str) -> None:
        """Rename what an earlier revision prepared of the very same files. A refusal is not taken over: a study is also
        assessed again because somebody repaired its files."""
        for text in sorted(place.parent.glob(f"{self._engine.preparation_key}-r*/{READ_FILES}")):
            if _line_of(text) == read_files:
                with contextlib.suppress(OSError):  # another worker renames it
                    text.parent.rename(place)
                    return

    def _refusal_in(self, place: Path, uid: str, read_files: str) -> tuple[str, str] | None:
        """None also for what an earlier program wrote, which took a fault of the store for content: it looks again."""
        try:
            first, _, said = (place / REFUSED).read_text(encoding="utf-8").partition("\n")
        except OSError:
            return None
        code, _, message = said.partition("\n")
        form, made_of = first[: len(REFUSAL_FORM)], first[len(REFUSAL_FORM) :].strip()
        return (code, message) if code and form == REFUSAL_FORM and self._holds(made_of, uid, read_files) else None

    def _holds(self, made_of: str, uid: str, read_files: str) -> bool:
        """Whether something that was made of files holds for them as they are now. An earlier program did not always
        record them: its work holds while nothing is said about any of them."""
        if made_of:
            return made_of == read_files
        return not self._index.object_answers(uid) and not self._index.blank_filled(uid)

    def _read_files(self, row: StudyRow) -> str:
        """A digest of the files of the study as they are now, and of what is said about them."""
        return read_files_of(row.study_instance_uid, self._index, self._files).digest

    @staticmethod
    def can_serve(images: StudyImages, infusion_date: date | None) -> bool:
        """Whether a later study may be compared with this one: it has a FLAIR, and was not taken after a known
        infusion."""
        if SequenceKind.FLAIR not in images.volumes:
            return False
        taken = images.study.study_date
        return infusion_date is None or (taken is not None and taken <= infusion_date)


class PreparedFolders:
    """``workers.studies.prepared`` behind the port PreparedStorage, imported at first use: it needs SimpleITK."""

    def save(self, folder: Path, prepared: PreparedBaseline, beside: Mapping[str, str]) -> None:
        from workers.studies import prepared as folders

        folders.save(folder, prepared, beside)

    def load(self, folder: Path) -> PreparedBaseline | None:
        from workers.studies import prepared as folders

        return folders.load(folder)


@contextlib.contextmanager
def _saves_time_only() -> Iterator[None]:
    """A fault of the folder costs the time of the next preparation. It is no fault of the files of a study."""
    try:
        yield
    except OSError as error:
        log.warning("baseline.folder_fault", error=brief(error))


def _line_of(file: Path) -> str:
    """Empty: there is none."""
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _remember(place: Path, refusal: NotAssessable, read_files: str) -> None:
    place.mkdir(parents=True, exist_ok=True)
    temporary = place / f".{REFUSED}.{secrets.token_hex(4)}"
    temporary.write_text(f"{REFUSAL_FORM} {read_files}\n{refusal.code}\n{refusal.message}", encoding="utf-8")
    temporary.replace(place / REFUSED)  # whole or not at all: an empty reason would refuse it for ever


def _drop_older(place: Path) -> None:
    """Preparations of older revisions, or by other settings or versions, are of no more use, and large."""
    for other in place.parent.iterdir():
        if other != place and not other.name.startswith("."):
            shutil.rmtree(other, ignore_errors=True)
