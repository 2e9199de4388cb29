"""Headers for the rules read by a process of limited time and memory: what a file does to its reader costs the delivery
process nothing."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from triage.errors import Transient
from workers.log import get_logger
from workers.reading.child import LimitExceeded, ReadingProcess, answer_questions
from workers.rules.facts import SeriesHead

log = get_logger(__name__)

DEADLINE_S = 4.0  # for three headers; one of an enhanced object with 5,000 frames takes a second
MEMORY_BYTES = 1 << 30


class HeadProcess:
    """Answers as ``workers.rules.heads.series_head`` does. Safe to share between threads; it starts with its first
    question."""

    def __init__(self, *, deadline_s: float = DEADLINE_S, memory_bytes: int = MEMORY_BYTES) -> None:
        self._child = ReadingProcess("workers.rules.head_process", memory_bytes=memory_bytes, deadline_s=deadline_s)
        self._lock = threading.Lock()

    def head(self, paths: Sequence[Path], *, whole: bool = True) -> SeriesHead:
        """As ``series_head``; one that takes too much time or memory is ``hostile``.

        Raises:
            Transient: see there.
        """
        if not paths:
            return SeriesHead()
        try:
            with self._lock:
                answer = self._child.ask({"paths": [str(path) for path in paths], "whole": whole})
        except LimitExceeded as error:
            log.warning("rules.header_not_read", error=str(error))
            return SeriesHead(unread=True, hostile=True)
        if "away" in answer:
            raise Transient(answer["away"])
        return SeriesHead(answer["values"], answer["kind"])

    def close(self) -> None:
        self._child.close()


def _answer(question: Mapping[str, Any]) -> dict[str, Any]:
    from workers.log import brief
    from workers.rules.heads import series_head

    try:
        found = series_head([Path(one) for one in question["paths"]], whole=question["whole"])
    except (Transient, OSError) as error:
        return {"away": brief(error)}
    return {"values": dict(found.values), "kind": found.kind}


if __name__ == "__main__":
    import triage.sequences.identify  # noqa: F401
    import workers.reading.study  # noqa: F401 - loaded before the first question

    answer_questions(_answer)
