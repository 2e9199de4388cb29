"""Signals in, an orderly end out."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from tests.patience import PATIENCE_S

# sys.monitoring is not there yet: a trace function is the way to be in the middle of wait()
_IN_THE_MIDDLE = textwrap.dedent("""
    import os, signal, sys, threading
    from listener.node.signals import stop_on_signals
    stop = stop_on_signals()
    sent = []
    def inside(frame, event, _arg):
        # Condition.wait holds its lock here, and so does whoever is interrupted here
        if not sent and event == "line" and frame.f_code.co_name == "wait" and "waiter" in frame.f_locals:
            sent.append(1)
            os.kill(os.getpid(), signal.{signal})
        return inside
    sys.settrace(inside)
    stop.wait()
    sys.settrace(None)
    print("stopped", len(sent))
""")


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_a_signal_in_the_middle_of_waiting(signal: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IN_THE_MIDDLE.replace("{signal}", signal)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert done.stdout == "stopped 1\n"
