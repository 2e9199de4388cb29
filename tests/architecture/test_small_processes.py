"""The receiving program starts without the measurement core, also by what it imports in passing."""

from __future__ import annotations

import subprocess
import sys

from triage.model import Presence
from triage.unjudged import INDETERMINATE

STARTING = """
from listener.door.small_process import start_small
start_small()
from listener.door import pool_child, program, restoring, run
"""


def test_the_receiving_program_loads_what_it_needs() -> None:
    started = subprocess.run([sys.executable, "-c", STARTING], capture_output=True, text=True, check=False)
    assert started.returncode == 0, started.stderr


def test_the_word_is_that_of_the_core() -> None:
    assert Presence.INDETERMINATE.value == INDETERMINATE
