"""Header questions of the beat in, answers out, by a process of limited time and memory: the beat decodes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triage.model import SequenceKind
from workers.reading.child import ReadingProcess, answer_questions

# Headers of enhanced objects with 5,000 frames take a second; two such deadlines delay other studies by less than 5 s.
DEADLINE_S = 2.0
MEMORY_BYTES = 1 << 30


class HeaderProcess:
    """Answers as ``series_kind`` and ``slice_position_mm`` do. Both raise workers.reading.child.LimitExceeded."""

    def __init__(self, *, deadline_s: float = DEADLINE_S, memory_bytes: int = MEMORY_BYTES) -> None:
        self._child = ReadingProcess("workers.arrival.header_process", memory_bytes=memory_bytes, deadline_s=deadline_s)

    def start(self) -> None:
        """Have the process ready before the first question."""
        self._child.start()

    def kind_of(self, path: Path) -> SequenceKind:
        return SequenceKind(self._child.ask({"kind": str(path)})["kind"])

    def position_of(self, path: Path) -> float | None:
        position = self._child.ask({"position": str(path)})["position"]
        return None if position is None else float(position)

    def close(self) -> None:
        self._child.close()


def _answer(question: Mapping[str, Any]) -> dict[str, Any]:
    from workers.arrival.probe import series_kind, slice_position_mm

    if "kind" in question:
        try:
            return {"kind": series_kind(Path(question["kind"])).value}
        except Exception:  # noqa: BLE001, RUF100 - a header can raise anything; the reader says later what is wrong
            return {"kind": SequenceKind.UNKNOWN.value}
    return {"position": slice_position_mm(Path(question["position"]))}


if __name__ == "__main__":
    import workers.arrival.probe
    import workers.reading.study  # noqa: F401 - loaded before the first question

    answer_questions(_answer)
