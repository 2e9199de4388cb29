"""The beat: settings over a descriptor in, rings for studies that are due out, until it is told to stop.

A program of its own, into which `icansee beat` turns once it has checked the settings: that check needs the measurement
core, and the beat measures nothing.
"""

from __future__ import annotations

import sys

from listener.node.processes import counted
from listener.node.running import announce, ready_file, withdraw
from listener.node.settings_descriptor import settings_from_descriptor
from listener.node.signals import end_with_parent, stop_on_signals
from triage.errors import Misconfigured
from workers import log
from workers.queue import beat

REFUSED, FAULT = 2, 1  # exit codes, as of every command


def main() -> None:
    settings = settings_from_descriptor(int(sys.argv[1]))
    log.configure(settings.log, process="beat")
    if int(sys.argv[2]):
        end_with_parent(int(sys.argv[2]))
    path = ready_file(settings, "beat")
    stop = stop_on_signals()
    try:
        with counted(settings.store.state_dir, "beat"):
            announce(path)
            beat.run(settings, stop)
    except Misconfigured as error:
        sys.stderr.write(f"icansee: {error}\n")
        sys.exit(REFUSED)
    except Exception as error:
        # no message and no values: those of an unexpected error may quote a header
        sys.stderr.write(f"icansee: a fault of the program: {log.describe(error)}\n")
        sys.exit(FAULT)
    finally:
        withdraw(path)


if __name__ == "__main__":
    main()
