"""The fake of act_ports.Acts."""

from __future__ import annotations

from dataclasses import replace

from workers.act_ports import Act


class FakeActs:
    """In memory."""

    def __init__(self) -> None:
        self._acts: list[Act] = []

    def add_act(self, act: Act) -> None:
        self._acts.append(replace(act, number=len(self._acts) + 1))

    def acts_of(self, study_instance_uid: str) -> list[Act]:
        return [one for one in self._acts if one.study_instance_uid == study_instance_uid]

    def all_acts(self) -> list[Act]:
        return list(self._acts)
