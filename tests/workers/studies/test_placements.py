"""Where the atlas lies: found once, and again only when what placing reads is another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import a_volume, some_images
from triage import preparation
from triage.alignment.placement import Placement
from triage.alignment.session import Session
from triage.draft import Context
from triage.errors import NotAssessable
from triage.model import Atlas, SequenceKind, Volume
from triage.settings import PreparationSettings, TriageSettings
from workers.config import Settings
from workers.studies import engine as engine_module
from workers.studies.engine import TriageEngine
from workers.studies.placements import MOST_KEPT, KeptPlacements

STUDY = "1.2.3"
SETTINGS = TriageSettings().preparation
ATLAS = Atlas(*[a_volume()] * 6, {}, "atlas 1")
FLAIR = Volume(np.arange(8, dtype=np.float32).reshape(2, 2, 2), np.eye(4))
T1 = Volume(np.ones((2, 2, 2), dtype=np.float32), np.eye(4))
ALONE = Session(SequenceKind.FLAIR, {SequenceKind.FLAIR: FLAIR})
WITH_T1 = replace(ALONE, volumes={**ALONE.volumes, SequenceKind.T1: T1}, to_anchor={SequenceKind.T1: np.eye(4)})
FIELD = np.random.default_rng(1).normal(size=(2, 2, 2, 3))
FOUND = Placement(np.eye(4) * 1.1, FIELD, np.eye(4) * 3, (("pons", 0.4),))


class Placing:
    """A folder of placements, and how often the atlas was placed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, found: Placement = FOUND) -> None:
        self.folder, self.times, self.found = folder, 0, found
        monkeypatch.setattr(preparation, "place", self._place)

    def _place(self, *_: object) -> Placement:
        self.times += 1
        return self.found

    def __call__(
        self,
        session: Session = ALONE,
        flair: Volume = FLAIR,
        atlas: Atlas = ATLAS,
        settings: PreparationSettings = SETTINGS,
        program: str = "1.0",
        study: str = STUDY,
    ) -> Placement:
        return KeptPlacements(self.folder, program).of(study)(session, flair, atlas, settings)


@pytest.fixture
def placing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Placing:
    return Placing(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("change", "times"),
    [
        pytest.param({}, 1, id="noop: the same"),
        pytest.param({"settings": replace(SETTINGS, threads=SETTINGS.threads + 1)}, 1, id="noop: not read"),
        pytest.param({"session": replace(ALONE, left_out=("a series",))}, 1, id="noop: another series"),
        pytest.param({"flair": replace(FLAIR, voxels=FLAIR.voxels + 1)}, 2, id="other voxels"),
        pytest.param({"flair": replace(FLAIR, affine=np.eye(4) * 2)}, 2, id="another geometry"),
        pytest.param({"session": WITH_T1}, 2, id="a T1"),
        pytest.param({"atlas": replace(ATLAS, version="atlas 2")}, 2, id="another atlas"),
        pytest.param({"program": "1.1"}, 2, id="another program"),
        pytest.param({"study": "1.2.4"}, 2, id="another study"),
        pytest.param(
            {"settings": replace(SETTINGS, regions=replace(SETTINGS.regions, fit=0.5))}, 2, id="another limit"
        ),
    ],
)
def test_when_the_atlas_is_placed_anew(placing: Placing, change: dict[str, object], times: int) -> None:
    placing()
    again = placing(**change)  # type: ignore[arg-type]
    assert placing.times == times
    assert np.array_equal(again.to_template, FOUND.to_template)


def test_noop_the_same_t1_placed_by_threads_in_another_order(placing: Placing) -> None:
    placing(WITH_T1)
    placing(replace(WITH_T1, to_anchor={SequenceKind.T1: np.eye(4) - 1e-14}))
    assert placing.times == 1


def test_another_t1_or_place_of_it(placing: Placing) -> None:
    placing(WITH_T1)
    placing(replace(WITH_T1, to_anchor={SequenceKind.T1: np.eye(4) * 2}))
    placing(replace(WITH_T1, volumes={**WITH_T1.volumes, SequenceKind.T1: replace(T1, voxels=T1.voxels * 2)}))
    assert placing.times == 3


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(FOUND, id="every digit"),
        pytest.param(replace(FOUND, field=FIELD.astype(np.float32).astype(np.float64)), id="of half the digits"),
        pytest.param(Placement(np.eye(4), None, None), id="linear only"),
    ],
)
def test_it_comes_back_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: Placement) -> None:
    placing = Placing(tmp_path, monkeypatch, found)
    first, second = placing(), placing()
    assert (first, placing.times) == (found, 1)
    assert second.apart == found.apart
    for name in ("to_template", "field", "field_affine"):
        was, now = getattr(found, name), getattr(second, name)
        assert (was is None and now is None) or (np.array_equal(was, now) and was.dtype == now.dtype), name


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-40]), id="cut short"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: np.savez(path, other=np.eye(4)), id="something else"),
    ],
)
def test_not_measured_a_damaged_file_is_placed_anew(placing: Placing, damage: Callable[[Path], None]) -> None:
    placing()
    damage(next((placing.folder / STUDY).glob("placement-*.npz")))
    assert placing() == FOUND
    assert placing.times == 2
    placing()
    assert placing.times == 2, "it was replaced"


def test_few_are_kept_of_a_study(placing: Placing) -> None:
    for number in range(MOST_KEPT + 2):
        placing(flair=replace(FLAIR, voxels=FLAIR.voxels + number))
    assert len(list((placing.folder / STUDY).iterdir())) == MOST_KEPT


def test_a_full_disk_costs_only_the_time(placing: Placing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / STUDY).write_text("no folder")
    assert placing() == FOUND
    assert placing() == FOUND
    assert placing.times == 2


def test_the_engine_places_by_what_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both a study without a baseline and a baseline that is prepared."""

    def refused(*_: object) -> Placement:
        raise NotAssessable("atlas_failed", "it was asked")

    class Refused(KeptPlacements):
        def of(self, study_instance_uid: str) -> preparation.Placing:
            assert (self._folder, study_instance_uid) == (tmp_path, STUDY)
            return refused

    monkeypatch.setattr("workers.studies.placements.KeptPlacements", Refused)
    monkeypatch.setattr(preparation, "place", refused)
    images, context = some_images(STUDY), Context(None, None, {})
    engine = TriageEngine(Settings(), tmp_path)
    assert engine_module.TriageEngine(Settings())._placing(images) is refused, "nothing is kept"
    with pytest.raises(NotAssessable, match="it was asked"):
        engine.prepare_baseline(images)
    assert "atlas_failed: it was asked" in " ".join(engine.full(images, None, context).assessment.decision.reasons)
