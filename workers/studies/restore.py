"""What is stored beside the images in, an index that knows it again out: decisions, and facts about patients.

It runs after the scan of the images, at every start. It changes nothing that the index knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workers.index.node_index import NodeIndex, rebuilding_mark, rebuilding_since
from workers.log import get_logger, study_hash
from workers.outputs.kept import KeptStudy, kept_studies

log = get_logger(__name__)


@dataclass(frozen=True)
class Restored:
    """Numbers of studies whose decisions came back, of facts that did, and of studies that could not be restored."""

    studies: int = 0
    facts: int = 0
    refused: int = 0


def restore(
    index: NodeIndex, files_dir: Path, since: int | None, *, apart: Callable[[], None] | None = None
) -> Restored:
    """Bring decisions and facts back which the index has lost, and say that it is whole.

    Args:
        since: the mark of the rebuilding as it was before the scan of the images. A later one stays: the index was lost
            again meanwhile.
        apart: does all of this in a process that may load the measurement core, which the line of a decision in a list
            needs. It is called instead, once the first lost decision is met. None: this process may.

    Raises:
        Transient: the index is away.
        OSError: the files cannot be read now. The index stays marked as incomplete.
    """
    now = datetime.now(UTC)
    facts = index.restore_facts(now=now)
    known = index.studies_with_decisions()
    studies = refused = 0
    for study in kept_studies(files_dir.absolute() / "results"):
        if study.study_instance_uid in known or not study.versions:
            continue
        if apart is not None:
            apart()
            return Restored(facts=facts)
        try:
            studies += _put_back(index, study, now)
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # a document says what no document says
            log.error("study.not_restored", study=study_hash(study.study_instance_uid), error=type(error).__name__)
            refused += 1
    if since is not None and rebuilding_since(files_dir) == since:
        rebuilding_mark(files_dir).unlink(missing_ok=True)
    if studies or facts or refused:
        log.info("index.restored", studies=studies, facts=facts, refused=refused)
    return Restored(studies, facts, refused)


def _put_back(index: NodeIndex, study: KeptStudy, now: datetime) -> bool:
    versions = [(one.revision, one.stage, one.document, one.written_at) for one in study.versions]
    return index.restore_decisions(study.study_instance_uid, versions, newest_revision=study.newest_revision, now=now)
