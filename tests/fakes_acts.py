"""The fake of act_ports.Acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workers.act_ports import Act
from workers.delivery_ports import Acknowledgement


class FakeActs:
    """In memory. acknowledgements: what a real one reads beside its own table."""

    def __init__(self) -> None:
        self.acknowledgements: list[Acknowledgement] = []
        self._acts: list[Act] = []

    def add_act(self, act: Act) -> None:
        self._acts.append(replace(act, number=len(self._acts) + 1))

    def acts_of(self, study_instance_uid: str) -> list[Act]:
        return [one for one in self._acts if one.study_instance_uid == study_instance_uid]

    def all_acts(self) -> list[Act]:
        return list(self._acts)

    def acknowledged_among(self, study_instance_uids: Sequence[str]) -> dict[str, Acknowledgement]:
        known = {one.study_instance_uid: one for one in self.acknowledgements}
        return {uid: known[uid] for uid in study_instance_uids if uid in known}
