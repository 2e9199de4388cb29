"""The measurement core behind the port of the use cases, with atlas and settings bound."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from triage.model import Atlas, BaselineChoice, Study, StudyImages
from triage.settings import PREPARED_FORM
from workers.config import Settings

if TYPE_CHECKING:
    from triage.assessment import Assessed
    from triage.baseline import Candidate
    from triage.draft import Context
    from triage.infusions import Infusion
    from triage.preparation import Placing, PreparedBaseline
    from triage.settings import PreparationSettings


class TriageEngine:
    """The measurement core with atlas and settings bound. The atlas is loaded once per process, at first use.

    Args:
        prepared: the folder in which placements and registrations are kept; None: both are always found anew.
    """

    def __init__(self, settings: Settings, prepared: Path | None = None) -> None:
        self._settings, self._prepared = settings, prepared
        self._lock = threading.Lock()

    @cached_property
    def _loaded_atlas(self) -> Atlas:
        import atlas

        return atlas.load()

    @property
    def atlas(self) -> Atlas:
        with self._lock:
            return self._loaded_atlas

    def warm_up(self) -> None:
        import triage.assessment  # noqa: F401 - the core is loaded before the first study
        from triage.alignment.template import template_of
        from triage.libraries import load_now

        load_now()

        _ = self.versions
        template_of(self.atlas)

    @cached_property
    def versions(self) -> Mapping[str, str]:
        return {
            "icansee": importlib.metadata.version("icansee"),
            "config_sha256": self._settings.sha256(),
            "atlas": self.atlas.version,
        }

    @cached_property
    def preparation_key(self) -> str:
        return preparation_key(self.atlas.version, self.versions["icansee"], self._settings.triage.preparation)

    def choose_baseline(
        self, study: Study, candidates: Sequence[Candidate], infusions: Sequence[Infusion]
    ) -> BaselineChoice:
        from triage.baseline import choose_baseline
        from triage.identity import SameId

        days = self._settings.baseline.latest_days_before_infusion
        return choose_baseline(
            study,
            candidates,
            infusions=infusions,
            latest_days_before_infusion=days,
            same_id=SameId(self._settings.patients.same_id),
        )

    def prepare_baseline(self, images: StudyImages) -> PreparedBaseline:
        from triage.preparation import prepare_baseline

        return prepare_baseline(images, self.atlas, self._settings.triage.preparation, self._placing(images))

    def first_look(self, images: StudyImages, prepared: PreparedBaseline | None, context: Context) -> Assessed:
        from triage.assessment import first_look

        context = self._with_kept(context, images)
        return first_look(images, prepared, context, self.atlas, self._settings.triage)

    def full(self, images: StudyImages, prepared: PreparedBaseline | None, context: Context) -> Assessed:
        from triage.assessment import full

        context = self._with_kept(context, images)
        return full(images, prepared, context, self.atlas, self._settings.triage)

    def _with_kept(self, context: Context, images: StudyImages) -> Context:
        from workers.studies.registrations import KeptRegistrations

        context = dataclasses.replace(context, place=self._placing(images))
        if self._prepared is None:
            return context
        kept = KeptRegistrations(self._prepared)
        return dataclasses.replace(context, register=kept.of(images.study.study_instance_uid))

    def _placing(self, images: StudyImages) -> Placing:
        from triage.preparation import place
        from workers.studies.placements import KeptPlacements
        from workers.studies.program_code import reading_code

        if self._prepared is None:
            return place
        return KeptPlacements(self._prepared, reading_code()).of(images.study.study_instance_uid)


def preparation_key(atlas: str, program: str, settings: PreparationSettings) -> str:
    """Everything that a prepared baseline depends on beside its images, as a folder name.

    These are the versions of atlas and program, the form of what is prepared, and a digest of the settings that the
    preparation reads.
    """
    text = json.dumps(dataclasses.asdict(settings), sort_keys=True)
    return f"{atlas}-{program}-f{PREPARED_FORM}p{hashlib.sha256(text.encode()).hexdigest()[:12]}"
