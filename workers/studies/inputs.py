"""What a decision rests on besides the images of its own study, as plain values that are stored with it. Pure.

A study's inputs come only from strictly earlier studies of the person. Decisions therefore settle: one may change the
next, never the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from triage.baseline import is_earlier
from triage.infusions import Infusion
from triage.unjudged import open_patterns
from workers.identities import BY_NOTE, GivenAnswer, ObjectAnswer
from workers.identity_events import without_ids
from workers.images_seen import images_seen
from workers.ports import StudyRow, StudyState
from workers.studies.identity import study_of

Inputs = Mapping[str, Any]

PATIENT_ATTEMPTS = 3
"""So often a study waits for an earlier one that cannot be read now; then it is decided without it."""

UNREAD = "unread_key_objects"
"""Name of the input that holds the SOP Instance UIDs of key objects that could not be read. Absent: none."""

_CORRECTED = 7  # of the facts of an earlier study: the place of what was corrected
_DONE = (StudyState.REMOVING, StudyState.REMOVED)  # of which only the decision is left


def is_before(row: StudyRow, other: StudyRow) -> bool:
    """Whether ``row`` was acquired strictly earlier, as the choice of the baseline sees it."""
    return is_earlier(study_of(row), study_of(other))


def is_under_way(row: StudyRow) -> bool:
    """Whether its decision is about to be made or made again, so that studies that depend on it should wait.

    A study whose attempts fail again and again is not waited for: its next decision marks the patient.
    """
    if row.state in _DONE or (row.state is StudyState.READY and row.attempts >= PATIENT_ATTEMPTS):
        return False
    return row.state in (StudyState.RECEIVING, StudyState.READY) or row.decided_revision != row.revision


def is_used(row: StudyRow) -> bool:
    """Whether a later study's decision takes it into account: not while its first images are still coming in."""
    return row.decided_revision is not None or row.state is not StudyState.RECEIVING


def objects_said(answers: Mapping[str, GivenAnswer]) -> dict[str, Any]:
    """What humans and rejection notes said about single objects of the study, as an input; empty when nobody said
    anything. An object that came again as the note wants it is one of the study like any other."""
    found: dict[str, Any] = {}
    for answer in (one for one in ObjectAnswer if one is not ObjectAnswer.CORRECTED):
        given = {uid: one for uid, one in answers.items() if one.answer is answer}
        if given:
            why = {"why": sorted({one.by for one in given.values()})} if answer in BY_NOTE else {}
            found[answer.value] = images_seen(given) | why
    return found


