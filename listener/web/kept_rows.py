"""Windows of the list in, the same windows out while nothing was written: after one change every open page asks for the
same rows, and to make them costs thirty times as much as to ask whether they changed."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

MOST_KEPT = 32  # windows; about 200 kB each


@dataclass(frozen=True)
class ListedRows:
    """The HTML of a window. tag: of HTTP, the same for the same HTML."""

    html: str
    tag: str


class KeptRows:
    """Safe to share between threads.

    Args:
        version: changes with every write to the index. It may raise Transient: then nothing is answered from here.
    """

    def __init__(self, version: Callable[[], Hashable]) -> None:
        self._version = version
        self._lock = threading.Lock()
        self._known: Hashable = None
        self._rows: OrderedDict[Hashable, ListedRows] = OrderedDict()

    def rows(self, key: Hashable, make: Callable[[], str]) -> ListedRows:
        """The window of this key. make: reads it from the index; what it reads is never older than the version."""
        version = self._version()
        with self._lock:
            if version != self._known:
                self._rows.clear()
                self._known = version
            found = self._rows.get(key)
        if found is not None:
            return found
        html = make()
        made = ListedRows(html, f'"{hashlib.sha256(html.encode()).hexdigest()[:24]}"')
        with self._lock:
            if version == self._known:
                self._rows[key] = made
                while len(self._rows) > MOST_KEPT:
                    self._rows.popitem(last=False)
        return made
