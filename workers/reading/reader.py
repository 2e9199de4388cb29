"""DICOM files in, images or descriptions out: the reading of studies behind the port of the use cases."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from triage.model import SequenceKind, Study, StudyImages

if TYPE_CHECKING:
    pass


DESCRIBED_STUDIES = 64


class DicomReader:
    """workers.reading.study behind the port of the use cases. Remembers descriptions: the same priors are candidates again and
    again."""

    def __init__(self) -> None:
        self._described: OrderedDict[tuple[Path, ...], Study] = OrderedDict()

    def read(self, paths: Sequence[Path], *, kinds: frozenset[SequenceKind] | None = None) -> StudyImages:
        from workers.reading import study as dicom

        return dicom.read_study(paths, kinds=kinds)

    def describe(self, paths: Sequence[Path]) -> Study:
        from workers.reading import study as dicom

        key = tuple(paths)  # stored files never change
        if key not in self._described:
            # no kind is asked for, so that no pixels are decoded
            self._described[key] = dicom.read_study(paths, kinds=frozenset()).study
            while len(self._described) > DESCRIBED_STUDIES:
                self._described.popitem(last=False)
        return self._described[key]
