"""Arriving instances in, what is known of each series out. Reads one header per series, and slice positions of FLAIR
series only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, pairwise
from pathlib import Path

from triage.errors import NotAssessable
from triage.model import SequenceKind
from workers.arrival.completeness import FEWEST_SLICES, SeriesFacts, gap_free
from workers.log import get_logger, study_hash, uid_hash
from workers.ports import InstanceFiles, InstanceRow, StudyIndex, StudyRow
from workers.reading.child import LimitExceeded

log = get_logger(__name__)

# After this many objects of a study that exceed the limits of reading, no header of it is read while it arrives: the
# quiet period hands it over.
MOST_OVERRUNS = 2
# A multi-frame object holds its whole series, so its coverage is not in question before it is read.
WHOLE_SERIES_MM = float("inf")


@dataclass
class _Known:
    """What was read of one study so far, so that nothing is read twice."""

    kinds: dict[str, SequenceKind] = field(default_factory=dict)
    positions_mm: dict[str, float | None] = field(default_factory=dict)
    as_of: tuple[int, datetime] | None = None
    facts: list[SeriesFacts] = field(default_factory=list)
    overruns: int = 0


class SeriesProbe:
    """Remembers what it read of the studies that are arriving; ``forget`` the others."""

    def __init__(
        self,
        index: StudyIndex,
        files: InstanceFiles,
        *,
        kind_of: Callable[[Path], SequenceKind],
        position_of: Callable[[Path], float | None],
    ) -> None:
        self._index = index
        self._files = files
        self._kind_of = kind_of
        self._position_of = position_of
        self._known: dict[str, _Known] = {}

    def facts(self, row: StudyRow) -> list[SeriesFacts]:
        """One entry per series of the study. Reads the index only when something arrived since the last call."""
        known = self._known.setdefault(row.study_instance_uid, _Known())
        as_of = (row.instance_count, row.last_received_at)
        if known.as_of != as_of:
            rows = sorted(self._index.instances(row.study_instance_uid), key=lambda r: r.series_instance_uid)
            by_series = groupby(rows, key=lambda r: r.series_instance_uid)
            known.facts = [self._series(known, uid, list(members)) for uid, members in by_series]
            known.as_of = as_of
        return known.facts

    def forget(self, *, all_but: set[str]) -> None:
        self._known = {uid: known for uid, known in self._known.items() if uid in all_but}

    def _series(self, known: _Known, series_instance_uid: str, rows: Sequence[InstanceRow]) -> SeriesFacts:
        kind = known.kinds.get(series_instance_uid)
        # a study of one image costs no header: 2,000 of them kept a patient's study waiting for a minute
        if kind is None and sum(max(1, row.frame_count) for row in rows) >= FEWEST_SLICES:
            kind = known.kinds[series_instance_uid] = self._identify(known, rows[0])
        even, coverage = self._geometry(known, rows) if kind is SequenceKind.FLAIR else (None, None)
        announced = {row.images_in_acquisition for row in rows}
        expected = announced.pop() if len(announced) == 1 else None
        return SeriesFacts(
            series_instance_uid=series_instance_uid,
            kind=kind,
            instances=len(rows),
            first_received_at=min(row.received_at for row in rows),
            last_received_at=max(row.received_at for row in rows),
            # one image is what some senders write for every image of the series
            expected=expected if expected is not None and expected > 1 else None,
            gap_free=even,
            coverage_mm=coverage,
            longest_pause_s=_longest_pause_s(rows),
        )

    def _identify(self, known: _Known, row: InstanceRow) -> SequenceKind:
        if known.overruns >= MOST_OVERRUNS:
            return SequenceKind.UNKNOWN
        try:
            return self._kind_of(self._files.path(row))
        except LimitExceeded as error:
            _note_overrun(known, row, error)
        except Exception as error:  # the library decodes as it goes: a header can raise anything
            # the quiet period will hand the study over; the reader then says what is wrong with it
            log.warning("series.not_identified", study=study_hash(row.study_instance_uid), error=type(error).__name__)
        return SequenceKind.UNKNOWN

    def _geometry(self, known: _Known, rows: Sequence[InstanceRow]) -> tuple[bool | None, float | None]:
        if any(row.frame_count > 1 for row in rows):
            return True, WHOLE_SERIES_MM
        positions = [self._position(known, row) for row in rows]
        measured = [position for position in positions if position is not None]
        if len(measured) < len(positions) or not measured:
            return None, None
        return gap_free(measured), max(measured) - min(measured)

    def _position(self, known: _Known, row: InstanceRow) -> float | None:
        if row.sop_instance_uid not in known.positions_mm:
            known.positions_mm[row.sop_instance_uid] = self._measure(known, row)
        return known.positions_mm[row.sop_instance_uid]

    def _measure(self, known: _Known, row: InstanceRow) -> float | None:
        if known.overruns >= MOST_OVERRUNS:
            return None
        try:
            return self._position_of(self._files.path(row))
        except LimitExceeded as error:
            _note_overrun(known, row, error)
            return None


def _longest_pause_s(rows: Sequence[InstanceRow]) -> float:
    times = sorted(row.received_at for row in rows)
    return max(((later - sooner).total_seconds() for sooner, later in pairwise(times)), default=0.0)


def _note_overrun(known: _Known, row: InstanceRow, error: LimitExceeded) -> None:
    known.overruns += 1
    study, instance = study_hash(row.study_instance_uid), uid_hash(row.sop_instance_uid)
    log.warning("object.exceeds_limits", study=study, instance=instance, reason=str(error), overruns=known.overruns)


def slice_position_mm(path: Path) -> float | None:
    """Where a slice lies along its own normal, LPS mm; None when the header does not say."""
    import numpy as np
    import pydicom

    tags = ["ImagePositionPatient", "ImageOrientationPatient"]
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
        position = np.array(header.ImagePositionPatient, dtype=float)
        orientation = np.array(header.ImageOrientationPatient, dtype=float)
    except Exception:  # noqa: BLE001, RUF100 - as above; the reader says later what is wrong with the slice
        return None
    if position.shape != (3,) or orientation.shape != (6,):
        return None
    return float(np.dot(np.cross(orientation[:3], orientation[3:]), position))


def series_kind(path: Path) -> SequenceKind:
    """What the series of this file shows, from this one header.

    Raises:
        Transient: the file cannot be read now.
    """
    from workers.reading.study import read_study

    try:
        series = read_study([path], kinds=frozenset()).study.series
    except NotAssessable:
        return SequenceKind.NOT_IMAGE
    return series[0].identification.kind if series else SequenceKind.NOT_IMAGE
