"""The fakes of one node, wired, for tests of the use cases."""

from __future__ import annotations

from pathlib import Path

from tests.fake_index import InMemoryIndex
from tests.fakes import (
    FakeBell,
    FakeClock,
    FakeEngine,
    FakeFiles,
    FakeReader,
    FakeResults,
    FakeStorage,
    an_instance,
)
from triage.model import StudyImages
from workers.config import Settings
from workers.studies.assess import Result, assess_study
from workers.studies.deps import Deps
from workers.studies.prepared_baselines import PreparedBaselines

STUDY = "1.2.3"


class Node:
    """The fakes of one node, wired."""

    def __init__(self, tmp_path: Path, *images: StudyImages, engine: FakeEngine | None = None) -> None:
        self.settings = Settings()
        self.index = InMemoryIndex()
        self.clock = FakeClock()
        self.bell = FakeBell()
        self.reader = FakeReader(*images)
        self.engine = engine or FakeEngine()
        self.results = FakeResults()
        self.storage = FakeStorage()
        self.files = FakeFiles()
        self.baselines = PreparedBaselines(
            tmp_path,
            self.storage,
            reader=self.reader,
            engine=self.engine,
            index=self.index,
            files=self.files,
        )
        self.deps = Deps(
            settings=self.settings,
            index=self.index,
            files=self.files,
            clock=self.clock,
            bell=self.bell,
            reader=self.reader,
            engine=self.engine,
            baselines=self.baselines,
            results=self.results,
        )
        for image in images:
            self.arrive(image)

    def arrive(self, images: StudyImages, *, ready: bool = True, number: int = 1) -> None:
        study = images.study
        row = an_instance(
            study.study_instance_uid,
            number,
            study_date=study.study_date,
            patient_id=study.patient.patient_id,
            issuer=study.patient.issuer,
            birth_date=study.patient.birth_date,
            received_at=self.clock.now(),
        )
        self.index.record_instances([row])
        if ready:
            self.index.mark_ready(study.study_instance_uid, now=self.clock.now(), reason="test")

    def ring(self, study: str = STUDY, owner: str = "worker") -> Result:
        return assess_study(study, self.deps, owner=owner)

    def stages(self, study: str = STUDY) -> list[tuple[int, str]]:
        return [(version["revision"], version["stage"]) for version in self.index.assessments(study)]

    def done(self, what: str) -> list[str]:
        return [study for call, study, _ in self.engine.calls if call == what]
