"""Filters of the worklist in, its rows as data out: what the page shows, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from listener.web.asked import ARRIVED, LONGEST_PLACE, LONGEST_SEARCH
from listener.web.site import Site
from workers.worklist_ports import WINDOW, Group, ListOrder, Wanted, Worklist, WorklistRow


class ListAsked(BaseModel):
    """The body of POST /api/worklist. The text of a search stands in a body, never in an address.

    groups: those of the page; empty: every one. after: the same of the answer with the window before; null: from the
    beginning.
    """

    model_config = ConfigDict(extra="forbid")

    groups: list[Group] = []
    arrived: Literal["1h", "24h", "7d", "30d"] | None = None
    sort: ListOrder = ListOrder.READING
    find: Annotated[str, Field(max_length=LONGEST_SEARCH)] = ""
    unread: bool = False
    gone: bool = False
    after: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=LONGEST_PLACE)] | None = None
    limit: Annotated[int, Field(ge=1, le=WINDOW)] = WINDOW


def add_search(app: FastAPI, site: Site, worklist: Worklist) -> None:
    """Add the route."""

    @app.post("/api/worklist")
    def listed(asked: ListAsked) -> dict[str, Any]:
        """A window of the worklist, with the filters and orders of the page. In reading order no P1 that matches is cut
        off, whatever the limit."""
        since = None if asked.arrived is None else site.now() - ARRIVED[asked.arrived]
        window = worklist.window(
            Wanted(
                groups=frozenset(asked.groups),
                since=since,
                find=asked.find,
                order=asked.sort,
                after=asked.after,
                gone=asked.gone,
                unread=asked.unread,
                limit=asked.limit,
            )
        )
        return {
            "rows": [row_facts_of(row) for row in window.rows],
            "matching": window.matching,
            "total": window.total,
            "tallies": {group.value: window.tallies.get(group, 0) for group in Group},
            "after": window.end,
            "urgent_elsewhere": window.urgent_elsewhere,
        }


def row_facts_of(row: WorklistRow) -> dict[str, Any]:
    """A row as JSON has it; times are still times."""
    return {**asdict(row), "state": row.state.value, "group": row.group.value}
