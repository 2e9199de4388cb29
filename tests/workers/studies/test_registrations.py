"""How a follow-up lies on its baseline: found once, and again only when what registering reads is another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import some_images
from triage import registering
from triage.alignment.session import Session
from triage.draft import Context
from triage.errors import NotAssessable
from triage.model import Found, RegistrationResult, SequenceKind, SeriesHeader, Volume
from triage.preparation import PreparedBaseline
from triage.settings import TriageSettings
from workers.config import Settings
from workers.studies import engine as engine_module
from workers.studies.engine import TriageEngine
from workers.studies.registrations import MOST_KEPT, KeptRegistrations

STUDY, LIMITS = "1.2.3", TriageSettings().registration
FLAIR = Volume(np.arange(8, dtype=np.float32).reshape(2, 2, 2), np.eye(4))
OTHER = Volume(FLAIR.voxels + 1, np.eye(4))
MOVED = Volume(FLAIR.voxels, np.diag([1.0, 1.0, 2.0, 1.0]))
MASK = Volume(np.ones((2, 2, 2), dtype=np.uint8), np.eye(4))
PREPARED = PreparedBaseline(
    study_instance_uid="1.2.2",
    series_instance_uid="1.2.2.1",
    header=SeriesHeader("1.2.2.1"),
    flair=OTHER,
    labels=MASK,
    brain=MASK,
    label_names={},
    session=Session(SequenceKind.FLAIR, {SequenceKind.FLAIR: OTHER}),
    burden=Found(),
)
FOUND = RegistrationResult(True, None, {"similarity": 0.1 + 0.2}, np.eye(4) * (1.0 / 3.0))
REFUSED = RegistrationResult(False, "coverage: 50 %", {"similarity": 0.9}, np.eye(4))


class Registering:
    """A folder of registrations, and how often two images were registered."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.times, self.found, self.code = folder, 0, FOUND, "program 1"
        monkeypatch.setattr(registering, "register_on_baseline", self._register)

    def _register(self, *_: object) -> RegistrationResult:
        self.times += 1
        return self.found

    def __call__(
        self, flair: Volume = FLAIR, prepared: PreparedBaseline = PREPARED, limits: object = LIMITS
    ) -> RegistrationResult:
        kept = KeptRegistrations(self.folder, lambda: self.code)
        return kept.of(STUDY)(flair, prepared, limits)  # type: ignore[arg-type]

    @property
    def kept(self) -> list[Path]:
        return sorted((self.folder / STUDY).glob("*"))


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registering:
    return Registering(tmp_path, monkeypatch)


@pytest.mark.parametrize("found", [pytest.param(FOUND, id="accepted"), pytest.param(REFUSED, id="refused")])
def test_noop_the_same_two_images_are_registered_once(registered: Registering, found: RegistrationResult) -> None:
    registered.found = found
    for _ in range(2):
        said = registered()
        assert (said.accepted, said.reason, said.quality) == (found.accepted, found.reason, found.quality)
        assert np.array_equal(said.followup_to_baseline, found.followup_to_baseline)
    assert registered.times == 1


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"flair": OTHER}, id="other voxels"),
        pytest.param({"flair": MOVED}, id="another place"),
        pytest.param({"prepared": replace(PREPARED, flair=FLAIR)}, id="another baseline"),
        pytest.param({"prepared": replace(PREPARED, brain=replace(MASK, voxels=MASK.voxels * 0))}, id="another brain"),
        pytest.param({"limits": replace(LIMITS, similarity=0.1)}, id="another limit"),
    ],
)
def test_what_registering_reads_is_registered_anew(registered: Registering, changed: dict[str, object]) -> None:
    registered()
    registered(**changed)  # type: ignore[arg-type]
    assert registered.times == 2


def test_another_program_registers_anew(registered: Registering) -> None:
    registered()
    registered.code = "program 2"
    registered()
    assert registered.times == 2


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-9]), id="cut"),
        pytest.param(lambda path: path.write_text('{"accepted": true}'), id="a part"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="a folder"),
    ],
)
def test_what_cannot_be_read_is_registered_anew(registered: Registering, damage: Callable[[Path], object]) -> None:
    registered()
    damage(registered.kept[0])
    assert np.array_equal(registered().followup_to_baseline, FOUND.followup_to_baseline)
    assert registered.times == 2


def test_a_folder_that_cannot_be_written_changes_nothing(registered: Registering) -> None:
    (registered.folder / STUDY).write_text("no folder")
    registered()
    registered()
    assert registered.times == 2


def test_not_measured_what_comes_apart_is_not_kept(registered: Registering, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> RegistrationResult:
        raise NotAssessable("registration_failed", "the images do not overlap")

    monkeypatch.setattr(registering, "register_on_baseline", fails)
    with pytest.raises(NotAssessable):
        registered()
    assert registered.kept == []


def test_few_are_kept(registered: Registering) -> None:
    for number in range(MOST_KEPT + 2):
        registered(Volume(FLAIR.voxels * number, np.eye(4)))
    assert len(registered.kept) == MOST_KEPT


def test_both_stages_are_given_what_was_found_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Context] = []

    def stage(_images: object, _prepared: object, context: Context, *_: object) -> None:
        seen.append(context)

    monkeypatch.setattr("triage.assessment.first_look", stage)
    monkeypatch.setattr("triage.assessment.full", stage)
    monkeypatch.setattr(engine_module.TriageEngine, "atlas", None)
    images, context = some_images(STUDY, day=date(2026, 3, 10)), Context(None, None, {})
    monkeypatch.setattr(engine_module.TriageEngine, "versions", {"icansee": "1"})
    for engine, own in ((TriageEngine(Settings(), tmp_path), True), (TriageEngine(Settings()), False)):
        engine.first_look(images, PREPARED, context)
        engine.full(images, PREPARED, context)
        assert [(one.register is not registering.register_on_baseline) for one in seen[-2:]] == [own, own]
