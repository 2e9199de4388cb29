"""DICOM folders -> one Assessed, without index or queue."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.fakes import FakeEngine, FakeReader, some_images
from triage.errors import Misconfigured, NotAssessable
from triage.model import Category, SequenceKind
from workers.studies.folders import STEPS, assess_folders

FOLLOWUP = some_images("1.9", day=date(2026, 3, 10))
BASELINE = some_images("1.1", day=date(2026, 2, 20))
STRANGER = some_images("1.2", day=date(2026, 2, 21), patient_id="P2")


def folder_reader(**folders: list[str]):  # type: ignore[no-untyped-def] # a lambda with a name
    """read_folder for folders that hold the studies with these UIDs."""
    return lambda folder: {uid: [Path("/fake") / uid / "1.dcm"] for uid in folders[folder.name]}


def run(engine: FakeEngine, reader: FakeReader, baseline: str | None = "base", **folders: list[str]):  # type: ignore[no-untyped-def] # Assessed
    steps: list[str] = []
    outcome = assess_folders(
        Path("follow"),
        Path(baseline) if baseline else None,
        infusion_date=None,
        read_folder=folder_reader(**{"follow": ["1.9"], "base": ["1.1"], **folders}),
        reader=reader,
        engine=engine,
        on_step=steps.append,
    )
    return outcome, steps


def test_compared_with_the_baseline() -> None:
    engine = FakeEngine()
    outcome, steps = run(engine, FakeReader(FOLLOWUP, BASELINE))
    assert engine.calls == [("prepare", "1.1", None), ("full", "1.9", "prepared 1.1")]
    assert outcome.assessment.baseline.study_instance_uid == "1.1"
    assert steps == list(STEPS)


@pytest.mark.parametrize(
    ("baseline", "base_studies", "unfit", "images"),
    [
        pytest.param(None, [], set(), [FOLLOWUP], id="noop: no baseline given"),
        pytest.param("base", ["1.1"], {"1.1"}, [FOLLOWUP, BASELINE], id="baseline not assessable"),
        pytest.param("base", ["1.2"], set(), [FOLLOWUP, STRANGER], id="another patient"),
    ],
)
def test_not_compared(baseline: str | None, base_studies: list[str], unfit: set[str], images: list) -> None:  # type: ignore[type-arg]
    engine = FakeEngine(unfit_baselines=unfit)
    outcome, _ = run(engine, FakeReader(*images), baseline, base=base_studies)
    assert engine.calls[-1] == ("full", "1.9", None)
    if baseline:
        assert outcome.assessment.baseline.study_instance_uid is None
        assert [r.study_instance_uid for r in outcome.assessment.baseline.rejected] == base_studies


@pytest.mark.parametrize(
    ("ids", "compared"),
    [
        pytest.param(("ANON", "ANON"), True, id="a placeholder"),
        pytest.param(("ANON", ""), True, id="a placeholder, and none"),
        pytest.param(("ANON", "P2"), False, id="noop: an ID on one side"),
    ],
)
def test_whoever_names_the_folders_says_whose_they_are(ids: tuple[str, str], compared: bool) -> None:
    followup = some_images("1.9", day=date(2026, 3, 10), patient_id=ids[0])
    engine = FakeEngine()
    run(engine, FakeReader(followup, some_images("1.1", day=date(2026, 2, 20), patient_id=ids[1])))
    assert engine.calls[-1] == ("full", "1.9", "prepared 1.1" if compared else None)


def test_the_next_best_baseline_takes_the_place_of_an_unfit_one() -> None:
    older = some_images("1.0", day=date(2026, 1, 5))
    engine = FakeEngine(unfit_baselines={"1.1"})
    run(engine, FakeReader(FOLLOWUP, BASELINE, older), base=["1.0", "1.1"])
    assert engine.calls[-1] == ("full", "1.9", "prepared 1.0")


def test_a_followup_that_cannot_be_read_is_a_result_with_its_reason() -> None:
    reader = FakeReader(FOLLOWUP, BASELINE)
    reader.faults = [NotAssessable("mixed_patients", "two patients")]
    outcome, _ = run(FakeEngine(), reader)
    decision = outcome.assessment.decision
    assert (decision.category, decision.reasons) == (Category.NOT_ASSESSABLE, ("mixed_patients: two patients",))
    assert outcome.assessment.study.study_instance_uid == "1.9"


@pytest.mark.parametrize(
    ("folders", "says"),
    [
        pytest.param({"follow": []}, "--followup: no DICOM", id="follow-up empty"),
        pytest.param({"follow": ["1.9", "1.1"]}, "--followup: .* holds 2 studies", id="two follow-ups"),
        pytest.param({"base": []}, "--baseline: no DICOM", id="baseline empty"),
    ],
)
def test_wrong_folders(folders: dict[str, list[str]], says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        run(FakeEngine(), FakeReader(FOLLOWUP, BASELINE), **folders)


def test_a_baseline_without_flair_is_unfit_in_the_engines_eyes_only() -> None:
    bare = some_images("1.1", day=date(2026, 2, 20), kinds=(SequenceKind.T1,))
    engine = FakeEngine(unfit_baselines={"1.1"})
    outcome, _ = run(engine, FakeReader(FOLLOWUP, bare))
    assert "motion" in outcome.assessment.baseline.rejected[0].reason
