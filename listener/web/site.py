"""The parts of a node that the pages and the API read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from workers.access_ports import Accounts
from workers.config import Settings
from workers.delivery_ports import Deliveries
from workers.feedback.acting import Acting
from workers.image_ports import ImageBatches
from workers.outputs.results import ResultFolder
from workers.ports import StudyIndex
from workers.prior_ports import PriorSearches
from workers.worklist_ports import KeptViews, Worklist


@dataclass(frozen=True)
class Site:
    """Settings, index and results of a node, and what can be asked of it."""

    settings: Settings
    index: StudyIndex
    results: ResultFolder
    ping_broker: Callable[[], str]
    searches: PriorSearches | None = None
    deliveries: Deliveries | None = None  # None: nothing is known of results on their way
    acting: Acting | None = None  # None: nothing is kept of what readers say
    accounts: Accounts | None = None  # None: nobody can sign in; only for loopback
    worklist: Worklist | None = None  # None: there is no page with a list
    views: KeptViews | None = None  # None: nobody can save a view
    images: ImageBatches | None = None  # knows the tags of studies
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
