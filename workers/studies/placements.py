"""Where the atlas lies on a scan, kept beside the prepared baselines: what only has other facts is not placed anew.

A file is named by a digest of everything that placing reads: voxels, matrices, atlas, program and limits. One that
cannot be read, or is of something else, is as good as none.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from triage import preparation
from triage.alignment.placement import Placement
from triage.alignment.session import Session
from triage.model import Atlas, SequenceKind, Volume
from triage.settings import PreparationSettings
from workers.files.replace_file import write_whole
from workers.log import brief, get_logger

log = get_logger(__name__)

MOST_KEPT = 3  # of one study: each of its FLAIRs may have been tried
SAME_DIGITS = 6  # behind the point, of a matrix in mm: far below what a placing sees
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)


class KeptPlacements:
    """Places the atlas, or takes what was found before.

    Args:
        folder: of the prepared baselines, one folder for each study.
        program: a digest of its source, since another program may place otherwise.
    """

    def __init__(self, folder: Path, program: str) -> None:
        self._folder, self._program = folder, program

    def of(self, study_instance_uid: str) -> preparation.Placing:
        return partial(self._place, self._folder / study_instance_uid)

    def _place(
        self, folder: Path, session: Session, flair: Volume, atlas: Atlas, settings: PreparationSettings
    ) -> Placement:
        path = folder / f"placement-{placement_key(session, flair, atlas, settings, self._program)}.npz"
        found = _load(path)
        if found is None:
            found = preparation.place(session, flair, atlas, settings)
            try:
                _save(path, found)
            except OSError as error:  # it only costs the time of the next placing
                log.warning("placement.not_kept", error=brief(error))
        return found


def placement_key(session: Session, flair: Volume, atlas: Atlas, settings: PreparationSettings, program: str) -> str:
    """A digest of everything that placing reads."""
    limits = json.dumps(dataclasses.asdict(settings.regions), sort_keys=True)
    found = hashlib.sha256(f"{atlas.version} {program} {limits}".encode())
    add_volume(found, flair)
    t1 = session.volumes.get(SequenceKind.T1)
    if t1 is not None:
        add_volume(found, t1)
        # threads sum in another order each time: the same two series are placed alike to 1e-15, not digit by digit
        found.update((np.round(session.to_anchor[SequenceKind.T1], SAME_DIGITS) + 0.0).tobytes())
    return found.hexdigest()[:32]


def add_volume(digest: hashlib._Hash, volume: Volume) -> None:
    """Voxels, their type and shape, and where they lie."""
    digest.update(f"{volume.voxels.dtype} {volume.voxels.shape}".encode())
    digest.update(np.ascontiguousarray(volume.voxels).data)
    digest.update(np.ascontiguousarray(volume.affine).data)


def _save(path: Path, placement: Placement) -> None:
    """Whole or not at all; the oldest beyond MOST_KEPT go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, npt.NDArray[Any]] = {"to_template": placement.to_template}
    if placement.field is not None and placement.field_affine is not None:
        arrays |= {"field": _smallest(placement.field), "field_affine": placement.field_affine}
    arrays["apart"] = np.array(json.dumps(placement.apart))
    write_whole(path, lambda growing: np.savez(growing, allow_pickle=False, **arrays))
    for old in sorted(path.parent.glob("placement-*.npz"), key=lambda one: one.stat().st_mtime_ns)[:-MOST_KEPT]:
        old.unlink(missing_ok=True)


def _smallest(field: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """In half the bytes where no digit is lost by it."""
    half = field.astype(np.float32)
    return half if np.array_equal(half.astype(np.float64), field) else field


def _load(path: Path) -> Placement | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            field = arrays["field"].astype(np.float64) if "field" in arrays else None
            affine = arrays["field_affine"] if "field" in arrays else None
            apart = tuple((str(name), float(fit)) for name, fit in json.loads(str(arrays["apart"])))
            return Placement(arrays["to_template"], field, affine, apart)
    except FileNotFoundError:
        return None
    except _UNREADABLE as error:
        log.warning("placement.not_readable", error=brief(error))
        return None
