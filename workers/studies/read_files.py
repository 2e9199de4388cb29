"""The stored files of a study in, a digest of them out: what was made of them holds while it stays the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from workers.ports import InstanceFiles, StudyIndex


@dataclass(frozen=True)
class ReadFiles:
    """digest: of the files as they are now, and of what is said about them. all_there: each can be looked at."""

    digest: str
    all_there: bool


def read_files_of(study_instance_uid: str, index: StudyIndex, files: InstanceFiles) -> ReadFiles:
    """Sizes and times of the files, the answers about their objects, and copies that are read in their place."""
    found, all_there = hashlib.sha256(), True
    for name, given in sorted(index.object_answers(study_instance_uid).items()):
        found.update(f"{name} {given.answer.value}\n".encode())
    for name, copy in sorted(index.blank_filled(study_instance_uid).items()):
        found.update(f"{name} {copy.path}\n".encode())
    for instance in sorted(index.instances(study_instance_uid), key=lambda one: one.sop_instance_uid):
        try:
            state = files.path(instance).stat()
        except OSError:
            all_there = False
            found.update(f"{instance.sop_instance_uid} away\n".encode())
        else:
            found.update(f"{instance.sop_instance_uid} {state.st_size} {state.st_mtime_ns}\n".encode())
    return ReadFiles(found.hexdigest(), all_there)
