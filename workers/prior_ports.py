"""The search for missing baselines as values and Protocols. One fake per port stands in tests/fakes_priors.py.

The row of a search is the task: a process that is killed leaves it due, and the next one goes on with what is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from workers.ports import PatientKey


class SearchState(StrEnum):
    """WAITING: to be asked at due_at. FOUND: images of an earlier study came. NOTHING: the archive has none that may be
    used. GAVE_UP: its attempts are used up. NOT_NEEDED: another archive had it."""

    WAITING = "waiting"
    FOUND = "found"
    NOTHING = "nothing"
    GAVE_UP = "gave_up"
    NOT_NEEDED = "not_needed"


@dataclass(frozen=True)
class PriorSearch:
    """One follow-up and one archive; the first two fields are the key. Times are UTC.

    position: of the archive in the order of the settings. answer: JSON types, what the archive said. asked_for: the
    days that a baseline could have when the search was planned; empty: not recorded.
    """

    study_instance_uid: str
    source: str
    position: int
    patient: PatientKey
    due_at: datetime
    state: SearchState = SearchState.WAITING
    attempts: int = 0
    asked_at: datetime | None = None
    finished_at: datetime | None = None
    failure: str | None = None
    answer: Mapping[str, Any] = field(default_factory=dict)
    asked_for: str = ""


class PriorSearches(Protocol):
    """What is asked, and what was answered. Every method is one transaction and may raise errors.Transient."""

    def plan(self, searches: Sequence[PriorSearch]) -> None:
        """Insert; one that was planned before stays as it is."""

    def plan_again(self, search: PriorSearch, *, now: datetime) -> bool:
        """WAITING, with patient, days, answer, attempts and due_at of ``search``; False: somebody asks now."""

    def take(self, *, owner: str, now: datetime, for_s: float, without: Collection[str] = ()) -> PriorSearch | None:
        """A due search of a patient of whom no other search is running, by due_at and position; leased to ``owner``
        for ``for_s``, attempts + 1. None: there is none.

        Args:
            without: archives that are not asked now.
        """

    def finish(self, search: PriorSearch, state: SearchState, answer: Mapping[str, Any], *, now: datetime) -> None:
        """Store the answer. FOUND makes the waiting searches of the same study NOT_NEEDED."""

    def put_off(self, search: PriorSearch, *, failure: str, answer: Mapping[str, Any], due_at: datetime) -> None:
        """Drop the lease; to be tried again at due_at."""

    def give_up(self, search: PriorSearch, *, failure: str, answer: Mapping[str, Any], now: datetime) -> None:
        """WAITING -> GAVE_UP."""

    def release(self, owner: str, *, now: datetime) -> int:
        """Make what ``owner`` has leased due again: its process was killed. How many."""

    def of_study(self, study_instance_uid: str) -> list[PriorSearch]:
        """By position."""

    def of_studies(self, study_instance_uids: Sequence[str]) -> dict[str, list[PriorSearch]]:
        """Study UID -> its searches by position, of those that have any."""

    def note_fetched(self, study_instance_uid: str, sender: str) -> None:
        """Images of a study that was not here come only because this node asked for them, under this name."""

    def fetched(self, study_instance_uids: Sequence[str]) -> set[str]:
        """Of these studies, those that nobody else sent an image of."""


class OrderPriorities(Protocol):
    """What the modality worklist says about the orders of studies. May raise errors.Transient."""

    def put_priority(self, study_instance_uid: str, priority: str, *, now: datetime) -> None:
        """In place of what was known; empty: the order says none, or there is no order."""

    def priorities(self, study_instance_uids: Sequence[str]) -> dict[str, str]:
        """Study UID -> priority, of those that were asked for."""
