"""What the use cases need from the outside, in one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

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
from workers.prior_ports import PriorSearches
from workers.studies.shelf import BaselineShelf

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
    shelf: BaselineShelf
    results: ResultFiles
    prepare_later: Callable[[str], None] | None = None
    """Have a study prepared as a baseline when no decision waits; None: prepare at once, in the same call."""
    searches: PriorSearches | None = None
    """Searches for missing baselines, to be shown with a decision; None: no archive is asked."""
    order_hint: Callable[[StudyRow, date | None], str | None] | None = None
    """What the order of a study hints about an infusion beyond the known one, as a sentence; None: nobody is asked."""
