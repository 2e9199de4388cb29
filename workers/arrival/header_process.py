"""Header questions of the beat in, answers out, by a process of limited time and memory: the beat decodes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triage.errors import NotAssessable, Transient
from triage.model import SequenceKind
from workers.reading.child import LimitExceeded, ReadingProcess, answer_questions
from workers.rejection_notes import TOO_SLOW, RejectionNote, note_from_json, note_to_json

# Headers of enhanced objects with 5,000 frames take a second; two such deadlines delay other studies by less than 5 s.
DEADLINE_S = 2.0
MEMORY_BYTES = 1 << 30
UNREADABLE = "not_dicom"


class HeaderProcess:
    """Answers as ``series_kind`` and ``slice_position_mm`` do. Both raise workers.reading.child.LimitExceeded."""

    def __init__(self, *, deadline_s: float = DEADLINE_S, memory_bytes: int = MEMORY_BYTES) -> None:
        self._child = ReadingProcess("workers.arrival.header_process", memory_bytes=memory_bytes, deadline_s=deadline_s)

    def start(self) -> None:
        """Have the process ready before the first question."""
        self._child.start()

    def kind_of(self, path: Path) -> SequenceKind:
        """As ``series_kind``.

        Raises:
            NotAssessable: the header cannot be read.
            Transient: the file cannot be read now.
        """
        answer = self._child.ask({"kind": str(path)})
        if "unreadable" in answer:
            raise NotAssessable(UNREADABLE, f"the header cannot be read ({answer['unreadable']})")
        if "away" in answer:
            raise Transient("a header cannot be read now")
        return SequenceKind(answer["kind"])

    def position_of(self, path: Path) -> float | None:
        position = self._child.ask({"position": str(path)})["position"]
        return None if position is None else float(position)

    def rejection_note(self, path: Path) -> RejectionNote | None:
        """As ``workers.reading.rejection_note``; what exceeds a limit is not readable.

        Raises:
            NotAssessable: see there.
            OSError: the file cannot be read now.
        """
        try:
            answer = self._child.ask({"note": str(path)})
        except LimitExceeded as error:
            raise NotAssessable(TOO_SLOW, str(error)) from None
        if "refused" in answer:
            raise NotAssessable(answer["refused"], "it is no readable note")
        if "away" in answer:
            raise OSError("a rejection note cannot be read now")
        return note_from_json(answer)

    def close(self) -> None:
        self._child.close()


def _answer(question: Mapping[str, Any]) -> dict[str, Any]:
    from workers.arrival.probe import series_kind, slice_position_mm

    if "note" in question:
        return _note(Path(question["note"]))
    if "kind" in question:
        try:
            return {"kind": series_kind(Path(question["kind"])).value}
        except (Transient, OSError):
            return {"away": True}
        except Exception as error:  # noqa: BLE001, RUF100 - a header can raise anything
            return {"unreadable": type(error).__name__}
    return {"position": slice_position_mm(Path(question["position"]))}


def _note(path: Path) -> dict[str, Any]:
    from workers.reading.rejection_note import read_rejection_note

    try:
        return note_to_json(read_rejection_note(path))
    except NotAssessable as error:
        return {"refused": error.code}
    except (Transient, OSError):
        return {"away": True}


if __name__ == "__main__":
    import workers.arrival.probe
    import workers.reading.study  # noqa: F401 - loaded before the first question

    answer_questions(_answer)
