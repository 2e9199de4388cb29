"""An index in, the same one out that looks up an answer once until something is written: a node asks the same questions
again and again, and nobody else writes into the index of a history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# Questions whose answers are values, or lists and dictionaries of values.
ONCE = {
    "blank_filled",
    "due",
    "identity_events",
    "infusions_like",
    "infusions_of",
    "instances",
    "marked_patients",
    "object_answers",
    "receiving",
    "studies_with_id",
    "study",
    "study_counts",
}
# Documents are nested: whoever changed one would change the next answer. Each is read anew.
ANEW = {"assessment", "assessments", "one_look"}


class RememberingIndex:
    """Whatever is not a question known here counts as a write."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self._said: dict[str, Any] = {}

    def becomes(self, index: Any) -> None:
        """The same rows, opened anew."""
        self._index, self._said = index, {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._index, name)
        if name in ANEW or not callable(found):
            return found
        return self._once(name, found) if name in ONCE else self._forgetting(found)

    def _once(self, name: str, ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any, **named: Any) -> Any:
            said = self._said  # another one when somebody writes meanwhile: the answer is forgotten with this one
            question = f"{name} {arguments!r} {sorted(named.items())!r}"
            if question not in said:
                said[question] = ask(*arguments, **named)
            answer = said[question]
            return answer.copy() if isinstance(answer, list | dict) else answer

        return asked

    def _forgetting(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def written(*arguments: Any, **named: Any) -> Any:
            try:
                return write(*arguments, **named)
            finally:
                self._said = {}

        return written
