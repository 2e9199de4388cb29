"""A folder in, its DICOM files by study out, and a word about every other file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from triage.errors import Misconfigured, NotAssessable
from workers.archives import START_BYTES, advice, archive_kind
from workers.listing import files_below
from workers.reading.beginning import has_magic, is_bare
from workers.reading.pixels import study_uid_of

DIRECTORY = "DICOMDIR"  # lists files; they are read themselves
MOST_NAMES = 3  # of files without images are told


def read_folder(folder: Path) -> dict[str, list[Path]]:
    """Every DICOM file below ``folder`` by StudyInstanceUID; suffixes do not matter, links that lead outside are not
    followed.

    Raises:
        Misconfigured: the folder does not exist, or one below it cannot be read.
    """
    return _sorted(folder)[0]


def not_read(folder: Path) -> tuple[str, ...]:
    """Sentences about the files below ``folder`` that are in no study; without a name of a patient, but with names of
    files, which are the user's own.

    Raises:
        Misconfigured: the folder does not exist, or one below it cannot be read.
    """
    others = _sorted(folder)[1]
    said = []
    for why, count in Counter(others.values()).items():
        names = [path.name for path, reason in others.items() if reason == why]
        more = f" and {count - MOST_NAMES} more" if count > MOST_NAMES else ""
        said.append(f"{', '.join(names[:MOST_NAMES])}{more}: {why}")
    return tuple(said)


def _sorted(folder: Path) -> tuple[dict[str, list[Path]], dict[Path, str]]:
    """Files by study, and why each of the others is in none."""
    if not folder.is_dir():
        raise Misconfigured(f"{folder}: not a folder")
    studies: dict[str, list[Path]] = defaultdict(list)
    others: dict[Path, str] = {}
    for path in _files(folder):
        if path.name == DIRECTORY:
            continue
        why = _no_object(path)
        if why is None:
            try:
                uid = study_uid_of(path)
            except NotAssessable as refusal:
                uid, why = "", refusal.message
            if uid:
                studies[uid].append(path)
                continue
        others[path] = why or "an object without a Study Instance UID"
    return dict(studies), others


def _files(folder: Path) -> Iterator[Path]:
    root = folder.resolve()
    for path in files_below(root, unread=_refused):
        if path.is_file() and (not path.is_symlink() or path.resolve().is_relative_to(root)):
            yield path


def _refused(folder: Path, error: OSError) -> None:
    """What lies in it may be the very images that show something."""
    raise Misconfigured(f"{folder}: cannot be read ({error.strerror})")


def _no_object(path: Path) -> str | None:
    """Why a file is no DICOM object; None: it begins like one."""
    try:
        with path.open("rb") as file:
            if has_magic(file) or is_bare(file):
                return None
            archive = archive_kind(file.read(START_BYTES))
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return advice(archive) if archive is not None else "no DICOM object"
