"""Files of one study in, the objects and frames of each series as it is measured out.

A series is not always what has one UID: slices with a UID each are joined, and several series under one UID are taken
apart. Whoever refers to the images of a measurement asks here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from triage.errors import NotAssessable
from workers.reading.joining import series_of
from workers.reading.objects import ReadObject, read_object
from workers.reading.splitting import taken_apart


def readable_objects(paths: Iterable[Path]) -> list[ReadObject]:
    """Headers only; a file that is no usable object is left out.

    Raises:
        Transient, OSError: a file cannot be read now.
    """
    found = []
    for path in paths:
        with suppress(NotAssessable):
            found.append(read_object(path))
    return found


def as_measured(objects: Sequence[ReadObject]) -> dict[str, list[ReadObject]]:
    """By the UID that the document names. Each object has those frames only that are of the series.

    Args:
        objects: of one study; of slices with a UID each, all.
    """
    return taken_apart(series_of(objects))[0]
