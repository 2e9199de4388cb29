"""A folder in, assessments beside a bench out: one after the other, at the priority of a worker of the node."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workers.queue.priority import BEHIND_OTHERS


@contextmanager
def assessing(folder: Path) -> Iterator[None]:
    """A synthetic patient is written to the folder and assessed again and again until the block ends."""
    from simulation.patient import simulate

    made = simulate(folder / "patient", pattern="A")
    command = [sys.executable, "-m", "listener.commands.main", "assess"]
    command += ["--followup", str(made.followup_dir), "--baseline", str(made.baseline_dir)]
    command += ["--infusion-date", made.infusion_date.isoformat(), "--json", str(folder / "document.json")]
    stop, running = threading.Event(), list[subprocess.Popen[bytes]]()

    def again_and_again() -> None:
        while not stop.is_set():
            running[:] = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)]
            # Chromium draws at priority 0, whatever that of the bench is
            os.setpriority(os.PRIO_PROCESS, running[0].pid, BEHIND_OTHERS)
            running[0].wait()

    thread = threading.Thread(target=again_and_again, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        if running:
            running[0].kill()
        thread.join(10)
