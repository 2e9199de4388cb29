"""Failed sign-ins in, how long the next one has to wait out. Nobody is locked out for good.

A browser in which the person signed in before has a count of its own, so failures from elsewhere do not reach it. Every
other browser counts for itself and, with all others, for the name and for the address: many people may share it. Who
goes on guessing in one browser fails so seldom then that name and address forget it; who takes a new browser for each
guess makes the shared pauses grow, and these are short. A code of an administrator (`icansee users code`) makes a new
browser a known one.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

REMEMBERED = 20_000  # keys; the oldest are forgotten first


@dataclass(frozen=True)
class Brake:
    """free: failures that cost nothing. Then the pause doubles from one second up to longest_s. forgotten_s: after this
    time without another one a failure is forgotten, one after the other."""

    free: int
    longest_s: float
    forgotten_s: float

    def pause_s(self, failures: int) -> float:
        return 0.0 if failures <= self.free else min(self.longest_s, 2.0 ** min(failures - self.free - 1, 30))

    def left(self, failures: int, since_s: float) -> int:
        """Failures that are remembered after a time; a clock that was set back forgets none."""
        return max(0, failures - int(max(0.0, since_s) // self.forgotten_s))


DEVICE = Brake(5, 60.0, 120.0)  # a browser that the account knows
VISITOR = Brake(5, 120.0, 240.0)  # any other browser
# one name, and any names, from one address. One browser that guesses on fails every VISITOR.longest_s and makes a dozen
# failures until then: less than what is free here and is forgotten
PERSON = Brake(20, 30.0, 60.0)
ADDRESS = Brake(60, 5.0, 10.0)
SHARED = ("visitor", "address")  # keys under which several people sign in
Key = tuple[str, ...]


def keys_of_attempt(account: str, address: str, device: str | None, visitor: str = "") -> list[tuple[Key, Brake]]:
    """What an attempt counts for. device: hash of the token of a browser that is known for this very account. visitor:
    what tells other browsers apart; "": those without a cookie are one."""
    if device is not None:
        return [(("device", device), DEVICE)]
    place = network_of(address)
    return [(("visitor", place, visitor), VISITOR), (("person", account, place), PERSON), (("address", place), ADDRESS)]


def network_of(address: str) -> str:
    """One subscriber: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address


class Throttle:
    """Counts in memory, of this process. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: OrderedDict[Key, tuple[int, datetime]] = OrderedDict()

    def wait_s(self, keys: Sequence[tuple[Key, Brake]], now: datetime) -> float:
        """Seconds until the next attempt is looked at; 0: at once."""
        with self._lock:
            return max((self._wait_s(key, brake, now) for key, brake in keys), default=0.0)

    def counted(self, keys: Sequence[tuple[Key, Brake]], now: datetime) -> int:
        """An attempt begins, and counts as failed until it succeeds: many at once do not slip through together.

        Returns the most failures of a key.
        """
        with self._lock:
            for key, brake in keys:
                count, at = self._failures.pop(key, (0, now))
                self._failures[key] = (brake.left(count, (now - at).total_seconds()) + 1, now)
            while len(self._failures) > REMEMBERED:
                self._failures.popitem(last=False)
            return max(self._failures[key][0] for key, _ in keys)

    def taken_back(self, keys: Sequence[tuple[Key, Brake]], *, succeeded: bool) -> None:
        """The attempt was good, or was not looked at. A good one forgets the failures of the person, and not those of
        the browser and the address: one good password is no licence to guess."""
        with self._lock:
            for key, _ in keys:
                count, at = self._failures.pop(key, (0, None))
                if at is not None and count > 1 and (key[0] in SHARED or not succeeded):
                    self._failures[key] = (count - 1, at)

    def _wait_s(self, key: Key, brake: Brake, now: datetime) -> float:
        count, at = self._failures.get(key, (0, now))
        left = (at + timedelta(seconds=brake.pause_s(count)) - now).total_seconds()
        return 0.0 if left > brake.longest_s else max(0.0, left)  # longer: the clock was set back
