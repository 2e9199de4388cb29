"""What the use cases need from the outside, in one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from workers.config import Settings
from workers.ports import (
    Bell,
    Clock,
    Engine,
    InstanceFiles,
    Reader,
    ResultFiles,
    StudyIndex,
    StudyRow,
)
from workers.prior_ports import OrderPriorities, PriorSearches
from workers.studies import prior_notes
from workers.studies.descriptions import KeptDescriptions
from workers.studies.prepared_baselines import PreparedBaselines
from workers.studies.urgency import with_order

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Deps:
    """Everything the use cases need from the outside."""

    settings: Settings
    index: StudyIndex
    files: InstanceFiles
    clock: Clock
    bell: Bell
    reader: Reader
    engine: Engine
    baselines: PreparedBaselines
    results: ResultFiles
    descriptions: KeptDescriptions | None = None
    """Earlier studies as their files describe them; None: their files are read each time."""
    prepare_later: Callable[[str], None] | None = None
    """Have a study prepared as a baseline when no decision waits; None: prepare at once, in the same call."""
    orders: OrderPriorities | None = None
    """Priorities of orders, to be shown with a decision; None: no worklist is asked."""
    searches: PriorSearches | None = None
    """Searches for missing baselines, to be shown with a decision; None: no archive is asked."""
    order_hint: Callable[[StudyRow, date | None], str | None] | None = None
    """What the order of a study hints about an infusion beyond the known one, as a sentence; None: nobody is asked."""


def with_outside_facts(document: Mapping[str, Any], deps: Deps, study_instance_uid: str) -> dict[str, Any]:
    """The document with what archives and the worklist said about its study."""
    said = prior_notes.noted(document, deps.searches, study_instance_uid)
    return with_order(said, deps.orders, study_instance_uid)
