"""What the beat is made of, over fakes: a sweeper and a ringer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.fake_index import InMemoryIndex
from tests.fakes import FakeBell, FakeClock, FakeFiles, an_instance
from triage.model import SequenceKind
from workers.arrival.probe import SeriesProbe
from workers.arrival.sweeper import Sweeper
from workers.ports import StudyRow, StudyState
from workers.queue.rings import DueRinger
from workers.settings import ArrivalSettings
from workers.studies.urgency import is_urgent

STUDY = "1.2.3"
QUIET_S = ArrivalSettings().quiet_period_s


class Beat:
    """A sweeper over fakes. kind: what every header shows; slices lie 5 mm apart in the order of their number."""

    def __init__(self) -> None:
        self.index, self.bell, self.clock = InMemoryIndex(), FakeBell(), FakeClock()
        self.kind: SequenceKind | Exception = SequenceKind.FLAIR
        self.headers_read = 0
        self.header_s = 0.0  # what reading one takes
        self.epoch = "one"
        self.sweeper = self.started()
        self.ringer = self.ringer_with(None)

    def started(self) -> Sweeper:
        probe = SeriesProbe(self.index, FakeFiles(), kind_of=self._kind_of, position_of=self._position_of)
        return Sweeper(
            self.index, self.bell, self.clock, probe, ArrivalSettings(), urgent=lambda row: is_urgent(row, self.index)
        )

    def ringer_with(self, urgent: Callable[[StudyRow], bool] | None) -> DueRinger:
        return DueRinger(
            self.index, self.bell, self.clock, first_pause_s=10.0, broker_epoch=lambda: self.epoch, urgent=urgent
        )

    def _kind_of(self, path: Path) -> SequenceKind:
        self.headers_read += 1
        self.clock.advance(self.header_s)
        if isinstance(self.kind, Exception):
            raise self.kind
        return self.kind

    def _position_of(self, path: Path) -> float | None:
        return 5.0 * int(path.stem.split(".")[-1])

    def arrive(self, count: int = 30, *, study: str = STUDY, first: int = 1, **changes: object) -> None:
        rows = [an_instance(study, n, received_at=self.clock.now(), **changes) for n in range(first, first + count)]
        self.index.record_instances(rows)

    def state(self, study: str = STUDY) -> StudyState:
        row = self.index.study(study)
        assert row is not None
        return row.state
