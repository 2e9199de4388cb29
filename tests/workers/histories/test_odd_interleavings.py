"""Interleavings of every second history of the table; the other half is in a file of its own, for another process."""

from __future__ import annotations

import pytest

from tests.workers.histories.clinic import STORIES
from tests.workers.histories.interleavings import NIGHT_S, Interleaving, profile


class Odd(Interleaving):
    stories = STORIES[1::2]


TestOddInterleavings = pytest.mark.timeout(NIGHT_S)(Odd.TestCase)
TestOddInterleavings.settings = profile()
