"""DICOM files in, images or descriptions out: the reading of studies behind the port of the use cases."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from triage.model import SequenceKind, Study, StudyImages
from workers.log import get_logger, study_hash
from workers.rejection_notes import RejectionNote

log = get_logger(__name__)

DESCRIBED_STUDIES = 64


class DicomReader:
    """Reads studies for the use cases, and remembers descriptions: the same priors are candidates again and again."""

    def __init__(self) -> None:
        self._described: OrderedDict[tuple[tuple[Path, ...], frozenset[Path]], Study] = OrderedDict()

    def read(
        self,
        paths: Sequence[Path],
        *,
        kinds: frozenset[SequenceKind] | None = None,
        vouched: frozenset[Path] = frozenset(),
    ) -> StudyImages:
        from workers.reading.study import read_study

        images = read_study(paths, kinds=kinds, compared=True, vouched=vouched)
        if images.set_aside:
            study = study_hash(images.study.study_instance_uid)
            log.warning("study.objects_set_aside", study=study, said="; ".join(images.set_aside))
        return images

    def describe(self, paths: Sequence[Path], *, vouched: frozenset[Path] = frozenset()) -> Study:
        from workers.reading.study import read_study

        key = tuple(paths), vouched  # stored files never change
        if key not in self._described:
            # no kind is asked for: only some planes of the FLAIR are decoded
            self._described[key] = read_study(paths, kinds=frozenset(), compared=True, vouched=vouched).study
            while len(self._described) > DESCRIBED_STUDIES:
                self._described.popitem(last=False)
        return self._described[key]

    def note_reader(self) -> Callable[[Path], RejectionNote | None]:
        from workers.reading.limits import Budget
        from workers.reading.rejection_note import read_rejection_note

        return partial(read_rejection_note, budget=Budget())
