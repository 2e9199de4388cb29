"""The results folder in, the decisions that were stored there out: what an index that was lost is filled from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workers.log import brief, get_logger, study_hash
from workers.outputs.results import FOLDER, RETRACTION, UID

log = get_logger(__name__)

DOCUMENT = "document.json"  # as workers.outputs.document_json names it
SCHEMA_VERSION = "1"  # of the documents; as in triage.report.document, which the receiving process does not load
FULL = "full"  # the stage
CATEGORIES = ("neurotoxicity_suspected", "possible", "no_pattern", "not_assessable")
PRIORITIES = ("P1", "P2", "P3", "unchanged")


@dataclass(frozen=True)
class KeptVersion:
    """One stored decision. written_at: UTC. retracted: the reason of a retraction lies beside it."""

    revision: int
    stage: str
    document: Mapping[str, Any]
    written_at: datetime
    retracted: bool = False


@dataclass(frozen=True)
class KeptStudy:
    """All of a study that can be read, oldest first. newest_revision: of its folders, also of damaged ones. unread: the
    disk does not give all of it now."""

    study_instance_uid: str
    versions: tuple[KeptVersion, ...]
    newest_revision: int
    unread: bool = False


def kept_studies(results: Path, *, known: Mapping[str, tuple[int, int]] | None = None) -> Iterator[KeptStudy]:
    """Every study with a results folder. A damaged document, and one that cannot be read now, is named in the log.

    Args:
        known: study -> revision of its newest decision and rank of the stage, 1 for the full one. A study without a
            newer one is not wanted.

    Raises:
        OSError: the folder cannot be read now.
    """
    try:
        with os.scandir(results) as entries:
            uids = sorted(entry.name for entry in entries if UID.fullmatch(entry.name))
    except FileNotFoundError:
        return
    for uid in uids:
        found = _study(results / uid, (known or {}).get(uid, (0, -1)))
        if found is not None:
            yield found


def problem_of(document: object, study_instance_uid: str, stage: str) -> str | None:
    """What is wrong with a document; None: nothing that the index would stumble over."""
    if not isinstance(document, dict):
        return "no object"
    study, decision, findings = document.get("study"), document.get("decision"), document.get("findings")
    decision = decision if isinstance(decision, dict) else {}
    checks = {
        "another schema version": document.get("schema_version") == SCHEMA_VERSION,
        "another stage": document.get("stage") == stage,
        "another study": isinstance(study, dict) and study.get("study_instance_uid") == study_instance_uid,
        "no known category": decision.get("category") in CATEGORIES,
        "no known priority": decision.get("priority") in PRIORITIES,
        "no reasons": _texts(decision.get("reasons")),
        "no findings": isinstance(findings, list)
        and all(isinstance(one, dict) and "pattern" in one for one in findings),
    }
    return next((what for what, holds in checks.items() if not holds), None)


def _texts(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, str) for one in value)


def _study(folder: Path, known: tuple[int, int]) -> KeptStudy | None:
    try:
        places = [(match, entry) for entry in folder.iterdir() if (match := FOLDER.fullmatch(entry.name))]
    except NotADirectoryError:
        return None
    except OSError as error:
        log.error("results.not_readable", study=study_hash(folder.name), error=brief(error))
        return KeptStudy(folder.name, (), 0, unread=True)
    if not any((int(match[1]), int(match[2] == FULL)) > known for match, _ in places):
        return None
    found, unread = [], False
    for match, entry in places:
        try:
            found.append(_version(folder.name, int(match[1]), match[2], entry))
        except OSError as error:
            log.error("results.not_readable", study=study_hash(folder.name), revision=int(match[1]), error=brief(error))
            unread = True
    versions = sorted((one for one in found if one is not None), key=lambda one: (one.revision, one.stage == FULL))
    return KeptStudy(folder.name, tuple(versions), max(int(match[1]) for match, _ in places), unread)


def _version(study_instance_uid: str, revision: int, stage: str, folder: Path) -> KeptVersion | None:
    path = folder / DOCUMENT
    try:
        content = path.read_bytes()
        written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (FileNotFoundError, NotADirectoryError):
        problem: str | None = "there is none"
    else:
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            problem = "no JSON"
        else:
            problem = problem_of(document, study_instance_uid, stage)
            if problem is None:
                return KeptVersion(revision, stage, document, written_at, (folder / RETRACTION).exists())
    log.error(
        "results.document_damaged",
        study=study_hash(study_instance_uid),
        revision=revision,
        stage=stage,
        problem=problem,
    )
    return None
