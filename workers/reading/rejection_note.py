"""The file of a Key Object Selection in, the rejection note in it out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from triage.errors import NotAssessable
from workers.reading.limits import Budget
from workers.reading.pixels import open_header
from workers.reading.values import text
from workers.rejection_notes import TITLES, RejectionNote

_UNDEFINED = 0xFFFFFFFF  # length of an element that ends with a delimiter
MOST_NAMED = 10_000  # objects of one note; the largest studies seen have 5,000


def read_rejection_note(path: Path, budget: Budget | None = None) -> RejectionNote | None:
    """None: it selects objects for another purpose.

    Args:
        budget: of all notes that are read together. None: of this one.

    What it names are the objects of its content, and where it has none, of its evidence: some senders write only one.

    Raises:
        NotAssessable: it cannot be read, is cut short, names more than MOST_NAMED objects, or exceeds a limit of
            ``workers.reading.limits``.
        Transient: the file cannot be read now.
    """
    ds, _ = open_header(path, budget or Budget())
    if any(_is_short(one) for one in ds.values()):
        raise NotAssessable("incomplete_header", "the note is cut short")
    try:
        return _note(ds)
    except NotAssessable:
        raise
    except Exception as error:  # the library decodes as it goes: an element can raise anything
        raise NotAssessable("incomplete_header", f"the note is malformed ({type(error).__name__})") from None


def _note(ds: Any) -> RejectionNote | None:
    titles = [one for one in _items(ds, "ConceptNameCodeSequence") if text(one, "CodingSchemeDesignator") == "DCM"]
    code = text(titles[0], "CodeValue") if titles else ""
    if code not in TITLES:
        return None
    selected = {text(one, "ReferencedSOPInstanceUID") for one in _selected(ds)}
    objects: dict[str, set[str]] = {}
    for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
        for study in _items(ds, name):
            uids = {
                text(one, "ReferencedSOPInstanceUID")
                for series in _items(study, "ReferencedSeriesSequence")
                for one in _items(series, "ReferencedSOPSequence")
            }
            objects.setdefault(text(study, "StudyInstanceUID"), set()).update(uids & selected if selected else uids)
    if sum(map(len, objects.values())) > MOST_NAMED:
        raise NotAssessable("too_complex", f"a rejection note names more than {MOST_NAMED} objects")
    return RejectionNote(code, {study: frozenset(uids - {""}) for study, uids in objects.items() if study})


def _is_short(element: Any) -> bool:
    """Whether an element has fewer bytes than it says. What was converted had all of them."""
    value, length = element.value, getattr(element, "length", None)
    return isinstance(value, bytes) and isinstance(length, int) and length != _UNDEFINED and len(value) < length


def _selected(ds: Any) -> Iterator[Any]:
    for item in _items(ds, "ContentSequence"):
        yield from _items(item, "ReferencedSOPSequence")


def _items(ds: Any, name: str) -> Sequence[Any]:
    found = ds.get(name)
    return found if isinstance(found, Sequence) or hasattr(found, "__iter__") else ()
