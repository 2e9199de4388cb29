"""Files that could not be read when a study was decided: are they readable now, and what is said of them.

A study is decided without an earlier one, or a rejection note, that cannot be read, and named ``store_fault`` when its
own files cannot be. It stays in the queue. Each further attempt only looks whether they can be read again; then the
study is decided anew, as a new revision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from triage.errors import NotAssessable, Transient
from triage.model import Stage
from workers.log import get_logger
from workers.ports import Claim, StudyRow
from workers.studies.baselines import AWAY
from workers.studies.inputs import Inputs, changed
from workers.studies.reconsider import inputs_now, stored_inputs
from workers.studies.unread_notes import can_be_read, unread_in
from workers.studies.whole_files import FilesDamaged, read_whole

if TYPE_CHECKING:
    from workers.ports import StudyIndex
    from workers.studies.deps import Deps

log = get_logger(__name__)

CODE = "store_fault"  # reason code of a decision that waits for the study's own files
REASON = "files of the patient cannot be read now; this study was decided without them"


def with_away(inputs: Inputs, away: Sequence[str], index: StudyIndex) -> dict[str, Any]:
    """The inputs of a decision, naming by their dates the earlier studies that could not be read."""
    rows = [row for uid in away if (row := index.study(uid)) is not None]
    return {**inputs, "away": sorted({str(row.study_date) for row in rows})}


def waits(claim: Claim, row: StudyRow, deps: Deps) -> bool:
    """Whether this revision is decided, but without files that could not be read."""
    if row.decided_revision != claim.revision:
        return False
    newest = deps.index.assessments(claim.study_instance_uid)[-1]
    document = newest["document"]
    return newest["stage"] == Stage.FULL.value and bool(
        _away_in(document) or _damaged_in(document) or unread_in(document)
    )


def to_decide_again(row: StudyRow, deps: Deps) -> bool:
    """Whether the files can be read now, pixels and all, or something else changed."""
    document = deps.index.assessment(row.study_instance_uid) or {}
    if changed(stored_inputs(document), inputs_now(row, deps.index)):
        return True
    if _damaged_in(document):
        return _readable(row.study_instance_uid, deps)
    return any(_readable(uid, deps) for uid in _away_in(document)) or can_be_read(unread_in(document), row, deps)


def with_damage(inputs: Inputs, damage: FilesDamaged) -> dict[str, Any]:
    """The inputs of a decision, naming the study's own files that could not be read."""
    return {**inputs, "damaged": sorted(damage.paths)}


def _damaged_in(document: Mapping[str, Any]) -> list[str]:
    return list((document.get("inputs") or {}).get("damaged") or ())


def _away_in(document: Mapping[str, Any]) -> list[str]:
    rejected = (document.get("baseline") or {}).get("rejected") or ()
    return [one["study_instance_uid"] for one in rejected if one["reason"] == AWAY]


def _readable(study_instance_uid: str, deps: Deps) -> bool:
    try:
        read_whole(study_instance_uid, deps.index, deps.files, deps.reader.read)
    except NotAssessable:
        return True  # its content says so
    except (Transient, OSError):
        return False
    return True
