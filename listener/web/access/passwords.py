"""Passwords in, Argon2 hashes out, a few at a time: one costs 64 MiB and a quarter of a second."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from triage.errors import Misconfigured, Transient

SHORTEST, LONGEST = 12, 256  # characters; NIST SP 800-63B: at least 8, and no rules about which
AT_ONCE = 2
WAITING = 16  # more are told to come back: memory and threads stay for the readers


@cache
def _of_nobody() -> str:
    """The hash that an unknown name is compared with: made once in a process."""
    return PasswordHasher().hash("nobody has this password")


class Passwords:
    """Makes and checks hashes. Safe to share between threads."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()  # RFC 9106, the second recommended option
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._places = threading.BoundedSemaphore(AT_ONCE + WAITING)
        self._nobody = _of_nobody() if hasher is None else hasher.hash("nobody has this password")

    def made(self, password: str) -> str:
        """The hash of a new password.

        Raises:
            Misconfigured: it is too short or too long.
        """
        if not SHORTEST <= len(password) <= LONGEST:
            raise Misconfigured(f"password: {SHORTEST} to {LONGEST} characters are needed")
        with self._slot():
            return self._hasher.hash(password)

    def fits(self, stored: str | None, password: str) -> bool:
        """None takes as long as a wrong password: the time does not tell which names exist.

        Raises:
            Transient: too many are being checked.
        """
        with self._slot():
            try:
                fits = self._hasher.verify(stored or self._nobody, password[: LONGEST + 1])
            except (VerificationError, InvalidHashError):
                return False
        return fits and stored is not None

    def outdated(self, stored: str) -> bool:
        """It was made with weaker parameters than those of today."""
        return self._hasher.check_needs_rehash(stored)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise Transient("too many people sign in at this moment")
        try:
            with self._slots:
                yield
        finally:
            self._places.release()
