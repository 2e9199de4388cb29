"""A PreparedBaseline to and from a folder: NIfTI volumes and one JSON file, complete or absent, never half."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
from datetime import time
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from triage.assessment import PreparedBaseline
from triage.images import from_sitk, to_sitk
from triage.model import SeriesHeader

_VOLUMES = {"flair": sitk.sitkFloat32, "labels": sitk.sitkUInt8, "brain": sitk.sitkUInt8}
_FILE = "prepared.json"


def save(folder: Path, prepared: PreparedBaseline) -> None:
    """Write all files beside ``folder`` and rename it into place; an existing folder is replaced."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, kind in _VOLUMES.items():
            sitk.WriteImage(to_sitk(getattr(prepared, name), kind), str(new / f"{name}.nii"))
        facts = {
            "study_instance_uid": prepared.study_instance_uid,
            "series_instance_uid": prepared.series_instance_uid,
            "label_names": {str(label): name for label, name in prepared.label_names.items()},
            "header": dataclasses.asdict(prepared.header),
        }
        (new / _FILE).write_text(json.dumps(facts, default=str), encoding="utf-8")
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
            folder.replace(old / "x")
            new.replace(folder)
            shutil.rmtree(old, ignore_errors=True)
        else:
            new.replace(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def load(folder: Path) -> PreparedBaseline | None:
    """The prepared baseline, or None when it was never saved or cannot be read (then it is prepared again)."""
    try:
        facts = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        volumes = {
            name: from_sitk(sitk.ReadImage(str(folder / f"{name}.nii"), kind)) for name, kind in _VOLUMES.items()
        }
        return PreparedBaseline(
            study_instance_uid=facts["study_instance_uid"],
            series_instance_uid=facts["series_instance_uid"],
            header=_header(facts["header"]),
            label_names={int(label): name for label, name in facts["label_names"].items()},
            **volumes,
        )
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RuntimeError,
    ):  # RuntimeError: SimpleITK's word for an unreadable file
        return None


def _header(facts: dict[str, Any]) -> SeriesHeader:
    facts = {key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()}
    if facts.get("acquisition_time"):
        facts["acquisition_time"] = time.fromisoformat(facts["acquisition_time"])
    return SeriesHeader(**facts)
