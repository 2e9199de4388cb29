"""Real pairs assessed once per session: written as DICOM, run through the command line, their positives likewise."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bench import real_pairs as real
from listener.commands import main as cli
from triage.model import StudyImages
from triage.preparation import PreparedBaseline
from workers.studies import engine
from workers.studies.engine import TriageEngine


@dataclass
class Assessed:
    """One pair and its two results: as acquired, and with thalami and pons raised."""

    pair: real.Pair
    folder: Path

    @cached_property
    def config(self) -> Path:
        """One thread: two add up in an order that depends on what else the machine does."""
        path = self.folder / "config.yaml"
        path.write_text("triage: {threads: 1}\n", encoding="utf-8")
        return path

    @cached_property
    def baseline(self) -> Path:
        return real.write_study(self.pair, 1, real.volumes_of(self.pair, 1), self.folder / "baseline")

    @property
    def results(self) -> Path:
        return self.folder / "as acquired"

    @cached_property
    def as_acquired(self) -> dict[str, Any]:
        followup = real.write_study(self.pair, 2, real.volumes_of(self.pair, 2), self.folder / "followup")
        return assess_here(followup, self.baseline, self.results, self.config)

    @cached_property
    def raised(self) -> dict[str, Any]:
        assert self.as_acquired  # the pons is raised where that run found it
        followup = real.write_study(self.pair, 2, real.raised_followup(self.pair, self.results), self.folder / "raised")
        return assess_here(followup, self.baseline, self.folder / "with change", self.config)


def assess_here(followup: Path, baseline: Path, results: Path, config: Path) -> dict[str, Any]:
    """The command in this process; it must end with exit code 0."""
    results.mkdir(parents=True)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "TriageEngine", RememberingEngine)
        patch.setattr(sys, "argv", ["icansee", *real.command(followup, baseline, results, config=config)[3:]])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    root.handlers[:], root.level = handlers, level
    assert ended.value.code in (0, None)
    return real.read_document(results)


class RememberingEngine(TriageEngine):
    """The engine of the node, preparing each baseline once per session."""

    prepared: ClassVar[dict[str, PreparedBaseline]] = {}

    def prepare_baseline(self, images: StudyImages) -> PreparedBaseline:
        uid = images.study.study_instance_uid
        if uid not in self.prepared:
            self.prepared[uid] = super().prepare_baseline(images)
        return self.prepared[uid]


@pytest.fixture(scope="session")
def assessed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Assessed]:
    problem = real.missing_data()
    if problem:
        pytest.skip(problem)
    return {pair.name: Assessed(pair, tmp_path_factory.mktemp(pair.name)) for pair in real.PAIRS}
