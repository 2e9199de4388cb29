"""A PreparedBaseline to and from a folder: one archive of arrays and one JSON file, complete or absent, never half.

The archive is numpy's, a zip without compression. Every array has a checksum, so that a truncated file is noticed.
Nothing is pickled.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from datetime import date, time
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from triage.alignment.session import Session
from triage.model import DiffusionFacts, Found, Lesion, Measurement, SequenceKind, SeriesHeader, Volume
from triage.preparation import PreparedBaseline
from workers.files.replace_folder import put_in_place

_FILE = "prepared.json"
_ARRAYS = "volumes.npz"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


def save(folder: Path, prepared: PreparedBaseline, beside: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write all files beside ``folder`` and rename it into place; an existing folder is replaced.

    Args:
        beside: file name -> text of further files.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        arrays: dict[str, npt.NDArray[Any]] = {}
        for name, volume in _volumes(prepared):
            arrays[name], arrays[f"{name}.affine"] = volume.voxels, volume.affine
        np.savez(new / _ARRAYS, allow_pickle=False, **arrays)
        (new / _FILE).write_text(json.dumps(_facts(prepared), default=str), encoding="utf-8")
        for name, text in beside.items():
            (new / name).write_text(text, encoding="utf-8")
        put_in_place(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _volumes(prepared: PreparedBaseline) -> Iterator[tuple[str, Volume]]:
    yield from (("flair", prepared.flair), ("labels", prepared.labels), ("brain", prepared.brain))
    for kind, volume in prepared.session.volumes.items():
        if kind is not SequenceKind.FLAIR:
            yield f"series.{kind.value}", volume
    if prepared.session.dwi_b0 is not None:
        yield "dwi_b0", prepared.session.dwi_b0
    yield from ((f"working.{name}", volume) for name, volume in prepared.working.items())
    yield from ((f"burden.{name}", mask) for name, mask in prepared.burden.masks.items())


def _facts(prepared: PreparedBaseline) -> dict[str, Any]:
    burden = prepared.burden
    return {
        "study_instance_uid": prepared.study_instance_uid,
        "series_instance_uid": prepared.series_instance_uid,
        "after_contrast": prepared.after_contrast,
        "doubts": dict(prepared.doubts),
        "label_names": {str(label): name for label, name in prepared.label_names.items()},
        "header": dataclasses.asdict(prepared.header),
        "to_anchor": {kind.value: matrix.tolist() for kind, matrix in prepared.session.to_anchor.items()},
        "diffusion": dataclasses.asdict(prepared.session.diffusion),
        "burden": {
            "measurements": [dataclasses.asdict(m) for m in burden.measurements],
            "lesions": [dataclasses.asdict(lesion) for lesion in burden.lesions],
            "notices": list(burden.notices),
        },
    }


def load(folder: Path) -> PreparedBaseline | None:
    """The prepared baseline, or None when it was never saved or cannot be read (then it is prepared again)."""
    try:
        facts = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            names = [name for name in arrays.files if not name.endswith(".affine")]
            volumes = {name: Volume(arrays[name], arrays[f"{name}.affine"]) for name in names}
        return PreparedBaseline(
            study_instance_uid=facts["study_instance_uid"],
            series_instance_uid=facts["series_instance_uid"],
            header=_header(facts["header"]),
            flair=volumes["flair"],
            labels=volumes["labels"],
            brain=volumes["brain"],
            label_names={int(label): name for label, name in facts["label_names"].items()},
            session=_session(facts, volumes),
            burden=_burden(facts["burden"], volumes),
            after_contrast=facts.get("after_contrast", False),
            doubts=facts.get("doubts", {}),
            working=_named("working.", volumes),
        )
    except _UNREADABLE:
        return None


def _session(facts: Mapping[str, Any], volumes: Mapping[str, Volume]) -> Session:
    placed = {SequenceKind(kind): np.array(matrix, dtype=np.float64) for kind, matrix in facts["to_anchor"].items()}
    series = {kind: volumes["flair" if kind is SequenceKind.FLAIR else f"series.{kind.value}"] for kind in placed}
    return Session(SequenceKind.FLAIR, series, placed, volumes.get("dwi_b0"), DiffusionFacts(**facts["diffusion"]))


def _burden(facts: Mapping[str, Any], volumes: Mapping[str, Volume]) -> Found:
    return Found(
        measurements=tuple(Measurement(**m) for m in facts["measurements"]),
        masks=_named("burden.", volumes),
        lesions=tuple(Lesion(**{**one, "centre_lps_mm": tuple(one["centre_lps_mm"])}) for one in facts["lesions"]),
        notices=tuple(facts["notices"]),
    )


def _named(begin: str, volumes: Mapping[str, Volume]) -> dict[str, Volume]:
    return {name.removeprefix(begin): volume for name, volume in volumes.items() if name.startswith(begin)}


def _header(facts: dict[str, Any]) -> SeriesHeader:
    facts = {key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()}
    if facts.get("acquisition_time"):
        facts["acquisition_time"] = time.fromisoformat(facts["acquisition_time"])
    if facts.get("acquisition_date"):
        facts["acquisition_date"] = date.fromisoformat(facts["acquisition_date"])
    return SeriesHeader(**facts)
