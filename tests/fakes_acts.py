"""The fake of act_ports.Acts."""

from __future__ import annotations

from dataclasses import replace

from workers.act_ports import Act
from workers.delivery_ports import Decided


class FakeActs:
    """In memory. not_assessable: what a real one reads beside its own table."""

    def __init__(self) -> None:
        self.not_assessable: set[Decided] = set()
        self._acts: list[Act] = []

    def add_act(self, act: Act) -> None:
        self._acts.append(replace(act, number=len(self._acts) + 1))

    def acts_of(self, study_instance_uid: str) -> list[Act]:
        return [one for one in self._acts if one.study_instance_uid == study_instance_uid]

    def all_acts(self) -> list[Act]:
        return list(self._acts)

    def not_assessed(self) -> set[Decided]:
        said = {Decided(one.study_instance_uid, one.revision, one.stage) for one in self._acts}
        return said & self.not_assessable
