"""A node that looks for baselines: real store, index and reader; the measurement itself is a fake."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tests.builders_dicom import a_series, planes
from tests.fakes import FakeBell, FakeEngine, FakeResults, FakeStorage
from triage.infusions import Infusion
from triage.model import SequenceKind
from workers.arrival.probe import series_kind
from workers.config import Settings, parse
from workers.files.intake import Part10Intake
from workers.files.store import FileStore
from workers.index.prior_searches import SqlPriorSearches, open_prior_searches
from workers.index.sql import open_index
from workers.ports import InstanceRow, PatientKey
from workers.prior_settings import PriorSource
from workers.priors.archive import Archive
from workers.priors.loop import PriorFinder, archive_of
from workers.priors.parts import SearchParts
from workers.reading.reader import DicomReader
from workers.studies.assess import assess_study
from workers.studies.deps import Deps
from workers.studies.descriptions import KeptDescriptions
from workers.studies.prepared_baselines import PreparedBaselines
from workers.studies.reconsider import reconsider

PATIENT = "SECRET-ID"
BASELINE, FOLLOW_UP, AFTER = "1.2.826.0.1.1", "1.2.826.0.1.2", "1.2.826.0.1.3"
INFUSION = date(2024, 1, 20)
T1 = {"RepetitionTime": 500.0, "EchoTime": 10.0, "InversionTime": None, "ScanningSequence": "SE"}
FLAIR_IMAGES, T1_IMAGES, LOCALIZER_IMAGES = 8, 5, 3


def study_files(folder: Path, uid: str, day: str, **elements: Any) -> list[Path]:
    """A study of three series: FLAIR, T1 and a localizer."""
    common = {"StudyInstanceUID": uid, "StudyDate": day, "FrameOfReferenceUID": f"{uid}.9", **elements}

    def series(number: int, count: int, **more: Any) -> list[Path]:
        return a_series(
            folder / uid,
            pixels=planes(count, seed=int(uid.rpartition(".")[2])),
            series=number,
            change=lambda k, ds: setattr(ds, "SOPInstanceUID", f"{uid}.{number}.{k + 1}"),
            **common,
            **{"SeriesInstanceUID": f"{uid}.{number}", **more},
        )

    return [
        *series(1, FLAIR_IMAGES),
        *series(2, T1_IMAGES, **T1),
        *series(3, LOCALIZER_IMAGES, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], **T1),
    ]


class Moment:
    """The clock of this machine, which can be moved forward."""

    def __init__(self) -> None:
        self.ahead = datetime.now(UTC) - datetime.now(UTC)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def elapsed_s(self) -> float:
        return time.monotonic() + self.ahead.total_seconds()


class Node:
    """One node on a state folder. ``assess`` takes the place of its worker, ``find`` of its process for priors."""

    def __init__(
        self,
        state: Path,
        priors: dict[str, Any],
        stow: dict[str, Any] | None = None,
        feeds: dict[str, Any] | None = None,
        **listener: Any,
    ) -> None:
        self.settings: Settings = parse(
            {
                "store": {"state_dir": str(state), "min_free_bytes": 0},
                "listener": {"port": 0, **listener},
                "stow": stow or {},
                "feeds": feeds or {},
                "priors": {"silence_limit_s": 5.0, **priors},
            }
        )
        self.index = open_index(self.settings.index_url)
        self.searches: SqlPriorSearches = open_prior_searches(self.settings.index_url)
        self.store, self.clock, self.bell = FileStore(state), Moment(), FakeBell()
        self.engine, self.reader = FakeEngine(), DicomReader()
        self.kind_of: Callable[[Path], SequenceKind] = series_kind
        self.deps = Deps(
            settings=self.settings,
            index=self.index,
            files=self.store,
            clock=self.clock,
            bell=self.bell,
            reader=self.reader,
            engine=self.engine,
            baselines=PreparedBaselines(
                state / "prepared",
                FakeStorage(),
                reader=self.reader,
                engine=self.engine,
                index=self.index,
                files=self.store,
            ),
            results=FakeResults(),
            descriptions=KeptDescriptions(state / "prepared", reader=self.reader, index=self.index, files=self.store),
            searches=self.searches,
        )

    def put(self, files: list[Path]) -> None:
        """Images that a scanner sends."""
        rows = []
        for path in files:
            with Part10Intake(self.store.spool, sender="SCANNER") as intake:
                intake.write(path.read_bytes())
                rows.append(intake.spool.finish().row)
        self.index.record_instances(rows)

    def infusion(self, day: date = INFUSION) -> None:
        self.index.add_infusion(PatientKey(PATIENT), Infusion(day), now=self.clock.now())

    def finder(
        self, open_archive: Callable[[PriorSource, float], AbstractContextManager[Archive]] | None = None
    ) -> PriorFinder:
        parts = SearchParts(
            index=self.index,
            store=self.store,
            settings=self.settings.priors,
            latest_days=self.settings.baseline.latest_days_before_infusion,
            open_archive=open_archive or archive_of(self.settings),
            kind_of=self.kind_of,
            note_fetched=self.searches.note_fetched,
            scratch=self.settings.store.state_dir / "run" / "priors" / "looked-at",
        )
        return PriorFinder(parts, self.searches, self.clock, owner="node")

    def find(self, finder: PriorFinder | None = None) -> None:
        finder = finder or self.finder()
        finder.look()
        while finder.run_one():
            pass

    def assess(self, uid: str) -> dict[str, Any]:
        self.index.mark_ready(uid, now=self.clock.now(), reason="test")
        assess_study(uid, self.deps, owner="worker")
        return self.index.assessment(uid) or {}

    def settle(self) -> None:
        """Decide whatever arrived, and whatever that concerns."""
        for row in self.index.receiving():
            self.assess(row.study_instance_uid)
        while reconsider(self.index, self.bell, self.clock):
            for row in self.index.due(now=self.clock.now()):
                assess_study(row.study_instance_uid, self.deps, owner="worker")

    def images(self, uid: str) -> dict[str, int]:
        """Series UID -> number of stored images."""
        found: dict[str, int] = {}
        rows: list[InstanceRow] = self.index.instances(uid)
        for row in rows:
            found[row.series_instance_uid] = found.get(row.series_instance_uid, 0) + 1
        return found

    def close(self) -> None:
        self.index.close()
        self.searches.close()
