"""Settings in, the wired parts of one process out. Nothing heavy is imported or opened before it is needed."""

from __future__ import annotations

import importlib.metadata
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from triage.model import Atlas, BaselineChoice, SequenceKind, Study, StudyImages
from workers.config import Settings
from workers.outputs.results import ResultFolder
from workers.ports import Bell, Clock, InstanceFiles, StudyIndex
from workers.studies.assess import Deps
from workers.studies.baselines import BaselineShelf

if TYPE_CHECKING:
    from triage.assessment import Assessed
    from triage.baseline import Candidate
    from triage.draft import Context
    from triage.preparation import PreparedBaseline


class SystemClock:
    """The machine's clock, UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class SilentBell:
    """For processes without a broker: rings nobody. The sweeper of the node finds what is due."""

    def ring(self, study_instance_uid: str, *, urgent: bool = False) -> None:
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


class PreparedFiles:
    """workers.studies.prepared behind the port of the shelf."""

    def save(self, folder: Path, prepared: PreparedBaseline) -> None:
        from workers.studies import prepared as files

        files.save(folder, prepared)

    def load(self, folder: Path) -> PreparedBaseline | None:
        from workers.studies import prepared as files

        return files.load(folder)


class TriageEngine:
    """The measurement core with atlas and settings bound. The atlas is loaded once per process, at first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
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
        import triage.assessment  # noqa: F401 - for SimpleITK and scipy, which take a second to load

        _ = self.versions

    @cached_property
    def versions(self) -> Mapping[str, str]:
        return {
            "icansee": importlib.metadata.version("icansee"),
            "config_sha256": self._settings.sha256(),
            "atlas": self.atlas.version,
        }

    def choose_baseline(
        self, study: Study, candidates: Sequence[Candidate], infusion_date: date | None
    ) -> BaselineChoice:
        from triage.baseline import choose_baseline

        days = self._settings.baseline.latest_days_before_infusion
        return choose_baseline(study, candidates, infusion_date=infusion_date, latest_days_before_infusion=days)

    def prepare_baseline(self, images: StudyImages) -> PreparedBaseline:
        from triage.preparation import prepare_baseline

        return prepare_baseline(images, self.atlas, self._settings.triage)

    def first_look(self, images: StudyImages, prepared: PreparedBaseline | None, context: Context) -> Assessed:
        from triage.assessment import first_look

        return first_look(images, prepared, context, self.atlas, self._settings.triage)

    def full(self, images: StudyImages, prepared: PreparedBaseline | None, context: Context) -> Assessed:
        from triage.assessment import full

        return full(images, prepared, context, self.atlas, self._settings.triage)


def open_index(settings: Settings) -> StudyIndex:
    """The index of this node.

    Raises:
        Misconfigured, Transient: see workers.index.sql.open_index.
    """
    from workers.index import sql as store

    return store.open_index(settings.index_url, upgrade=settings.owns_index)


def open_files(settings: Settings) -> InstanceFiles:
    from workers.files import store as files

    return files.open_files(settings)


def open_results(settings: Settings) -> ResultFolder:
    return ResultFolder(settings.store.files_dir / "results")


def open_shelf(settings: Settings, engine: TriageEngine) -> BaselineShelf:
    def key() -> str:  # asked late: it needs the atlas
        versions = engine.versions
        return f"{versions['atlas']}-{versions['icansee']}-{versions['config_sha256'][:12]}"

    return BaselineShelf(settings.store.files_dir / "prepared", key, PreparedFiles())


def open_deps(
    settings: Settings, bell: Bell, *, clock: Clock | None = None, prepare_later: Callable[[str], None] | None = None
) -> Deps:
    """Everything a worker needs.

    Raises:
        Misconfigured: the settings do not lead to a working node.
        Transient: the index cannot be reached now.
    """
    engine = TriageEngine(settings)
    return Deps(
        settings=settings,
        index=open_index(settings),
        files=open_files(settings),
        clock=clock or SystemClock(),
        bell=bell,
        reader=DicomReader(),
        engine=engine,
        shelf=open_shelf(settings, engine),
        results=open_results(settings),
        prepare_later=prepare_later,
    )
