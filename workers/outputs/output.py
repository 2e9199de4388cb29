"""What an output is: a name for files and rows, and a pure function from a stored decision to bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

EvidenceFiles = Mapping[str, bytes]  # file name -> content, of the evidence that was stored with the decision
Render = Callable[[Mapping[str, Any], EvidenceFiles], bytes]
Applies = Callable[[Mapping[str, Any], EvidenceFiles], bool]


def always(_document: Mapping[str, Any], _evidence: EvidenceFiles) -> bool:
    return True


@dataclass(frozen=True)
class Output:
    """One form in which a decision leaves the program.

    kind: stable name; it stands in settings and in the rows of deliveries.
    render: document and evidence in, content out. The same input gives the same bytes, so a delivery can be repeated.
    applies: whether this decision has such an output at all.
    """

    kind: str
    file_name: str
    media_type: str
    render: Render
    applies: Applies = always
