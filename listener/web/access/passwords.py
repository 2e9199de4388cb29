"""Passwords in, Argon2 hashes out, a few at a time: one costs 64 MiB and a quarter of a second.

Whoever comes in a browser that his account knows waits in a line of his own. All others share one slot less, and no
address fills their line alone.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from triage.errors import Misconfigured, Transient

SHORTEST, LONGEST = 12, 256  # characters; NIST SP 800-63B: at least 8, and no rules about which
AT_ONCE = 2  # one of them is never taken by strangers
WAITING = 8  # in each line; more are told to come back: memory and threads stay for the readers
WAITING_OF_A_PLACE = 4  # strangers of one address
KNOWN = ""  # the place of those in browsers that their account knows, and of the command line


@cache
def _of_nobody() -> str:
    """The hash that an unknown name is compared with: made once in a process."""
    return PasswordHasher().hash("nobody has this password")


class Passwords:
    """Makes and checks hashes. Safe to share between threads."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()  # RFC 9106, the second recommended option
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._of_strangers = threading.BoundedSemaphore(AT_ONCE - 1)
        self._lock, self._waiting = threading.Lock(), Counter[str]()
        self._nobody = _of_nobody() if hasher is None else hasher.hash("nobody has this password")

    def made(self, password: str) -> str:
        """The hash of a new password.

        Raises:
            Misconfigured: it is too short or too long.
        """
        if not SHORTEST <= len(password) <= LONGEST:
            raise Misconfigured(f"password: {SHORTEST} to {LONGEST} characters are needed")
        with self._slot(KNOWN):
            return self._hasher.hash(password)

    def fits(self, stored: str | None, password: str, place: str = KNOWN) -> bool:
        """None takes as long as a wrong password: the time does not tell which names exist.

        Args:
            place: where a browser is that the account does not know; KNOWN: it does.

        Raises:
            Transient: too many are being checked.
        """
        with self._slot(place):
            try:
                fits = self._hasher.verify(stored or self._nobody, password[: LONGEST + 1])
            except (VerificationError, InvalidHashError):
                return False
        return fits and stored is not None

    def outdated(self, stored: str) -> bool:
        """It was made with weaker parameters than those of today."""
        return self._hasher.check_needs_rehash(stored)

    @contextmanager
    def _slot(self, place: str) -> Iterator[None]:
        self._line_up(place)
        try:
            with self._of_strangers if place != KNOWN else nullcontext(), self._slots:
                yield
        finally:
            with self._lock:
                self._waiting[place] -= 1
                self._waiting += Counter()  # forgets who waits no more

    def _line_up(self, place: str) -> None:
        """Raises:
        Transient: the line is full.
        """
        with self._lock:
            of_strangers = self._waiting.total() - self._waiting[KNOWN]
            if place == KNOWN:
                full = self._waiting[KNOWN] >= AT_ONCE + WAITING
            else:
                full = of_strangers >= WAITING or self._waiting[place] >= WAITING_OF_A_PLACE
            if full:
                raise Transient("too many people sign in at this moment")
            self._waiting[place] += 1
