"""DICOM folders in, an Assessed out: the same assessment without node, index or queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from triage.baseline import Candidate
from triage.errors import Misconfigured, NotAssessable
from triage.identity import is_placeholder
from triage.infusions import Infusion
from triage.model import BaselineChoice, Patient, Study, StudyImages
from workers.studies import refusals

if TYPE_CHECKING:
    from triage.assessment import Assessed
    from triage.preparation import PreparedBaseline
    from workers.ports import Engine, Reader

STEPS = ("reading the follow-up", "reading the baseline", "preparing the baseline", "measuring")

ReadFolder = Callable[[Path], dict[str, list[Path]]]


def assess_folders(
    followup: Path,
    baseline: Path | None,
    *,
    infusion_date: date | None,
    read_folder: ReadFolder,
    reader: Reader,
    engine: Engine,
    on_step: Callable[[str], None] = lambda _step: None,
) -> Assessed:
    """The full assessment of the one study in ``followup``, compared with the best suited study in ``baseline``.

    A study that cannot be measured is an Assessed too (``not_assessable``).

    Raises:
        Misconfigured: a folder holds no DICOM study, or ``followup`` more than one; the message names the option.
    """
    from triage.draft import Context

    on_step(STEPS[0])
    paths = _one_study(read_folder(followup), followup)
    try:
        images = reader.read(paths)
    except NotAssessable as refusal:
        return _refused(_described(reader, paths), refusal, infusion_date, engine)
    choice, prepared = (None, None)
    if baseline is not None:
        choice, prepared = _compare(
            images,
            baseline,
            infusion_date=infusion_date,
            read_folder=read_folder,
            reader=reader,
            engine=engine,
            on_step=on_step,
        )
    on_step(STEPS[3])
    return engine.full(images, prepared, Context(infusion_date, choice, engine.versions))


def _compare(
    images: StudyImages,
    folder: Path,
    *,
    infusion_date: date | None,
    read_folder: ReadFolder,
    reader: Reader,
    engine: Engine,
    on_step: Callable[[str], None],
) -> tuple[BaselineChoice, PreparedBaseline | None]:
    """As for stored studies: a baseline that cannot be prepared is a rejected candidate, and the choice is made
    again. Whoever names the folders says whose they are where the IDs are placeholders."""
    on_step(STEPS[1])
    studies = read_folder(folder)
    if not studies:
        raise Misconfigured(f"--baseline: no DICOM files in {folder}")
    candidates = {uid: Candidate(_without_placeholder(reader.describe(paths)), True) for uid, paths in studies.items()}
    followup = _without_placeholder(images.study)
    while True:
        choice = engine.choose_baseline(followup, list(candidates.values()), _known(infusion_date))
        uid = choice.study_instance_uid or (choice.since[0] if choice.since is not None else None)
        if uid is None:
            return choice, None
        on_step(STEPS[2])
        try:
            return choice, engine.prepare_baseline(reader.read(studies[uid]))
        except NotAssessable as refusal:
            if not candidates[uid].assessable:
                raise
            candidates[uid] = Candidate(candidates[uid].study, False, str(refusal))


def _without_placeholder(study: Study) -> Study:
    """A placeholder in place of a patient ID says no more than no ID."""
    if not is_placeholder(study.patient.patient_id):
        return study
    return replace(study, patient=replace(study.patient, patient_id=""))


def _known(infusion_date: date | None) -> tuple[Infusion, ...]:
    return () if infusion_date is None else (Infusion(infusion_date, source="command line"),)


def _one_study(studies: dict[str, list[Path]], folder: Path) -> list[Path]:
    if len(studies) == 1:
        return next(iter(studies.values()))
    if not studies:
        raise Misconfigured(f"--followup: no DICOM files in {folder} (icansee inspect says what its files are)")
    raise Misconfigured(f"--followup: {folder} holds {len(studies)} studies; give a folder with one")


def _described(reader: Reader, paths: list[Path]) -> Study:
    try:
        return reader.describe(paths)
    except NotAssessable:
        return Study("", Patient(""), None, None)


def _refused(study: Study, refusal: NotAssessable, infusion_date: date | None, engine: Engine) -> Assessed:
    return refusals.outcome(
        study, code=refusal.code, message=refusal.message, infusion_date=infusion_date, versions=engine.versions
    )