def inputs_of(
    row: StudyRow,
    earlier: Sequence[StudyRow],
    documents: Mapping[str, Mapping[str, Any]],
    infusions: Sequence[Infusion],
    *,
    shared_id: bool = False,
    corrected: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """JSON types only.

    Args:
        earlier: strictly earlier studies of the person that are used.
        documents: study UID -> its current document.
        shared_id: two issuers use the patient ID.
        corrected: study UID of an earlier study -> what came or was said about its objects (objects_corrected).
    """
    return {
        "patient": [row.patient_id, row.issuer, row.birth_date.isoformat() if row.birth_date else None, row.sex],
        "study_date": row.study_date.isoformat() if row.study_date else None,
        "infusions": sorted({one.day.isoformat() for one in infusions}),
        "shared_id": shared_id,
        "earlier": {
            uid: [
                *_earlier(other, documents.get(uid)),
                (corrected or {}).get(uid) or None,
                list(open_patterns(documents.get(uid))),
            ]
            for other in earlier
            if (uid := other.study_instance_uid)
        },
    }


def objects_corrected(answers: Mapping[str, GivenAnswer], filled: Sequence[str]) -> dict[str, Any]:
    """What changes the images of a study and not their number. filled: images that were blank and came again."""
    return objects_said(answers) | ({"blank_filled": images_seen(filled)} if filled else {})


def _earlier(row: StudyRow, document: Mapping[str, Any] | None) -> list[Any]:
    """Date, time, images (None: deleted), category, patterns found, its own baseline, whether it was judged; behind
    them stand what was corrected and the patterns left open (inputs_of)."""
    findings = [] if document is None else [f["pattern"] for f in document["findings"] if f["presence"] == "present"]
    baseline = (document or {}).get("baseline") or {}
    return [
        row.study_date.isoformat() if row.study_date else None,
        row.study_time,
        None if row.state in _DONE else _images(row, document),
        row.category,
        findings,
        baseline.get("study_instance_uid"),
        was_judged(document),
    ]


def _images(row: StudyRow, document: Mapping[str, Any] | None) -> int:
    """How many a decision rests on: a report that came since is none of them."""
    seen = (document or {}).get("images") if row.decided_revision == row.revision else None
    return row.instance_count if seen is None else int(seen["count"])


def _corrected(facts: Sequence[Any]) -> Any:
    return facts[_CORRECTED] if len(facts) > _CORRECTED else None


def was_judged(document: Mapping[str, Any] | None) -> bool:
    """Whether a decision says anything about its own images: a study that nobody could judge may show anything.

    A study without a baseline is judged when its single scan was measured: ``not_assessable`` then says that nothing
    was found in it.
    """
    if document is None:
        return False
    alone = (document.get("judged") or {}).get("from") in ("single_scan", "course")
    return alone or document["decision"]["category"] != "not_assessable"


def changed(stored: Inputs | None, now: Inputs) -> tuple[str, ...]:
    """What is different now, in sentences for a reader; empty when nothing is."""
    if stored is None:
        return ("the facts behind the earlier version were not recorded",)
    if stored == now:
        return ()
    # one flag does both: whatever was taken for the patient's and is not any more
    newly_shared = bool(now.get("shared_id")) and not stored.get("shared_id")
    gone = ": two issuers use this patient ID" if newly_shared else None
    identity = _identity(stored.get("identity", ()), now.get("identity", ()))
    filled = [uid for uid in now.get("blank_filled", ()) if uid not in stored.get("blank_filled", ())]
    found = [
        *([f"{len(filled)} of its images were blank or cut short and came again with content"] if filled else []),
        *_objects(stored.get("objects", {}), now.get("objects", {})),
        *identity,
        *_infusions(stored["infusions"], now["infusions"], gone),
        *_studies(stored["earlier"], now["earlier"], gone),
    ]
    if now.get("away") is not None:  # only an attempt knows what can be read
        found += [f"the study of {day} can be read again" for day in stored.get("away", ()) if day not in now["away"]]
        found += ["its own files can be read again"] if stored.get("damaged") else []
        found += [f"the study of {day} cannot be read now" for day in now["away"] if day not in stored.get("away", ())]
        found += _unread(set(stored.get(UNREAD, ())), set(now.get(UNREAD, ())))
    if stored["patient"] != now["patient"] and not identity:
        found.append("the patient's identity was corrected")
    if stored["study_date"] != now["study_date"]:
        found.append(f"the study date was corrected to {now['study_date']}")
    return tuple(found)


def _unread(before: set[str], now: set[str]) -> list[str]:
    counts = ((before - now, "can be read again"), (now - before, "cannot be read now"))
    return [f"{len(uids)} key objects of the patient {said}" for uids, said in counts if uids]


def _objects(before: Inputs, now: Inputs) -> list[str]:
    """See objects_said."""
    said = {
        ObjectAnswer.RESTORED: "belong to the study, a human said",
        ObjectAnswer.DISCARDED: "are not of this study, a human said",
        ObjectAnswer.REJECTED: "are rejected",
        ObjectAnswer.MISIDENTIFIED: "are rejected, since their patient or order is another one",
    }
    return [
        f"{count} of its objects {what}{_by(now.get(answer, {}))}"
        for answer, what in said.items()
        if before.get(answer) != now.get(answer) and (count := now.get(answer, {"count": "none"})["count"])
    ]


def _by(said: Inputs) -> str:
    why = "; ".join(said.get("why", ()))
    return f" ({why})" if why else ""


def _identity(before: Sequence[str], now: Sequence[str]) -> list[str]:
    """Merges and corrections (workers.identity_events), without the IDs that they name."""
    found = [
        *(without_ids(said) for said in now if said not in before),
        *(f"{without_ids(said)}, which was taken back" for said in before if said not in now),
    ]
    return list(dict.fromkeys(found))


def _infusions(before: Sequence[str], now: Sequence[str], gone: str | None) -> list[str]:
    how = "was removed" if gone is None else f"is not used any more{gone}"
    return [
        *(f"infusion of {day} became known" for day in now if day not in before),
        *(f"infusion of {day} {how}" for day in before if day not in now),
    ]


def _studies(before: Mapping[str, Sequence[Any]], now: Mapping[str, Sequence[Any]], gone: str | None) -> list[str]:
    how = "is not the patient's any more" if gone is None else f"is not used any more{gone}"
    pairs = [(before[uid], facts) for uid, facts in now.items() if uid in before]
    return [
        *(f"the study of {facts[0]} arrived" for uid, facts in now.items() if uid not in before),
        *(f"the study of {facts[0]} {how}" for uid, facts in before.items() if uid not in now),
        *(said for was, facts in pairs if (said := _study(was, facts)) is not None),
    ]


def _study(before: Sequence[Any], now: Sequence[Any]) -> str | None:
    """None: nothing that a decision rests on differs.

    Images that were deleted meanwhile change nothing: the decision was made with them.
    """
    images = (before[2], before[2] if now[2] is None else now[2])
    if images[0] != images[1] or _corrected(before) != _corrected(now):
        return f"images of the study of {now[0]} came or went"
    # a program before this one stored fewer values
    if all(was == value for at, (was, value) in enumerate(zip(before, now, strict=False)) if at != 2):
        return None
    if before[3] is None:
        return f"the study of {now[0]} was assessed"
    return f"the decision on the study of {now[0]} changed"
