"""The beat: settings over a descriptor in, rings for studies that are due out, until it is told to stop.

A program of its own, which `icansee serve` starts, and into which `icansee beat` turns, once the settings are checked:
that check needs the measurement core, and the beat measures nothing.
"""

from __future__ import annotations

import sys

from listener.node.running import announce
from listener.node.turned import turned_into
from triage.errors import Misconfigured
from workers import log
from workers.queue import beat

FAULT = 1  # exit code of a fault of the program, as of every command


def main() -> None:
    with turned_into("beat") as program:
        try:
            announce(program.ready)
            beat.run(program.settings, program.stop)
        except Misconfigured:
            raise
        except Exception as error:
            # no message and no values: those of an unexpected error may quote a header
            sys.stderr.write(f"icansee: a fault of the program: {log.describe(error)}\n")
            sys.exit(FAULT)


if __name__ == "__main__":
    main()
