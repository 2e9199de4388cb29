"""Acts in, the assessments of single findings out, shaped for IHE AIRA (AI Result Assessment).

Each says which result was accepted or rejected, by whom, when and why. The object that the profile defines is not in
public text, so this is JSON and not a DICOM SR: a site that has the profile fills its template from these fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workers.act_ports import OF_A_FINDING, Act, ActKind

FORMAT = 1
WORDS = {ActKind.ACCEPTED: "accepted", ActKind.REJECTED: "rejected"}


def as_assessments(acts: Iterable[Act]) -> dict[str, Any]:
    """One entry for each result that was assessed, in the order of the first word on it; acts: oldest first.

    A result is one pattern in one decision. ``assessment`` is the last word, ``earlier`` are those before it, also of
    other readers.
    """
    found: dict[tuple[str, int, str, str], list[Act]] = {}
    for one in acts:
        if one.kind in OF_A_FINDING:
            for pattern in one.patterns:
                found.setdefault((one.study_instance_uid, one.revision, one.stage, pattern), []).append(one)
    return {"format": FORMAT, "assessments": [_entry(key, some) for key, some in found.items()]}


def _entry(key: tuple[str, int, str, str], acts: list[Act]) -> dict[str, Any]:
    names = ("study_instance_uid", "revision", "stage", "pattern")
    return {
        "result": dict(zip(names, key, strict=True)),
        **_word(acts[-1]),
        "earlier": [_word(one) for one in acts[:-1]],
    }


def _word(one: Act) -> dict[str, Any]:
    return {
        "assessment": WORDS[one.kind],
        "assessor": one.by,
        "assessed_at": one.at.isoformat(),
        "reason": one.note or None,
    }
