"""Kinds of outputs in, their renderers out, loaded when one is asked for.

The process that sends is ready without them: after a crash images and alerts do not wait for the libraries that only a
DICOM object needs (two seconds of a core, 180 MB).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

from workers.output_kinds import KINDS
from workers.outputs.output import Output


class OutputsOnDemand(Mapping[str, Output]):
    """Every output by its kind. Safe to share between threads."""

    def __init__(self) -> None:
        self._loaded: dict[str, Output] = {}
        # two threads that import parts of the same libraries wait for each other for ever
        self._lock = threading.Lock()

    def __getitem__(self, kind: str) -> Output:
        if kind not in self:
            raise KeyError(kind)
        with self._lock:
            if kind not in self._loaded:
                self._load_messages()
            if kind not in self._loaded:
                self._load_all()
            return self._loaded[kind]

    def __contains__(self, kind: object) -> bool:
        return any(one.name == kind for one in KINDS)

    def __iter__(self) -> Iterator[str]:
        return (one.name for one in KINDS)

    def __len__(self) -> int:
        return len(KINDS)

    def _load_messages(self) -> None:
        from workers.outputs.alerts.messages import MESSAGES
        from workers.outputs.document_json import DOCUMENT_JSON

        self._loaded |= {output.kind: output for output in (DOCUMENT_JSON, *MESSAGES)}

    def _load_all(self) -> None:
        from workers.outputs.all import ON_REQUEST, OUTPUTS

        self._loaded |= {output.kind: output for output in (*OUTPUTS, *ON_REQUEST)}
