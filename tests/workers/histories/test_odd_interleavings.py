"""Interleavings of every second history of the table; the other half is in a file of its own, for another process."""

from __future__ import annotations

from tests.workers.histories.interleavings import Interleaving, profile
from tests.workers.histories.more import STORIES


class Odd(Interleaving):
    stories = STORIES[1::2]


TestOddInterleavings = Odd.TestCase
TestOddInterleavings.settings = profile()
