"""The address of a list in, what it asks of the index out, and back. The address is the only state of the page."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode

from workers.worklist_ports import Group, ListOrder, Wanted

GROUP_WORDS = {
    Group.P1: "P1",
    Group.P2: "P2",
    Group.P3: "P3",
    Group.FAILED: "failed",
    Group.NOT_ASSESSABLE: "not assessable",
    Group.WAITING: "not looked at",
    Group.NO_PATTERN: "no pattern",
    Group.BASELINE: "baseline",
}
ORDER_WORDS = {
    ListOrder.READING: "reading order",
    ListOrder.NEWEST: "newest first",
    ListOrder.OLDEST: "oldest first",
    ListOrder.STUDY_DATE: "study date",
    ListOrder.PATIENT: "patient ID",
}
ARRIVED = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
ARRIVED_WORDS = {"1h": "last hour", "24h": "last 24 hours", "7d": "last 7 days", "30d": "last 30 days"}
KEPT_SEARCHES = 1000
LONGEST_SEARCH = 100  # characters
LONGEST_PLACE = 256  # characters of where a window ended: a UID, a group and two times


class Searches:
    """Texts that were searched for, by a word that stands in the address in their place: names and IDs of patients do
    not belong there. They live as long as the process."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, text: str) -> str:
        """The word for a text; the same text has the same word."""
        plain = " ".join(text.split())[:LONGEST_SEARCH]
        word = hmac.new(self._secret, plain.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:24]
        with self._lock:
            self._texts[word] = plain
            self._texts.move_to_end(word)
            while len(self._texts) > KEPT_SEARCHES:
                self._texts.popitem(last=False)
        return word

    def get(self, word: str) -> str | None:
        """The text; None: it is not known any more."""
        with self._lock:
            return self._texts.get(word)


@dataclass(frozen=True)
class ListAddress:
    """What an address says. find: the word of a search. A value that nobody offers counts as none."""

    groups: tuple[Group, ...] = ()
    arrived: str = ""
    order: ListOrder = ListOrder.READING
    after: str = ""
    find: str = ""
    gone: bool = False
    unread: bool = False

    @property
    def query(self) -> str:
        """The address' query, always in the same order; "" for the plain list."""
        pairs = [("g", group.value) for group in self.groups]
        pairs += [("arrived", self.arrived)] if self.arrived else []
        pairs += [("sort", self.order.value)] if self.order is not ListOrder.READING else []
        pairs += [("gone", "1")] if self.gone else []
        pairs += [("unread", "1")] if self.unread else []
        pairs += [("find", self.find)] if self.find else []
        pairs += [("after", self.after)] if self.after else []
        return urlencode(pairs)

    @property
    def path(self) -> str:
        return f"/?{self.query}" if self.query else "/"

    @property
    def first(self) -> ListAddress:
        """The same list from its beginning."""
        return replace(self, after="")

    def toggled(self, group: Group) -> ListAddress:
        """The list with this group added, or without it."""
        chosen = set(self.groups) ^ {group}
        return replace(self, groups=tuple(one for one in Group if one in chosen), after="")

    def wanted(self, text: str, now: datetime) -> Wanted:
        """text: what ``find`` stands for."""
        since = now - ARRIVED[self.arrived] if self.arrived else None
        return Wanted(frozenset(self.groups), since, text, self.order, self.after or None, self.gone, self.unread)


def from_query(query: str) -> ListAddress:
    """The query as text."""
    return asked(parse_qsl(query))


def asked(pairs: Iterable[tuple[str, str]]) -> ListAddress:
    """The query of an address as a browser sends it."""
    said: dict[str, list[str]] = {}
    for name, value in pairs:
        said.setdefault(name, []).append(value)
    last = {name: values[-1] for name, values in said.items()}
    order = last.get("sort", "")
    return ListAddress(
        groups=tuple(group for group in Group if group.value in said.get("g", ())),
        arrived=last.get("arrived", "") if last.get("arrived", "") in ARRIVED else "",
        order=ListOrder(order) if order in list(ListOrder) else ListOrder.READING,
        after=last.get("after", "")[:LONGEST_PLACE],
        find=last.get("find", "")[:24],
        gone=last.get("gone") == "1",
        unread=last.get("unread") == "1",
    )


@dataclass(frozen=True)
class ActiveFilter:
    """words: what it lets through. without: the address of the list without it."""

    words: str
    without: str


@dataclass(frozen=True)
class SavedView:
    """number: of one that an account has saved; None: everybody has it."""

    words: str
    path: str
    number: int | None = None


VIEWS: Sequence[SavedView] = (
    SavedView("everything", ListAddress().path),
    SavedView("to read now", ListAddress(groups=(Group.P1, Group.P2, Group.P3), unread=True).path),
    SavedView("needs a human", ListAddress(groups=(Group.FAILED, Group.NOT_ASSESSABLE)).path),
    SavedView("arrived in 24 h", ListAddress(arrived="24h", order=ListOrder.NEWEST).path),
)


def active_filters(one: ListAddress, text: str | None) -> list[ActiveFilter]:
    """Everything that narrows the list, each with the way to the list without it."""
    found = [ActiveFilter(GROUP_WORDS[group], one.toggled(group).path) for group in one.groups]
    if one.arrived:
        found.append(ActiveFilter(f"arrived in the {ARRIVED_WORDS[one.arrived]}", replace(one.first, arrived="").path))
    if one.unread:
        found.append(ActiveFilter("not acknowledged", replace(one.first, unread=False).path))
    if one.find:
        words = "a search that is no longer known" if text is None else f"“{text}”"
        found.append(ActiveFilter(words, replace(one.first, find="").path))
    return found
