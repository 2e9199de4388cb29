"""``sources.json`` of a stored decision made once more by a process of limited time and memory.

The delivery process needs it where the worker could not read the headers, or died. Then what made the worker fail must
not make the delivery process fail, too.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triage.errors import Transient
from workers.delivery_ports import Decided
from workers.log import get_logger, study_hash
from workers.outputs.results import ResultFolder
from workers.outputs.sources import FILE_NAME
from workers.ports import StudyIndex
from workers.reading.child import LimitExceeded, ReadingProcess, answer_questions
from workers.settings import NodeSettings

log = get_logger(__name__)

# 5,000 headers of a large study; with the longest wait for a processor it is shorter than the lease of a delivery
DEADLINE_S = 40.0
MEMORY_BYTES = 1 << 30
LONGEST_TEXT = 1 << 19  # characters of an answer


class SourceProcess:
    """Safe to share between threads. The process runs only while it is asked."""

    def __init__(
        self,
        settings: NodeSettings,
        index: StudyIndex,
        *,
        deadline_s: float = DEADLINE_S,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        module = "workers.studies.source_process"
        self._child = ReadingProcess(module, memory_bytes=memory_bytes, deadline_s=deadline_s)
        self._settings, self._index, self._lock = settings, index, threading.Lock()

    def repaired(self, decided: Decided) -> bytes | None:
        """As ``repaired_sources``. Without headers when they take too much time or memory.

        Raises:
            OSError: what was written cannot be read.
        """
        key = (decided.study_instance_uid, decided.revision, decided.stage)
        with self._lock:
            try:
                answer = self._child.ask({"settings": self._settings.model_dump_json(), "decided": key})
            except LimitExceeded as error:
                from workers.studies.sources import sources_without_headers  # it loads the readers of images

                log.warning("results.sources_not_read", study=study_hash(key[0]), error=str(error))
                return sources_without_headers(decided, self._index)
            finally:
                self._child.close()
        if answer["written"]:
            log.info("results.sources_repaired", study=study_hash(key[0]))
            return (_folder(self._settings, decided) / FILE_NAME).read_bytes()
        content: str | None = answer["content"]
        return None if content is None else content.encode()


def repaired_here(settings: NodeSettings, index: StudyIndex, decided: Decided) -> bytes | None:
    """The same in this process, without limits beyond those of a study."""
    from workers.deliveries.stored import stored_document_of
    from workers.files.store import open_files
    from workers.reading.reader import DicomReader
    from workers.studies.sources import ImageParts, repaired_sources

    parts = ImageParts(index, open_files(settings), DicomReader())
    return repaired_sources(decided, stored_document_of(index)(decided), parts, _folder(settings, decided))


def _folder(settings: NodeSettings, decided: Decided) -> Path:
    """Where the files of the decision are, or those that are ready before the others."""
    results = ResultFolder(settings.store.files_dir / "results")
    key = (decided.study_instance_uid, decided.revision, decided.stage)
    place = results.place(*key)
    return place if place.is_dir() else results.early_place(*key)


def _answer(question: Mapping[str, Any]) -> dict[str, Any]:
    from workers.index.sql import open_index

    settings = NodeSettings.model_validate_json(question["settings"])
    decided = Decided(*question["decided"])
    try:
        index = open_index(settings.index_url)
        content = repaired_here(settings, index, decided)
    except Transient:
        return {"written": False, "content": None}
    path = _folder(settings, decided) / FILE_NAME
    written = content is not None and path.is_file() and path.read_bytes() == content
    text = None if content is None or written or len(content) > LONGEST_TEXT else content.decode()
    return {"written": written, "content": text}


if __name__ == "__main__":
    answer_questions(_answer)
