"""What is stored beside the images in, an index that knows it again out: decisions, and facts about patients.

It runs after the scan of the images, at every start. It changes nothing that the index knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workers.index.decisions import STAGE_RANK
from workers.index.node_index import NodeIndex
from workers.index.rebuilding import note_rebuilt, rebuilding_since
from workers.log import get_logger, study_hash
from workers.outputs.kept import KeptStudy, kept_studies

log = get_logger(__name__)

NOTHING = (0, 0)  # before every decision


@dataclass(frozen=True)
class Restored:
    """Numbers of studies whose decisions came back, of facts that did, and of studies that could not be restored.
    unread: of studies and facts of which the disk does not give a file now; a later look may bring them back."""

    studies: int = 0
    facts: int = 0
    refused: int = 0
    unread: int = 0


def restore(
    index: NodeIndex, files_dir: Path, since: int | None, *, apart: Callable[[], int] | None = None
) -> Restored:
    """Bring decisions and facts back which the index has lost, and say that it is whole.

    Args:
        since: the mark of the rebuilding as it was before the scan of the images. A later one stays: the index was lost
            again meanwhile.
        apart: does all of this in a process that may load the measurement core, which the line of a decision in a list
            needs. It is called instead, once the first lost decision is met; how much is unread. None: this process
            may.

    Raises:
        Transient: the index is away.
        OSError: the folders cannot be read now. The index stays marked as incomplete.
    """
    now = datetime.now(UTC)
    facts = index.restore_facts(now=now)
    known = index.newest_decisions()
    studies = refused = 0
    unread = index.facts_unread
    for study in kept_studies(files_dir.absolute() / "results", known=known):
        if study.unread:
            unread += 1
            if since is not None:
                index.hold(study.study_instance_uid, newest_revision=study.newest_revision, now=now)
            continue
        if not study.versions:
            continue
        if apart is not None:
            return Restored(facts=facts, unread=apart())
        try:
            studies += _put_back(index, study, known.get(study.study_instance_uid, NOTHING), now)
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # a document says what no document says
            log.error("study.not_restored", study=study_hash(study.study_instance_uid), error=type(error).__name__)
            refused += 1
    if since is not None and rebuilding_since(files_dir) == since:
        note_rebuilt(files_dir)
    done = Restored(studies, facts, refused, unread)
    if done != Restored():
        log.info("index.restored", **vars(done))
    return done


def _put_back(index: NodeIndex, study: KeptStudy, known: tuple[int, int], now: datetime) -> bool:
    lost = [one for one in study.versions if (one.revision, STAGE_RANK.get(one.stage, 1)) > known]
    if not lost:  # the newest one is damaged, and the index knows those before it
        row = index.study(study.study_instance_uid)
        if row is not None and row.decided_revision == row.revision:
            index.requeue(study.study_instance_uid, now=now)
        return False
    versions = [(one.revision, one.stage, one.document, one.written_at) for one in lost]
    wrong = {(one.revision, one.stage) for one in study.versions if one.retracted}
    newest = study.newest_revision
    return index.restore_decisions(study.study_instance_uid, versions, newest_revision=newest, retracted=wrong, now=now)
