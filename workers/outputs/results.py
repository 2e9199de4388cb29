"""Decisions in, files out: ``results/<study uid>/r<revision>-<stage>/`` with document.json and the evidence of the
contract. What is known before the pictures are drawn stands in ``early-r<revision>-<stage>/`` until then: an alert does
not wait for pictures. The files of the browser's viewer come last: what is sent does not wait for them."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.files.replace_folder import put_in_place
from workers.log import get_logger
from workers.outputs.document_json import DOCUMENT_JSON

if TYPE_CHECKING:
    from triage.assessment import Assessed
    from triage.report.evidence import EvidenceMaps

log = get_logger(__name__)

# Begins with a digit, so that "." and ".." are no study; never anything that leaves its folder.
UID = re.compile(r"[0-9][0-9.]{0,63}")
RETRACTION = "retraction.json"  # as workers.outputs.dicom.retraction reads it
FOLDER = re.compile(r"r(\d+)-(first_look|full)")


class ResultFolder:
    """The results of one node. A folder appears whole or not at all, but for the viewer's files, which follow."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def place(self, study_instance_uid: str, revision: int, stage: str) -> Path:
        if not UID.fullmatch(study_instance_uid):
            raise ValueError("not a UID")
        return self._folder / study_instance_uid / f"r{revision}-{stage}"

    def early_place(self, study_instance_uid: str, revision: int, stage: str) -> Path:
        """Where the files beside the document stand while the pictures are drawn."""
        place = self.place(study_instance_uid, revision, stage)
        return place.with_name(f"early-{place.name}")

    def write(
        self,
        study_instance_uid: str,
        revision: int,
        outcome: Assessed,
        document: Mapping[str, Any] | None = None,
        *,
        beside: Mapping[str, bytes] | None = None,
    ) -> None:
        place = self.place(study_instance_uid, revision, outcome.assessment.stage.value)
        place.parent.mkdir(parents=True, exist_ok=True)
        for leftover in place.parent.glob(f".{place.name}.*"):  # of a writer that died, or has lost its lease
            shutil.rmtree(leftover, ignore_errors=True)
        early = self.early_place(study_instance_uid, revision, outcome.assessment.stage.value)
        put_in_place(_grown(early, beside or {}), early)
        growing = _grown(place, beside or {})
        maps = write_results(growing, outcome, document)
        put_in_place(growing, place)
        shutil.rmtree(early, ignore_errors=True)
        _add_volumes(place, outcome, maps)

    def note_retraction(self, study_instance_uid: str, revision: int, stage: str, *, why: str, at: datetime) -> None:
        """Lay the reason of a retraction beside the decision, for its rejection note. The first one stays."""
        place = self.place(study_instance_uid, revision, stage)
        path = place / RETRACTION
        if place.is_dir() and not path.exists():
            growing = place / f".{RETRACTION}"
            growing.write_text(
                json.dumps({"why": why, "at": at.isoformat(timespec="seconds")}) + "\n", encoding="utf-8"
            )
            growing.replace(path)

    def picture(self, study_instance_uid: str, revision: int | None) -> Path | None:
        """evidence.png of the decision on that revision."""
        return self.file(study_instance_uid, revision, "evidence.png")

    def file(self, study_instance_uid: str, revision: int | None, name: str) -> Path | None:
        """A file of the decision on that revision, of its full assessment when there is one; None: it has none.

        A picture of another revision would stand beside a decision that it does not show.
        """
        versions = sorted(self._versions(study_instance_uid), reverse=True)
        of_it = [folder / name for number, _, folder in versions if number == revision]
        return next((path for path in of_it if path.is_file()), None)

    def small_picture(self, study_instance_uid: str, revision: int | None) -> Path | None:
        """small.png beside the picture."""
        whole = self.picture(study_instance_uid, revision)
        small = None if whole is None else whole.with_name("small.png")
        return small if small is not None and small.is_file() else None

    def _versions(self, study_instance_uid: str) -> list[tuple[int, bool, Path]]:
        if not UID.fullmatch(study_instance_uid):
            return []
        folder = self._folder / study_instance_uid
        names = [(FOLDER.fullmatch(entry.name), entry) for entry in folder.iterdir()] if folder.is_dir() else []
        return [(int(match[1]), match[2] == "full", entry) for match, entry in names if match]


def _grown(place: Path, files: Mapping[str, bytes]) -> Path:
    """A hidden folder beside ``place`` with these files."""
    growing = place.with_name(f".{place.name}.{secrets.token_hex(6)}")
    growing.mkdir()  # as open to others as the umask says
    for name, content in files.items():
        (growing / name).write_bytes(content)
    return growing


def write_results(folder: Path, outcome: Assessed, stored: Mapping[str, Any] | None = None) -> EvidenceMaps | None:
    """document.json and evidence; a decision without any measurement gets a picture of its words.

    stored: the document as the index has it; None: made of the outcome. It is durable on return: a lost index is filled
    from it. Returns the maps that were drawn.
    """
    from triage.report.document import to_document
    from workers.outputs.evidence.files import maps_of, write_evidence

    document = DOCUMENT_JSON.render(to_document(outcome.assessment) if stored is None else stored, {})
    with (folder / DOCUMENT_JSON.file_name).open("wb") as file:
        file.write(document)
        file.flush()
        os.fsync(file.fileno())
    maps = maps_of(outcome)
    write_evidence(folder, outcome, maps)
    return maps


def _add_volumes(place: Path, outcome: Assessed, maps: EvidenceMaps | None) -> None:
    """The viewer's files, each whole, its index last: a viewer finds all of them or none."""
    from workers.outputs.evidence.volumes import write_volumes

    growing = _grown(place, {})
    try:
        for path in write_volumes(growing, outcome, maps):
            path.rename(place / path.name)
    except Exception:  # what a browser shows must not cost the decision its document and picture
        log.exception("viewer.not_written")
    finally:
        shutil.rmtree(growing, ignore_errors=True)
