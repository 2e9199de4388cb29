"""How a follow-up lies on its baseline, kept beside the prepared baselines: the full assessment does not register anew
what the first look has registered, nor does an assessment that is made again for another fact.

A file is named by a digest of everything that registering reads: voxels, matrices, limits and program. One that cannot
be read is as good as none.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from triage import registering
from triage.alignment.registration import RegistrationLimits
from triage.model import RegistrationResult, Volume
from triage.preparation import PreparedBaseline
from workers.files.replace_file import write_whole
from workers.log import brief, get_logger
from workers.studies.placements import add_volume
from workers.studies.program_code import reading_code

log = get_logger(__name__)

NAME = "registration-{}.json"
MOST_KEPT = 3  # of one study: its FLAIR may be compared with several


class KeptRegistrations:
    """Registers, or takes what was found before.

    Args:
        folder: of the prepared baselines, one folder for each study.
        code: of the program; what another one found does not hold.
    """

    def __init__(self, folder: Path, code: Callable[[], str] = reading_code) -> None:
        self._folder, self._code = folder, code

    def of(self, study_instance_uid: str) -> registering.Registering:
        return partial(self._register, self._folder / study_instance_uid)

    def _register(
        self, folder: Path, flair: Volume, prepared: PreparedBaseline, limits: RegistrationLimits
    ) -> RegistrationResult:
        path = folder / NAME.format(_key(flair, prepared, limits, self._code()))
        found = _load(path)
        if found is None:
            found = registering.register_on_baseline(flair, prepared, limits)
            try:
                _keep(path, found)
            except OSError as error:  # it only costs the time of the next registration
                log.warning("registration.not_kept", error=brief(error))
        return found


def _key(flair: Volume, prepared: PreparedBaseline, limits: RegistrationLimits, code: str) -> str:
    found = hashlib.sha256(f"{code} {json.dumps(dataclasses.asdict(limits), sort_keys=True)}".encode())
    for volume in (flair, prepared.flair, prepared.brain):
        add_volume(found, volume)
    return found.hexdigest()[:32]


def _load(path: Path) -> RegistrationResult | None:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        matrix = np.array(read["followup_to_baseline"], dtype=np.float64).reshape(4, 4)
        return RegistrationResult(read["accepted"], read["reason"], read["quality"], matrix)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("registration.not_readable", error=brief(error))
        return None


def _keep(path: Path, found: RegistrationResult) -> None:
    """Whole or not at all; the oldest beyond MOST_KEPT go. Numbers are the same when they are read again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = dataclasses.asdict(found) | {"followup_to_baseline": found.followup_to_baseline.tolist()}
    write_whole(path, lambda growing: growing.write_text(json.dumps(facts), encoding="utf-8"))
    for old in sorted(path.parent.glob(NAME.format("*")), key=lambda one: one.stat().st_mtime_ns)[:-MOST_KEPT]:
        old.unlink(missing_ok=True)
